using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>Known latents as frames, for models that take what is known as pixels.</summary>
/// <param name="Video">[1, 3, F, H, W] in [-1, 1]; what isn't known shows anything.</param>
/// <param name="Kept">[1, 1, F, H, W], 1 where it is known.</param>
internal sealed record KnownPixels(Tensor Video, Tensor Kept)
{
    /// <summary>Decodes known latents.</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="known">Normalised latents [1, C, T, h, w].</param>
    /// <param name="mask">Where they hold, [1, 1, T, h, w].</param>
    public static KnownPixels Decode(VideoVae vae, Tensor known, Tensor mask)
    {
        var geometry = vae.Geometry;
        var video = vae.Decode(vae.Denormalise(WithoutGaps(known, mask)));
        var latentOf = Enumerable.Range(0, (int)video.shape[2]).Select(frame => (long)geometry.LatentFrameOf(frame)).ToArray();
        var kept = mask.index_select(2, tensor(latentOf, device: mask.device))
            .repeat_interleave(geometry.SpatialFactor, 3)
            .repeat_interleave(geometry.SpatialFactor, 4);
        return new(video, kept);
    }

    /// <summary>The first and the last frame that are known at least in part.</summary>
    public (Image First, Image Last) Ends()
    {
        using var scope = NewDisposeScope();
        var known = AnyOf(Kept);
        Image At(int frame) => Pixels.ToImages(Video.narrow(2, frame, 1))[0];
        return (At(Array.IndexOf(known, true)), At(Array.LastIndexOf(known, true)));
    }

    /// <summary>
    /// Latents in which a gap of zeros shows the frame after it, standing still (at the end, the one before): known
    /// latents after a gap were encoded after just that.
    /// </summary>
    private static Tensor WithoutGaps(Tensor known, Tensor mask)
    {
        var (isKnown, isThere) = (AnyOf(mask), AnyOf(known.abs()));
        long Source(int frame)
        {
            if (isKnown[frame] || isThere[frame])
                return frame;
            var next = Array.IndexOf(isKnown, true, frame);
            return next >= 0 ? next : Array.LastIndexOf(isKnown, true);
        }
        long[] sources = [.. Enumerable.Range(0, isKnown.Length).Select(Source)];
        return known.index_select(2, tensor(sources, device: known.device));
    }

    /// <summary>For each frame, whether anything in it is above zero.</summary>
    private static bool[] AnyOf(Tensor frames)
    {
        using var scope = NewDisposeScope();
        return [.. frames.amax([0, 1, 3, 4]).cpu().data<float>().ToArray().Select(value => value > 0)];
    }
}
