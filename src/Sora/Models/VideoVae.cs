using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>One stream of frames through an encoder, or of latents through a decoder, however long, in bounded memory.</summary>
public interface IVaeStream : IDisposable
{
    /// <summary>
    /// The next part of the stream, <c>[B, C, T, H, W]</c>, whole latent
    /// frames, the first one of them alone or with others.
    /// </summary>
    Tensor Push(Tensor part);
}

/// <summary>
/// A video VAE as pipelines see it: video <c>[B, 3, F, H, W]</c> in [-1, 1], raw latents <c>[B, C, T, h, w]</c>, F and T as its
/// <see cref="Geometry"/> says.
/// </summary>
public abstract class VideoVae : IDisposable
{
    /// <summary>
    /// Pixels in the frames that pass at a time: even small frames make large
    /// products, and memory doesn't grow with the duration.
    /// </summary>
    private const long ChunkPixels = 1 << 18;

    /// <summary>How frames map to latents.</summary>
    public abstract LatentGeometry Geometry { get; }

    /// <summary>Where it computes.</summary>
    public abstract Device Device { get; }

    /// <summary>Whether a latent frame and the one before it decide what it shows.</summary>
    public virtual bool DecodesGroups => false;

    /// <summary>Latents on each side of one that affect what it shows, for a VAE that <see cref="DecodesGroups"/>.</summary>
    public virtual int Reach => 0;

    /// <summary>Normalised latents of raw ones.</summary>
    public abstract Tensor Normalise(Tensor raw);

    /// <summary>Raw latents of normalised ones.</summary>
    public abstract Tensor Denormalise(Tensor normalised);

    /// <summary>Encodes a stream of frames to raw latents, the mean of the posterior.</summary>
    public abstract IVaeStream NewEncoder();

    /// <summary>Decodes a stream of raw latents.</summary>
    public abstract IVaeStream NewDecoder();

    /// <summary>The raw latents of a whole video; frames after the last whole latent frame aren't looked at.</summary>
    public virtual Tensor Encode(Tensor video)
    {
        using var stream = NewEncoder();
        return stream.Push(video.narrow(2, 0, Geometry.WholeFrames((int)video.shape[2])));
    }

    /// <summary>The whole video of raw latents, clamped to [-1, 1].</summary>
    public virtual Tensor Decode(Tensor latents)
    {
        using var stream = NewDecoder();
        return stream.Push(latents);
    }

    /// <summary>
    /// How many frames of a stream to encode or decode at once, the first latent frame aside: a multiple of the time factor.
    /// </summary>
    internal int FramesPerPush(long height, long width) => ChunkOf(height * width, Geometry.TemporalFactor);

    /// <summary>As <see cref="FramesPerPush"/>, for frames of this many pixels and latent frames of this many frames.</summary>
    internal static int ChunkOf(long pixels, int temporalFactor) =>
        (int)Math.Max(1, ChunkPixels / (pixels * temporalFactor)) * temporalFactor;

    /// <summary>Frees the weights, where they are its own.</summary>
    public abstract void Dispose();
}
