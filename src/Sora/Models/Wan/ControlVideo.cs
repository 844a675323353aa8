using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Wan;

/// <summary>
/// The control of a VACE model (arXiv:2503.07598): what stays of a video and what changes, each encoded with the other
/// part grey, the mask folded into channels, and reference pictures as frames in front.
/// </summary>
internal sealed class ControlVideo(WanModel model, SamplingSettings settings, Precision precision)
{
    /// <summary>Pixels a side of a latent, which are the mask's channels.</summary>
    private readonly int spatialFactor = model.Vae.SpatialFactor;

    /// <summary>The conditioning of a run.</summary>
    /// <exception cref="SoraException">The control video is too short, or its mask has another length.</exception>
    public EncodedConditioning Encode(EncodedConditioning encoded, Conditioning known)
    {
        var control = known.Control ?? new Control();
        var layers = model.Transformer.VaceLayers!.Count;
        if (control.Scale.Count != 1 && control.Scale.Count != layers)
            throw SoraException.Usage($"{control.Scale.Count} control scales for {layers} control layers", $"give one, or {layers}");

        using var vae = model.OpenVae(precision.Device);
        var (video, mask) = control.Video.Count > 0 ? Given(control) : FromKnown(vae, known);
        var made = (mask > 0.5).to(float32);
        var latents = cat([Encode(vae, video * (1 - made)), Encode(vae, video * made)], 1);
        var channels = Fold(mask, latents.shape[2]);
        var size = new FrameSize((int)video.shape[4], (int)video.shape[3]);
        foreach (var reference in control.References)
        {
            var shown = Encode(vae, OnCanvas(reference, size));
            latents = cat([cat([shown, zeros_like(shown)], 1), latents], 2);
            channels = cat([zeros_like(channels.narrow(2, 0, 1)), channels], 2);
        }
        return encoded with
        {
            Inputs = new Dictionary<string, Tensor> { [WanNetwork.Control] = cat([latents, channels], 1) },
            ControlScale = control.Scale.Count == 1 ? [.. Enumerable.Repeat(control.Scale[0], layers)] : control.Scale,
            References = control.References.Count,
        };
    }

    private static Tensor Encode(VideoVae vae, Tensor video) => vae.Normalise(vae.Encode(video));

    /// <summary>The given video and mask (1 where it is remade), resized to no more pixels than requested.</summary>
    private (Tensor Video, Tensor Mask) Given(Control control)
    {
        control.RequireLength(settings.Frames);
        var size = Size(control.Video[0]);
        var video = Resized(control.Video, size);
        if (control.Mask.Count == 0)
            return (video, ones_like(video.narrow(1, 0, 1)));
        var mask = Resized(control.Mask, size).narrow(1, 0, 1).add(1).div(2).clamp(0, 1);
        return (video, mask.expand(-1, -1, settings.Frames, -1, -1));
    }

    /// <summary>A grey video that shows what is known and stays.</summary>
    private (Tensor Video, Tensor Mask) FromKnown(VideoVae vae, Conditioning known)
    {
        var video = zeros([1, 3, settings.Frames, settings.Height, settings.Width], device: precision.Device);
        var mask = ones([1, 1, settings.Frames, settings.Height, settings.Width], device: precision.Device);
        if (known is { Known: { } latents, Mask: { } places })
        {
            var pixels = KnownPixels.Decode(vae, latents, places);
            (video, mask) = (video + pixels.Video * pixels.Kept, 1 - pixels.Kept);
        }
        foreach (var still in known.Stills)
        {
            var picture = Resample.ToSize(still.Picture, settings.Width, settings.Height, still.Fit);
            video.narrow(2, still.Frame, 1).copy_(Pixels.ToTensor([picture], precision.Device));
            mask.narrow(2, still.Frame, 1).fill_(0);
        }
        return (video, mask);
    }

    /// <summary>The size that a control video is resized to: its own, cut to tokens, or scaled down to the requested area.</summary>
    private FrameSize Size(Image frame)
    {
        int width = frame.Width / spatialFactor * spatialFactor,
            height = frame.Height / spatialFactor * spatialFactor;
        if ((long)width * height > (long)settings.Width * settings.Height)
        {
            var scale = Math.Min((double)settings.Width / width, (double)settings.Height / height);
            (width, height) = ((int)(width * scale), (int)(height * scale));
        }
        var patch = model.Transformer.PatchSize;
        return new FrameSize(
            width / (spatialFactor * patch.Columns) * spatialFactor * patch.Columns,
            height / (spatialFactor * patch.Rows) * spatialFactor * patch.Rows
        );
    }

    private Tensor Resized(IReadOnlyList<Image> frames, FrameSize size) =>
        Pixels.ToTensor(
            [.. frames.Take(settings.Frames).Select(frame => Resample.Lanczos(frame, size.Width, size.Height))],
            precision.Device
        );

    /// <summary>[1, 1, F, H, W] to [1, 64, T, h, w]: pixels of a latent become channels, and frames are dropped to the nearest.</summary>
    private Tensor Fold(Tensor mask, long latentFrames)
    {
        var (frames, rows, columns) = (mask.shape[2], mask.shape[3] / spatialFactor, mask.shape[4] / spatialFactor);
        var folded = mask.reshape(frames, rows, spatialFactor, columns, spatialFactor)
            .permute(2, 4, 0, 1, 3)
            .reshape(1, spatialFactor * spatialFactor, frames, rows, columns);
        var nearest = Enumerable.Range(0, (int)latentFrames).Select(i => (long)Math.Floor((i + 0.5) * frames / latentFrames)).ToArray();
        return folded.index_select(2, tensor(nearest, device: precision.Device));
    }

    /// <summary>A reference, as large as fits, in the middle of a white frame: [1, 3, 1, H, W].</summary>
    private Tensor OnCanvas(Image reference, FrameSize size)
    {
        int width = reference.Width / spatialFactor * spatialFactor,
            height = reference.Height / spatialFactor * spatialFactor;
        var picture = Pixels.ToTensor([Resample.Lanczos(reference, width, height)], precision.Device).squeeze(2);
        var scale = Math.Min((double)size.Height / height, (double)size.Width / width);
        int fitWidth = (int)(width * scale),
            fitHeight = (int)(height * scale);
        var fitted = functional.interpolate(picture, [fitHeight, fitWidth], mode: InterpolationMode.Bilinear, align_corners: false);
        var canvas = ones([1, 3, size.Height, size.Width], device: precision.Device);
        canvas.narrow(2, (size.Height - fitHeight) / 2, fitHeight).narrow(3, (size.Width - fitWidth) / 2, fitWidth).copy_(fitted);
        return canvas.unsqueeze(2);
    }
}
