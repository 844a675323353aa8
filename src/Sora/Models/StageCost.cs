using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>A stage of a run: what it holds in memory at its peak, and what it computes.</summary>
/// <param name="Name">What it does.</param>
/// <param name="Weights">Bytes of weights.</param>
/// <param name="Activations">Bytes of everything else.</param>
/// <param name="Flops">Floating-point operations in all.</param>
public sealed record StageCost(string Name, long Weights, long Activations, double Flops)
{
    /// <summary>Bytes at its peak.</summary>
    public long Peak => Weights + Activations;

    /// <summary>
    /// Bytes of weights that stay in their files, as they are stored, until they are used: the system keeps them in memory as
    /// long as there is room.
    /// </summary>
    public long Streamed { get; init; }

    /// <summary>What it needs as a line of text.</summary>
    public string Line =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Name, -9} weights {Size(Weights)}{(Streamed > 0 ? $" and {Size(Streamed)} in files" : "")}"
                + $", peak {Size(Needed)}, {Flops / 1e12:0.###} TFLOP"
        );

    /// <summary>
    /// Bytes that the C allocator keeps between tensors, on the CPU alone: it returns nothing to the system, because
    /// fresh pages cost more time than computing, and tensors of other sizes leave gaps. Measured (tests/bench memory):
    /// at most 0.4 of what is live, plus some huge pages; the VAE's plan adds what its own tensors leave on top.
    /// </summary>
    public long Kept { get; init; }

    /// <summary>Bytes at its peak, with the program, libtorch and its workspaces.</summary>
    public long Needed => (300L << 20) + Peak + Kept;

    /// <summary>The same where <paramref name="device"/> computes.</summary>
    public StageCost On(Device device) =>
        device.type == DeviceType.CPU && Activations > 0 ? this with { Kept = (256L << 20) + Activations * 2 / 5 } : this;

    /// <summary>Bytes as people read them, such as <c>1.5 GB</c>.</summary>
    internal static string Size(long bytes) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{(bytes >= 1L << 30 ? bytes / (double)(1L << 30) : bytes / (double)(1L << 20)):0.0} {(bytes >= 1L << 30 ? "GB" : "MB")}"
        );
}
