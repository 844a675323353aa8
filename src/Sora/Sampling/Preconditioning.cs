using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Turns the answer F of a network into a velocity where the network is trained on the unknown part only. Were the
/// channels of normalised latents independent and Gaussian with variances v, the best guess of x0 from
/// x = (1 - s) x0 + s noise would be the Wiener filter (1 - s) v x / D, D = (1 - s)² v + s². The network gives what is
/// left of x0, in units of its deviation s sqrt(v / D): x0 = (1 - s) v x / D + s sqrt(v / D) F. This is the preconditioning
/// of Karras et al. 2022 ("Elucidating the design space of diffusion-based generative models", table 1) for flow
/// matching, with a variance for each channel: principal components differ a hundredfold in size, and neither their
/// noise nor their signal has to pass through the network.
/// </summary>
/// <param name="Variance">Variance of each channel of normalised latents.</param>
public sealed record Preconditioning(IReadOnlyList<double> Variance)
{
    /// <summary>The velocity noise - x0 = (x - x0) / s, [B, C, T, h, w]; finite at s = 0 too.</summary>
    /// <param name="output">F, as the network gives it, [B, C, T, h, w].</param>
    /// <param name="x">What the network was given, [B, C, T, h, w].</param>
    /// <param name="sigma">Noise level s, of a shape that expands to x's.</param>
    public Tensor Velocity(Tensor output, Tensor x, Tensor sigma)
    {
        var variance = tensor(Variance.Select(v => (float)v).ToArray(), [1, Variance.Count, 1, 1, 1], device: x.device);
        var signal = (1 - sigma) * variance;
        var total = ((1 - sigma) * signal) + sigma.square();
        return ((sigma - signal) / total * x) - ((variance / total).sqrt() * output);
    }

    /// <summary>The variance of each channel of latents <c>[N, C, T, h, w]</c>.</summary>
    internal static Preconditioning Of(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var deviation = latents.to(ScalarType.Float32).transpose(0, 1).flatten(1).std(1);
        return new Preconditioning([.. deviation.square().to(ScalarType.Float64).data<double>()]);
    }
}
