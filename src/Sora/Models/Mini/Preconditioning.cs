using Sora.Diffusion;
using static TorchSharp.torch;

namespace Sora.Models.Mini;

/// <summary>
/// Turns the answer F of a network into a velocity where the network is trained on the unknown part only. Were the
/// channels of normalised latents independent and Gaussian with variances v, the best guess of x0 from x = (1 - s) x0 + s
/// noise would be the Wiener filter (1 - s) v x / D, D = (1 - s)² v + s². The network gives what is left of x0, in units
/// of its deviation s sqrt(v / D): x0 = (1 - s) v x / D + s sqrt(v / D) F. This is the preconditioning of Karras et al.
/// 2022 ("Elucidating the design space of diffusion-based generative models", table 1) for flow matching, with a variance
/// for each channel: principal components differ a hundredfold in size, and neither their noise nor their signal has to
/// pass through the network. What a scene shows is far from independent: a network that sees a whole map knows its
/// numbers almost exactly, and the network, which has no room for it, would have to take out the noise that the filter
/// lets through (Li and He 2025, "Back to basics: let denoising generative models denoise"). For a scene's channels the
/// filter is for what the rest of the map leaves open, and F is nearly x0 itself until the noise is less than that.
/// </summary>
/// <param name="First">
/// Variance of each channel of a clip's first latent frame, normalised: it stands for one frame, in which nothing moves.
/// </param>
/// <param name="Later">Variance of each channel of the other latent frames, which stand for several.</param>
public sealed record Preconditioning(IReadOnlyList<double> First, IReadOnlyList<double> Later)
{
    /// <summary>Its name in a scheduler's config, under <c>prediction_type</c>.</summary>
    internal const string PredictionType = SchedulerConfig.Preconditioned;

    /// <summary>Channels that describe motion have almost no variance in first frames.</summary>
    private const double Least = 1e-4;

    /// <summary>
    /// Channels of scenes are zero nearly everywhere: what is rare, such as hidden objects, mustn't seem smaller than it is.
    /// </summary>
    private const double LeastOfScenes = 0.03;

    /// <summary>The most that the rest of a map leaves open about one of its numbers.</summary>
    private const double OpenInMaps = 0.3;

    /// <summary>How many of the last channels are a scene's.</summary>
    public int SceneChannels { get; init; }

    /// <summary>
    /// Largest variance that the others leave open in a scene's channels; infinite: they are taken as independent.
    /// </summary>
    public double OpenVariance { get; init; } = double.PositiveInfinity;

    /// <summary>The variances of the first channels, this many of them, and after them those of a scene.</summary>
    internal Preconditioning With(Preconditioning scene, int channels) =>
        new([.. First.Take(channels), .. scene.First], [.. Later.Take(channels), .. scene.Later])
        {
            SceneChannels = scene.First.Count,
            OpenVariance = OpenInMaps,
        };

    /// <summary>The velocity noise - x0 = (x - x0) / s, [B, C, T, h, w]; finite at s = 0 too.</summary>
    /// <param name="output">F, as the network gives it, [B, C, T, h, w].</param>
    /// <param name="x">What the network was given, [B, C, T, h, w].</param>
    /// <param name="sigma">Noise level s, of a shape that expands to x's.</param>
    public Tensor Velocity(Tensor output, Tensor x, Tensor sigma)
    {
        Tensor Each(Func<IReadOnlyList<double>, IEnumerable<double>> of)
        {
            Tensor Frame(IReadOnlyList<double> own) =>
                tensor(of(own).Select(v => (float)v).ToArray(), [1, own.Count, 1, 1, 1], device: x.device);
            return x.shape[2] == 1 ? Frame(First) : cat([Frame(First), Frame(Later).expand(-1, -1, x.shape[2] - 1, -1, -1)], 2);
        }
        var (variance, open) = (Each(own => own), Each(Open));
        var signal = (1 - sigma) * open;
        var total = ((1 - sigma) * signal) + sigma.square();
        return ((sigma - signal) / total * x) - ((variance / total).sqrt() * output);
    }

    private IEnumerable<double> Open(IReadOnlyList<double> variances) =>
        variances.Select((v, channel) => channel < variances.Count - SceneChannels ? v : Math.Min(v, OpenVariance));

    /// <summary>What a scheduler's config says about a network with this many scene channels; null: it predicts the velocity.</summary>
    internal static Preconditioning? Read(ConfigFile scheduler, int sceneChannels) =>
        scheduler.Text("prediction_type", null) == PredictionType
            ? new Preconditioning(scheduler.Numbers("first_latents_variance", []), scheduler.Numbers("latents_variance", []))
            {
                SceneChannels = sceneChannels,
                OpenVariance = scheduler.Number("open_variance", double.PositiveInfinity),
            }
            : null;

    /// <summary>The variances of normalised latents <c>[N, C, T, h, w]</c>, T at least 2.</summary>
    internal static Preconditioning Of(Tensor latents) => Of(latents, Least);

    /// <summary>Those of scenes.</summary>
    internal static Preconditioning OfScenes(Tensor scenes) => Of(scenes, LeastOfScenes);

    private static Preconditioning Of(Tensor latents, double least)
    {
        using var scope = NewDisposeScope();
        double[] Variance(Tensor part) =>
            [.. part.to(ScalarType.Float64).transpose(0, 1).flatten(1).std(1).square().clamp_min(least).data<double>()];
        return new Preconditioning(Variance(latents.narrow(2, 0, 1)), Variance(latents.narrow(2, 1, latents.shape[2] - 1)));
    }
}
