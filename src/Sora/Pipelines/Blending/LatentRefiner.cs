using Sora.Clips;
using Sora.Conditions;
using Sora.Media;
using Sora.Models;
using Sora.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Pipelines.Blending;

/// <summary>
/// Moves latents so that their video comes nearer to what it should be. Decoding and encoding are only nearly inverse, so
/// encoding loses something each time, even of frames that a decoder made. Here the latents move by what the wanted and
/// the actual video differ by once encoded, z += E(wanted) - E(D(z)), a few times over. Frames that must show a picture
/// are then fitted where the decoder allows it (<see cref="StillFitting"/>).
/// </summary>
internal sealed class LatentRefiner(FrameCodec codec, CancellationToken cancel)
{
    private const int Rounds = 2;

    /// <summary>Frames on each side of a pinned one that share the difference.</summary>
    private const int Fade = 3;

    /// <summary>Raw latents [1, C, T, h, w] of frames.</summary>
    /// <param name="frames">As many as the VAE encodes; read several times over.</param>
    /// <param name="first">Latents that the result begins with, as they are; null for none.</param>
    /// <param name="seam">A frame among them that matters more than those beside it; null for none.</param>
    public Tensor Encode(IEnumerable<Image> frames, Tensor? first = null, Still? seam = null)
    {
        using var scope = NewDisposeScope();
        var latents = Latents(frames);
        var known = zeros([1, 1, latents.shape[2], 1, 1]);
        if (first is not null)
        {
            latents.narrow(2, 0, first.shape[2]).copy_(first);
            known.narrow(2, 0, first.shape[2]).fill_(1);
        }
        var near = Towards(latents, known, _ => frames);
        return (seam is null ? near : Fitted(near, known, [seam])).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Raw latents whose frames show given pictures. A latent frame is four video frames, so a picture's own latents
    /// can't be put there. The frames before and after fade towards the difference.
    /// </summary>
    /// <param name="latents">Raw latents [1, C, T, h, w] of a clip.</param>
    /// <param name="known">Where they stay as they are, ones and zeros that broadcast to [1, 1, T, h, w]; null is nowhere.</param>
    /// <param name="stills">The pictures, in the video's size.</param>
    public Tensor Pin(Tensor latents, Tensor? known, IReadOnlyList<Still> stills)
    {
        using var scope = NewDisposeScope();
        var near = Towards(latents, known, actual => Changed(actual, Differences(actual, stills)));
        return Fitted(near, known, stills).MoveToOuterDisposeScope();
    }

    /// <summary>The latents, moved nearer still where they hold the stills' frames, except where they are known.</summary>
    private Tensor Fitted(Tensor latents, Tensor? known, IReadOnlyList<Still> stills)
    {
        if (!codec.DecodesGroups)
            return latents;
        var fitted = new StillFitting(codec, cancel).Fit(latents, stills);
        return known is null ? fitted : where(known.cpu() > 0.5, latents, fitted);
    }

    /// <summary>Moves latents towards the video that a function makes from theirs.</summary>
    private Tensor Towards(Tensor latents, Tensor? known, Func<IEnumerable<Image>, IEnumerable<Image>> wanted)
    {
        using var scope = NewDisposeScope();
        var (before, least) = (latents, double.PositiveInfinity);
        for (var round = 0; round < Rounds; round++)
        {
            var actual = codec.Decode(TensorIO.ToHost(latents), LatentSpace.Raw, cancel);
            var change = Latents(wanted(actual)) - Latents(actual);
            if (known is not null)
                change *= 1 - known.cpu();
            // With a VAE that isn't nearly its own inverse this diverges: then the last step is undone.
            var size = change.square().mean().ToDouble();
            if (size > least)
                return before.alias().MoveToOuterDisposeScope();
            (before, least) = (latents, size);
            latents = latents + change;
        }
        return latents.MoveToOuterDisposeScope();
    }

    private Tensor Latents(IEnumerable<Image> frames) => TensorIO.ToTensor(codec.Encode(frames, cancel).Latents);

    /// <summary>What is missing at each still's frame, a signed number for each byte.</summary>
    private static Dictionary<int, short[]> Differences(IEnumerable<Image> frames, IReadOnlyList<Still> stills)
    {
        // Of two pictures for one frame the later one counts.
        var wanted = stills.GroupBy(still => still.Frame).ToDictionary(group => group.Key, group => group.Last().Picture.Pixels);
        return frames
            .Take(wanted.Keys.Max() + 1)
            .Select((frame, index) => (frame, index))
            .Where(at => wanted.ContainsKey(at.index))
            .ToDictionary(at => at.index, at => at.frame.Pixels.Zip(wanted[at.index], (has, should) => (short)(should - has)).ToArray());
    }

    private static IEnumerable<Image> Changed(IEnumerable<Image> frames, Dictionary<int, short[]> differences) =>
        frames.Select(
            (frame, index) =>
            {
                List<(int At, short[] Difference)> near = differences.TryGetValue(index, out var exact)
                    ? [(index, exact)]
                    : [.. differences.Where(at => Math.Abs(at.Key - index) <= Fade).Select(at => (at.Key, at.Value))];
                if (near.Count == 0)
                    return frame;
                var changed = new Image(frame.Width, frame.Height);
                for (var i = 0; i < changed.Pixels.Length; i++)
                {
                    double value = frame.Pixels[i];
                    foreach (var (at, difference) in near)
                        value += difference[i] * (1 - Math.Abs(at - index) / (Fade + 1.0));
                    changed.Pixels[i] = (byte)Math.Clamp(Math.Round(value), 0, 255);
                }
                return changed;
            }
        );
}
