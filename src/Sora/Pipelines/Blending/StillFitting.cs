using Sora.Clips;
using Sora.Conditions;
using Sora.Media;
using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Pipelines.Blending;

/// <summary>
/// Single latent frames whose video frames show given pictures as nearly as the decoder can: least squares on its pixels
/// by conjugate gradients (Polak and Ribière's, https://www.cs.cmu.edu/~quake-papers/painless-conjugate-gradient.pdf,
/// section 14), with the decoder's own gradients. The encoder finds the best for all frames of a group; here the pictures
/// weigh most.
/// </summary>
/// <param name="codec">The VAE, one that <see cref="FrameCodec.DecodesGroups"/>.</param>
/// <param name="cancel">Stops between rounds.</param>
internal sealed class StillFitting(FrameCodec codec, CancellationToken cancel)
{
    private const int Rounds = 24;

    /// <summary>How much a picture weighs against a frame that should stay as it is: with much more, those next to it flicker.</summary>
    private const double Weight = 100;

    /// <summary>Pixels of a frame whose gradients are taken at a time; they need a hundred times a frame.</summary>
    internal long StripPixels { get; init; } = 1 << 16;

    /// <summary>A step that is small against the pixels' differences, along which decoding is as good as linear.</summary>
    private const double Probe = 0.1;

    /// <summary>
    /// Raw latents [1, C, T, h, w], changed where they hold a picture's frame until it is shown as well as after an
    /// encoding of its own: more can't be expected, and frames next to it would pay for it.
    /// </summary>
    /// <param name="latents">Raw latents of a clip.</param>
    /// <param name="stills">Pictures in the video's size, after the first frame.</param>
    public Tensor Fit(Tensor latents, IEnumerable<Still> stills)
    {
        using var scope = NewDisposeScope();
        var (fitted, geometry) = (latents.clone(), codec.Geometry);
        foreach (var held in stills.GroupBy(still => geometry.LatentFrameOf(still.Frame)).OrderBy(held => held.Key))
        {
            var (before, latent) = (fitted.narrow(2, held.Key - 1, 1), fitted.narrow(2, held.Key, 1));
            latent.copy_(Fit(before.to(codec.Device), latent.to(codec.Device), held, geometry.VideoFrames(held.Key)));
        }
        return fitted.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// One latent frame [1, C, 1, h, w] after another; <paramref name="first"/> is the clip's index of its first video
    /// frame.
    /// </summary>
    private Tensor Fit(Tensor before, Tensor latent, IEnumerable<Still> stills, int first)
    {
        using var scope = NewDisposeScope();
        Tensor Decode(Tensor z) => codec.DecodeGroup(before, z);
        var (wanted, weights) = (Decode(latent), ones([1, 1, codec.Geometry.TemporalFactor, 1, 1], device: latent.device));
        var allowed = 0.0;
        foreach (var still in stills)
        {
            var picture = Pixels.ToTensor([still.Picture], latent.device);
            allowed += (picture - Pixels.ToTensor([Alone(still.Picture)], latent.device)).square().sum().ToDouble();
            wanted.narrow(2, still.Frame - first, 1).copy_(picture);
            weights.narrow(2, still.Frame - first, 1).fill_(Weight);
        }
        double Dot(Tensor a, Tensor b) => (a * b).sum().ToDouble();
        var (z, best, least) = (latent, latent, double.PositiveInfinity);
        Tensor? direction = null,
            last = null;
        for (var round = 0; round <= Rounds; round++)
        {
            cancel.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var (missing, downhill) = Gradient(before, z, wanted, weights);
            var loss = Dot(missing * missing, weights);
            if (loss >= least)
                break;
            (best, least) = (z, loss);
            if (Dot(missing * missing, (weights > 1).to(float32)) <= allowed)
                break;
            var turn = last is null ? 0 : Math.Max(0, Dot(downhill, downhill - last) / Dot(last, last));
            direction = (direction is null ? downhill.alias() : downhill + direction * turn).MoveToOuterDisposeScope();
            last = downhill.MoveToOuterDisposeScope();
            var length = Dot(direction, direction);
            if (length == 0)
                break;
            var probe = Probe * Math.Sqrt(Dot(missing, missing) / length);
            var slope = (Decode(z + direction * probe) - (wanted - missing)) / probe;
            z = (z + direction * (Dot(slope * weights, missing) / Dot(slope * weights, slope))).MoveToOuterDisposeScope();
        }
        return best.alias().MoveToOuterDisposeScope();
    }

    /// <summary>The picture after an encoding of its own.</summary>
    private Image Alone(Image picture) => codec.Decode(codec.Encode([picture], cancel).Latents, LatentSpace.Raw, cancel).Single();

    /// <summary>
    /// What the decoded frames lack, and the direction in latents in which its weighted square falls fastest: strip by
    /// strip, each with as much around it as affects it.
    /// </summary>
    private (Tensor Missing, Tensor Downhill) Gradient(Tensor before, Tensor z, Tensor wanted, Tensor weights)
    {
        var (rows, factor, missing, downhill) = (z.shape[3], wanted.shape[3] / z.shape[3], empty_like(wanted), zeros_like(z));
        var strip = Math.Max(1, StripPixels / (wanted.shape[4] * factor));
        for (long top = 0; top < rows; top += strip)
        {
            using var scope = NewDisposeScope();
            using var gradients = enable_grad();
            var (from, bottom) = (Math.Max(0, top - codec.Reach), Math.Min(rows, top + strip));
            var around = Math.Min(rows, bottom + codec.Reach) - from;
            var input = z.narrow(3, from, around).detach().clone().requires_grad_(true);
            var shown = codec
                .DecodeGroup(before.narrow(3, from, around).contiguous(), input)
                .narrow(3, (top - from) * factor, (bottom - top) * factor);
            var lacks = wanted.narrow(3, top * factor, (bottom - top) * factor) - shown;
            downhill.narrow(3, from, around).sub_(autograd.grad([(lacks.square() * weights).sum()], [input])[0]);
            missing.narrow(3, top * factor, (bottom - top) * factor).copy_(lacks.detach());
        }
        return (missing, downhill);
    }
}
