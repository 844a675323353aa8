using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>Puts pictures among known latents, for models that take what is known as latents.</summary>
internal static class StillEncoder
{
    /// <summary>Known latents that replace the sampler's, with each still encoded at its place.</summary>
    public static EncodedConditioning Blend(VideoModel model, Conditioning conditioning, SamplingSettings settings, Precision precision)
    {
        var shape = model.LatentShape(settings);
        // Without a mask the known latents are only where the run starts.
        var (known, mask) = conditioning.Mask is null ? (null, null) : (conditioning.Known, conditioning.Mask);
        var (hints, shown) = (conditioning.Hints, new List<Still>());
        if (conditioning.Stills.Count > 0)
        {
            known = known?.clone() ?? zeros(shape, device: precision.Device);
            mask = mask?.clone() ?? zeros([1, 1, .. shape[2..]], device: precision.Device);
            using var vae = model.OpenVae(precision.Device);
            foreach (var still in conditioning.Stills.Select(still => Resized(still, settings)))
            {
                var at = model.Geometry.LatentFrameOf(still.Frame);
                known.narrow(2, at, 1).copy_(Encode(vae, still));
                if (still.Frame == 0)
                {
                    mask.narrow(2, 0, 1).fill_(1);
                    continue;
                }
                hints ??= zeros_like(mask);
                hints.narrow(2, at, 1).fill_(1);
                shown.Add(still);
            }
        }
        return model.Unconditioned with { Known = known, Mask = mask, Hints = hints, Stills = shown };
    }

    internal static Still Resized(Still still, SamplingSettings settings) =>
        still with
        {
            Picture = Resample.ToSize(still.Picture, settings.Width, settings.Height, still.Fit),
        };

    /// <summary>A still of the video's size as one normalised latent frame: after copies of itself, where it isn't the first.</summary>
    private static Tensor Encode(VideoVae vae, Still still)
    {
        var frames = vae.Geometry.VideoFrames(still.Frame == 0 ? 1 : 2);
        var pixels = Pixels.ToTensor([still.Picture], vae.Device).expand(-1, -1, frames, -1, -1);
        var latents = vae.Normalise(vae.Encode(pixels));
        return latents.narrow(2, latents.shape[2] - 1, 1);
    }
}
