using static TorchSharp.torch;

namespace Sora.Diffusion;

/// <summary>
/// Everything that a sampler knows between two model calls. A run that stops here, is stored and resumed goes on
/// bit-identically: samplers keep nothing elsewhere.
/// </summary>
/// <param name="Call">Model calls of the schedule that are done.</param>
/// <param name="Latents">Where the run stands, [B, C, T, h, w]; what the model sees next.</param>
public sealed record SamplerState(int Call, Tensor Latents)
{
    /// <summary>Earlier predictions of x0 (for Heun: the first velocity of the pair), the newest first.</summary>
    public IReadOnlyList<Tensor> Predictions { get; init; } = [];

    /// <summary>What the last prediction started from: UniPC's corrected latents, Heun's latents before the pair.</summary>
    public Tensor? Previous { get; init; }

    /// <summary>Order of the last prediction (UniPC corrects with the same one).</summary>
    public int Order { get; init; }

    /// <summary>The last call's estimate of x0, for display; no sampler reads it.</summary>
    public Tensor? Estimate { get; init; }

    /// <summary>Every tensor of the state, once.</summary>
    public IEnumerable<Tensor> Tensors()
    {
        Tensor?[] all = [Latents, .. Predictions, Previous, Estimate];
        return all.OfType<Tensor>().Distinct<Tensor>(ReferenceEqualityComparer.Instance);
    }

    /// <summary>Whether a tensor is part of the state.</summary>
    public bool Holds(Tensor tensor) => Tensors().Any(own => ReferenceEquals(own, tensor));
}
