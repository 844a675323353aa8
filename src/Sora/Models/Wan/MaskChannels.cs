using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models.Vision;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// Pictures and known latents for models that take them as extra channels (Wan I2V, first and last frame): a mask, and
/// the latents of a video that shows the known frames and is grey elsewhere; CLIP sees the first picture as well.
/// </summary>
internal static class MaskChannels
{
    /// <summary>The conditioning of a run.</summary>
    public static EncodedConditioning Encode(WanModel model, SamplingSettings settings, Conditioning known, Precision precision)
    {
        var stills = known.Stills.Select(still => StillEncoder.Resized(still, settings)).ToList();
        var seen = model.Transformer.ImageDim is null ? [] : Seen(model, known, precision);
        var inputs = new Dictionary<string, Tensor> { [WanNetwork.Channels] = Channels(model, settings, known, stills, precision) };
        if (seen.Count > 0)
            inputs[WanNetwork.Image] = Embed(model, seen, precision);
        return model.Unconditioned with { Known = known.Mask is null ? null : known.Known, Mask = known.Mask, Inputs = inputs };
    }

    /// <summary>The pictures that CLIP looks at: the first one, or the first and the last one.</summary>
    private static List<Image> Seen(WanModel model, Conditioning known, Precision precision)
    {
        var wanted = model.PicturesSeen;
        var pictures = known.Stills.OrderBy(still => still.Frame).Select(still => still.Picture).ToList();
        if (pictures.Count < wanted && known is { Known: { } latents, Mask: { } places })
        {
            using var vae = model.OpenVae(precision.Device);
            var (first, last) = KnownPixels.Decode(vae, latents, places).Ends();
            pictures = [first, last];
        }
        return wanted == 1 ? [pictures[0]] : [pictures[0], pictures[^1]];
    }

    /// <summary>[1, 4 + C, T, h, w]: the mask, a channel for each frame of a latent frame, and the condition.</summary>
    private static Tensor Channels(
        WanModel model,
        SamplingSettings settings,
        Conditioning known,
        IReadOnlyList<Still> stills,
        Precision precision
    )
    {
        var factor = model.Vae.TemporalFactor;
        var video = zeros([1, 3, settings.Frames, settings.Height, settings.Width], device: precision.Device);
        var shown = new float[settings.Frames + factor - 1];
        foreach (var still in stills)
        {
            video.narrow(2, still.Frame, 1).copy_(Pixels.ToTensor([still.Picture], precision.Device));
            // The first frame fills its whole latent frame.
            if (still.Frame == 0)
                shown.AsSpan(0, factor).Fill(1);
            else
                shown[still.Frame + factor - 1] = 1;
        }
        using var vae = model.OpenVae(precision.Device);
        var condition = vae.Normalise(vae.Encode(video));
        var (frames, rows, columns) = (condition.shape[2], condition.shape[3], condition.shape[4]);
        var mask = tensor(shown, [1, frames, factor, 1, 1], device: precision.Device).transpose(1, 2).expand(-1, -1, -1, rows, columns);
        if (known is { Known: { } latents, Mask: { } places })
        {
            condition = where(places > 0.5, latents, condition);
            mask = maximum(mask, places);
        }
        return cat([mask, condition], 1);
    }

    /// <summary>What CLIP sees in pictures: [n, tokens, D].</summary>
    private static Tensor Embed(WanModel model, IReadOnlyList<Image> seen, Precision precision)
    {
        var config = ClipVisionConfig.From(model.Config("image_encoder"));
        var processor = ClipPixels.Of(model, config);
        using var weights = Weights.From(model.OpenWeights("image_encoder"), precision.Options);
        var encoder = new ClipVision(config, weights);
        var pixels = seen.Select(picture =>
        {
            var (width, height) = processor.ResizedTo(picture.Width, picture.Height);
            return processor.Normalise(Resample.Bicubic(picture, width, height).Pixels, width, height);
        });
        return encoder.Forward(cat([.. pixels]).to(precision.Device)).to(float32);
    }
}
