using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// The causal video VAE of Wan (https://arxiv.org/abs/2503.20314, section 4.1), in both kinds: 2.1 (flat) and 2.2
/// (residual, on folded pixels), and a small kind of this project's own, linear except for what refines its pixels. It
/// looks backward in time only, so a video of any length passes through it chunk by chunk, with what each layer remembers
/// between chunks: a chunked result equals the result of one pass. Video is <c>[B, 3, F, H, W]</c> in [-1, 1] with
/// <c>F = 1 + 4k</c> frames (for the usual time factor 4), latents are raw <c>[B, z, 1 + k, h, w]</c>.
/// </summary>
public sealed class CausalVae : VideoVae
{
    private readonly IVaeNetwork encoder;
    private readonly IVaeNetwork decoder;
    private readonly Weights weights;
    private readonly bool ownsWeights;

    /// <summary>Builds the VAE over <paramref name="weights"/>, which must outlive it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public CausalVae(CausalVaeConfig config, Weights weights)
        : this(config, weights, ownsWeights: false) { }

    private CausalVae(CausalVaeConfig config, Weights weights, bool ownsWeights)
    {
        (Config, this.weights, this.ownsWeights) = (config, weights, ownsWeights);
        encoder = config.NewEncoder(weights);
        decoder = config.NewDecoder(weights);
    }

    /// <summary>Builds the VAE over weights that it owns and frees.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says; the weights are freed.</exception>
    internal static CausalVae Owning(CausalVaeConfig config, Weights weights)
    {
        try
        {
            return new CausalVae(config, weights, ownsWeights: true);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The sizes.</summary>
    public CausalVaeConfig Config { get; }

    /// <inheritdoc/>
    public override LatentGeometry Geometry => Config.Geometry;

    /// <inheritdoc/>
    public override Device Device => weights.Device;

    /// <inheritdoc/>
    public override bool DecodesGroups => Config.DecodesGroups;

    /// <inheritdoc/>
    public override int Reach => Config.Reach;

    /// <summary>Cuts frames into overlapping tiles to save memory; null (the default) never does. New sessions see it.</summary>
    public VaeTiling? Tiling { get; set; }

    /// <summary>Whether decoded pixels are held in [-1, 1]; training turns it off, since a clamped pixel has no gradient.</summary>
    public bool Clamps { get; set; } = true;

    /// <summary>Gets intermediate results by the names of diffusers' modules and the number of the chunk.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>Encodes a stream of frames.</summary>
    public override VaeEncoder NewEncoder() => new(this, encoder);

    /// <summary>Decodes a stream of latents.</summary>
    public override VaeDecoder NewDecoder() => new(this, decoder);

    /// <summary>The mean of the posterior, <c>[B, z, t, h, w]</c>, of a whole video; frames beyond 1 + 4k aren't looked at.</summary>
    public override Tensor Encode(Tensor video)
    {
        using var scope = NewDisposeScope();
        var (mean, logVariance) = EncodeMoments(video);
        logVariance.Dispose();
        return mean.MoveToOuterDisposeScope();
    }

    /// <summary>Mean and log variance (clamped to [-30, 20]) of the posterior, each <c>[B, z, t, h, w]</c>.</summary>
    public (Tensor Mean, Tensor LogVariance) EncodeMoments(Tensor video)
    {
        using var scope = NewDisposeScope();
        using var session = NewEncoder();
        var frames = (long)Config.Geometry.WholeFrames((int)video.shape[2]);
        var trains = is_grad_enabled() && (video.requires_grad || encoder.Trains);
        var chunk = ChunkLength(trains, frames, video.shape[3] * video.shape[4], Config.TemporalFactor);
        var parts = new List<Tensor>();
        for (long start = 0; start < frames; start += start == 0 ? 1 : chunk)
        {
            var length = start == 0 ? 1 : Math.Min(chunk, frames - start);
            parts.Add(session.PushMoments(video.narrow(2, start, length)));
        }
        var moments = Join(parts).chunk(2, 1); // each [B, z, t, h, w]
        return (moments[0].contiguous().MoveToOuterDisposeScope(), moments[1].clamp(-30, 20).MoveToOuterDisposeScope());
    }

    /// <summary>The whole video, <c>[B, 3, 1 + 4(t - 1), H, W]</c>, clamped to [-1, 1].</summary>
    public override Tensor Decode(Tensor latents)
    {
        using var scope = NewDisposeScope();
        using var session = NewDecoder();
        var frames = latents.shape[2];
        var pixels = latents.shape[3] * latents.shape[4] * Config.SpatialFactor * Config.SpatialFactor * Config.TemporalFactor;
        var trains = is_grad_enabled() && (latents.requires_grad || decoder.Trains);
        var chunk = ChunkLength(trains, frames, pixels, 1);
        var parts = new List<Tensor>();
        for (long start = 0; start < frames; start += start == 0 ? 1 : chunk)
            parts.Add(session.Push(latents.narrow(2, start, start == 0 ? 1 : Math.Min(chunk, frames - start))));
        return Join(parts).MoveToOuterDisposeScope();
    }

    /// <summary>(raw - mean) / std for each channel: what the transformer and the sampler work on.</summary>
    public override Tensor Normalise(Tensor raw) => Config.Normalise(raw);

    /// <summary>The raw latents of normalised ones.</summary>
    public override Tensor Denormalise(Tensor normalised) => Config.Denormalise(normalised);

    /// <summary>Everything after the first frame at once where gradients are kept anyway; else as much as passes at a time.</summary>
    private static long ChunkLength(bool trains, long frames, long unitPixels, int temporalFactor) =>
        trains ? Math.Max(temporalFactor, frames - 1) : ChunkOf(unitPixels, temporalFactor);

    /// <summary>Frees the weights, if they are its own.</summary>
    public override void Dispose()
    {
        if (ownsWeights)
            weights.Dispose();
    }

    internal static Tensor Join(IReadOnlyList<Tensor> parts) => parts.Count == 1 ? parts[0] : cat([.. parts], 2);
}
