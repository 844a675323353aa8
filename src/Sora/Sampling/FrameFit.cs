using Sora.Clips;
using Sora.Media;
using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Single latent frames whose video frames show given pictures as nearly as the decoder can: least squares on its pixels by
/// conjugate gradients (Polak and Ribière's, https://www.cs.cmu.edu/~quake-papers/painless-conjugate-gradient.pdf, section 14),
/// with the decoder's own gradients. The encoder finds what is best for all frames of a group; here the pictures weigh most.
/// </summary>
/// <param name="codec">The VAE, one that <see cref="FrameCodec.DecodesGroups"/>.</param>
/// <param name="cancel">Stops between rounds.</param>
internal sealed class FrameFit(FrameCodec codec, CancellationToken cancel)
{
    private const int Rounds = 8;

    /// <summary>What a picture weighs against a frame that is to stay as it is: much more, and those beside it flicker.</summary>
    private const double Weight = 100;

    /// <summary>A step that is small against the pixels' differences, along which decoding is as good as linear.</summary>
    private const double Probe = 0.1;

    /// <summary>
    /// Raw latents [1, C, T, h, w] of which those change that hold a picture's frame, until it is shown as well as after an
    /// encoding of its own: no more than that can be asked, and frames beside it would pay for it.
    /// </summary>
    /// <param name="latents">Raw latents of a clip.</param>
    /// <param name="stills">Pictures in the video's size, behind the first frame.</param>
    public Tensor Fit(Tensor latents, IEnumerable<Still> stills)
    {
        using var scope = NewDisposeScope();
        var (fitted, group) = (latents.clone(), codec.Group);
        foreach (var held in stills.GroupBy(still => (still.Frame + group - 1) / group).OrderBy(held => held.Key))
        {
            var (before, latent) = (fitted.narrow(2, held.Key - 1, 1), fitted.narrow(2, held.Key, 1));
            latent.copy_(Fit(before.to(codec.Device), latent.to(codec.Device), held, held.Key * group - group + 1));
        }
        return fitted.MoveToOuterDisposeScope();
    }

    /// <summary>One latent frame [1, C, 1, h, w] behind another; <paramref name="first"/> is the clip's index of its first video frame.</summary>
    private Tensor Fit(Tensor before, Tensor latent, IEnumerable<Still> stills, int first)
    {
        using var scope = NewDisposeScope();
        Tensor Decode(Tensor z) => codec.DecodeGroup(before, z);
        var (wanted, weights) = (Decode(latent), ones([1, 1, codec.Group, 1, 1], device: latent.device));
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
        Tensor? direction = null, last = null;
        for (var round = 0; round <= Rounds; round++)
        {
            cancel.ThrowIfCancellationRequested();
            var (missing, downhill) = Gradient(z, wanted, weights, Decode);
            var loss = Dot(missing * missing, weights);
            if (loss >= least) break;
            (best, least) = (z, loss);
            if (Dot(missing * missing, (weights > 1).to(float32)) <= allowed) break;
            var turn = last is null ? 0 : Math.Max(0, Dot(downhill, downhill - last) / Dot(last, last));
            direction = direction is null ? downhill : downhill + direction * turn;
            last = downhill;
            var length = Dot(direction, direction);
            if (length == 0) break;
            var probe = Probe * Math.Sqrt(Dot(missing, missing) / length);
            var slope = (Decode(z + direction * probe) - (wanted - missing)) / probe;
            z += direction * (Dot(slope * weights, missing) / Dot(slope * weights, slope));
        }
        return best.alias().MoveToOuterDisposeScope();
    }

    /// <summary>The picture after an encoding of its own.</summary>
    private Image Alone(Image picture) => codec.Decode(codec.Encode([picture], cancel).Latents, LatentSpace.Raw, cancel).Single();

    /// <summary>What the decoded frames lack, and the direction in latents in which the weighted square of that falls fastest.</summary>
    private static (Tensor Missing, Tensor Downhill) Gradient(Tensor z, Tensor wanted, Tensor weights, Func<Tensor, Tensor> decode)
    {
        using var gradients = enable_grad();
        var input = z.detach().clone().requires_grad_(true);
        var missing = wanted - decode(input);
        var gradient = autograd.grad([(missing.square() * weights).sum()], [input])[0];
        return (missing.detach(), -gradient);
    }
}
