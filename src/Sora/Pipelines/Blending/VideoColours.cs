using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Pipelines.Blending;

/// <summary>
/// Colours as a viewer sees them: red, green and blue of each video frame. A latent frame holds several of these, and its
/// own channels say little about the step from the last known one to the first made one.
/// </summary>
internal sealed class VideoColours : IColours
{
    /// <summary>Known latent frames that show how much change is usual.</summary>
    private const int Measured = 4;

    private readonly FrameCodec codec;
    private readonly VideoModel model;

    /// <param name="codec">The VAE, one that <see cref="FrameCodec.DecodesGroups"/>.</param>
    /// <param name="model">Its model.</param>
    /// <param name="latents">Normalised latents [1, C, T, h, w].</param>
    public VideoColours(FrameCodec codec, VideoModel model, Tensor latents) =>
        (this.codec, this.model, Latents) = (codec, model, latents.clone());

    public Tensor Latents { get; }

    public Correction[]? Usual(Join join)
    {
        using var scope = NewDisposeScope();
        // A single frame says nothing about change: what follows it does.
        if (join is { Edge: 0, Away: < 0 })
            return ColourMatching.MeanChange(Colours(Decode(0, 1)));
        // The one that looks back to made frames, or is the video's first frame, is left out if there are others: after
        // frames that aren't corrected yet it comes out differently.
        var count = Math.Clamp(join.Count - 1, 1, Measured);
        var start =
            join.Away < 0 ? join.Edge - count + 1
            : join.Count > 1 ? join.Edge + 1
            : join.Edge;
        return ColourMatching.MeanChange([.. codec.DecodeGroups(Raw(start - 1, count + 1)).SelectMany(Colours)]);
    }

    public (ChannelStatistics[] Known, ChannelStatistics[] Made) Across(Join join, Correction[] corrections)
    {
        using var scope = NewDisposeScope();
        var made = join.Edge - join.Away;
        Tensor Corrected(int frame) =>
            Raw(frame, 1) + Change(frame == 0 ? codec.DecodeFirst(Raw(0, 1)) : Decode(frame - 1, frame), _ => corrections);
        var corrected = Corrected(made);
        if (join.Away < 0)
        {
            var known = join.Edge == 0 ? codec.DecodeFirst(Raw(0, 1)) : Decode(join.Edge - 1, join.Edge);
            return (Colours(known)[^1], Colours(codec.DecodeGroup(Raw(join.Edge, 1), corrected))[0]);
        }
        // What is known after a gap looks back to what is made.
        var before = join.Made > 1 ? Corrected(made - 1) : Raw(made - 1, 1);
        return (Colours(codec.DecodeGroup(corrected, Raw(join.Edge, 1)))[0], Colours(codec.DecodeGroup(before, corrected))[^1]);
    }

    public void Correct((int Start, int End) run, Func<double, Correction[]> at)
    {
        using var scope = NewDisposeScope();
        // The video's own first frame, or what the run looks back to.
        var (before, start) = (Math.Max(0, run.Start - 1), run.Start);
        var raw = Raw(before, run.End - before);
        var (shown, frames) = (
            Shown(raw.clone(), run.Start > 0),
            codec.Geometry.VideoFrames(run.End) - codec.Geometry.VideoFrames(run.Start)
        );
        var first = 0;
        foreach (var group in shown)
        {
            using var _ = group;
            raw.narrow(2, start++ - before, 1).add_(Change(group, frame => at((first + frame) / Math.Max(1.0, frames - 1))));
            first += (int)group.shape[2];
        }
        Latents.narrow(2, run.Start, run.End - run.Start).copy_(model.Normalise(raw.narrow(2, run.Start - before, run.End - run.Start)));
    }

    /// <summary>What each raw latent frame shows, or each but the first.</summary>
    private IEnumerable<Tensor> Shown(Tensor raw, bool skipFirst)
    {
        if (!skipFirst)
            yield return codec.DecodeFirst(raw.narrow(2, 0, 1));
        foreach (var group in codec.DecodeGroups(raw))
            yield return group;
    }

    /// <summary>What is added to a latent frame so that what it shows is corrected, frame by frame: its encoder is linear.</summary>
    private Tensor Change(Tensor shown, Func<int, Correction[]> at)
    {
        using var scope = NewDisposeScope();
        var wanted = shown.clone();
        for (var frame = 0; frame < shown.shape[2]; frame++)
        {
            var corrections = at(frame);
            for (var c = 0; c < corrections.Length; c++)
            {
                var own = wanted.narrow(1, c, 1).narrow(2, frame, 1);
                var (mean, factor) = (own.mean(), Math.Exp(corrections[c].Contrast));
                own.copy_((own - mean) * factor + mean + corrections[c].Level);
            }
        }
        return (codec.EncodeGroup(wanted) - codec.EncodeGroup(shown)).MoveToOuterDisposeScope();
    }

    private Tensor Decode(int before, int latent) => codec.DecodeGroup(Raw(before, 1), Raw(latent, 1));

    private Tensor Raw(int start, int count) => model.Denormalise(Latents.narrow(2, start, count).to(float32));

    /// <summary>Of each frame of [1, 3, F, H, W].</summary>
    private static List<ChannelStatistics[]> Colours(Tensor video)
    {
        using var scope = NewDisposeScope();
        var (channels, frames, pixels) = ((int)video.shape[1], (int)video.shape[2], (int)(video.shape[3] * video.shape[4]));
        var values = video.cpu().contiguous().data<float>().ToArray();
        return
        [
            .. Enumerable
                .Range(0, frames)
                .Select(f =>
                    Enumerable
                        .Range(0, channels)
                        .Select(c => ChannelStatistics.Of(values.AsSpan((c * frames + f) * pixels, pixels)))
                        .ToArray()
                ),
        ];
    }
}
