using Sora.Models.Mini;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// The causal video VAE of Wan (https://arxiv.org/abs/2503.20314, section 4.1), in both kinds: 2.1 (flat) and 2.2
/// (residual, on folded pixels), and a small kind of this project's own, linear but for what refines its pixels. It looks backward in time only, so a video of any length passes through it
/// chunk by chunk, with what each layer remembers between chunks: a chunked result equals the result of one pass.
/// Video is <c>[B, 3, F, H, W]</c> in [-1, 1] with F = 1 + 4k frames (for the usual time factor 4), latents are raw
/// <c>[B, z, 1 + k, h, w]</c>.
/// </summary>
public sealed class CausalVae
{
    /// <summary>Pixels in the frames of a chunk that <see cref="Encode"/> and <see cref="Decode"/> aim at.</summary>
    private const long ChunkPixels = 1 << 18;

    private readonly IVaeNetwork encoder;
    private readonly IVaeNetwork decoder;

    /// <summary>Builds the VAE over <paramref name="weights"/>, which must outlive it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public CausalVae(CausalVaeConfig config, Weights weights)
    {
        Config = config;
        encoder = config.IsBlock ? new BlockEncoderNetwork(config, weights) : new VaeEncoderNetwork(config, weights);
        decoder = config.IsBlock ? new BlockDecoderNetwork(config, weights) : new VaeDecoderNetwork(config, weights);
    }

    /// <summary>The sizes.</summary>
    public CausalVaeConfig Config { get; }

    /// <summary>Cuts frames into overlapping tiles to save memory; null (the default) never does. New sessions see it.</summary>
    public VaeTiling? Tiling { get; set; }

    /// <summary>Whether decoded pixels are held in [-1, 1]; training turns it off, since a clamped pixel has no gradient.</summary>
    public bool Clamps { get; set; } = true;

    /// <summary>Is shown intermediate results by the names of diffusers' modules and the number of the chunk.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>Encodes a stream of frames.</summary>
    public VaeEncoder NewEncoder() => new(this, encoder);

    /// <summary>Decodes a stream of latents.</summary>
    public VaeDecoder NewDecoder() => new(this, decoder);

    /// <summary>The mean of the posterior, <c>[B, z, t, h, w]</c>, of a whole video; frames beyond 1 + 4k aren't looked at.</summary>
    public Tensor Encode(Tensor video)
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
        var moments = Join(parts).chunk(2, 1);
        return (moments[0].contiguous().MoveToOuterDisposeScope(), moments[1].clamp(-30, 20).MoveToOuterDisposeScope());
    }

    /// <summary>The whole video, <c>[B, 3, 1 + 4(t - 1), H, W]</c>, clamped to [-1, 1].</summary>
    public Tensor Decode(Tensor latents)
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
    public Tensor Normalise(Tensor raw) => Config.Normalise(raw);

    /// <summary>The raw latents of normalised ones.</summary>
    public Tensor Denormalise(Tensor normalised) => Config.Denormalise(normalised);

    /// <summary>
    /// Everything behind the first frame at once where gradients are kept anyway; else as many groups as fill
    /// <see cref="ChunkPixels"/>, so that memory doesn't grow with the duration and small frames make large products.
    /// </summary>
    private static long ChunkLength(bool trains, long frames, long unitPixels, long group) =>
        trains ? Math.Max(group, frames - 1) : Math.Max(1, ChunkPixels / (unitPixels * group)) * group;

    /// <summary>How many frames of a stream to encode or decode at once, the first one apart: a multiple of the time factor.</summary>
    internal int FramesPerPush(long height, long width) => ChunkOf(height * width, Config.TemporalFactor);

    /// <summary>As <see cref="FramesPerPush"/>, for frames of so many pixels and groups of so many frames.</summary>
    internal static int ChunkOf(long pixels, int group) => (int)ChunkLength(false, 0, pixels, group);

    internal static Tensor Join(IReadOnlyList<Tensor> parts) => parts.Count == 1 ? parts[0] : cat([.. parts], 2);
}
