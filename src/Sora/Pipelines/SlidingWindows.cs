using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>Which of a video's windows a run is in.</summary>
/// <param name="Done">Latent frames of the video that are done: the first one that the window makes.</param>
/// <param name="Behind">Windows that are done.</param>
/// <param name="All">Windows of the video.</param>
public sealed record WindowPlace(int Done, int Behind, int All);

/// <summary>
/// Videos of any length: windows slide over what exists so far, each filling in what comes after it. A window ends where
/// another prompt takes over, and one that comes near to known frames further on sees some of them, so that it can lead
/// there. A video that fits into one window, and has one prompt, is made in one piece.
/// </summary>
/// <param name="pipeline">Samples each window.</param>
/// <param name="settings">Of the whole video.</param>
/// <param name="control">A control video, of which each window takes its part.</param>
internal sealed class SlidingWindows(VideoPipeline pipeline, SamplingSettings settings, Control? control = null)
{
    private readonly LatentGeometry geometry = pipeline.Model.Geometry;

    /// <summary>Whether a video is longer than a window, or has several prompts.</summary>
    public static bool Needed(VideoModel model, SamplingSettings settings)
    {
        if (settings.Window <= settings.Overlap)
            throw SoraException.Usage(
                $"a window of {settings.Window} frames can't overlap by {settings.Overlap}",
                "--overlap must be smaller than --window"
            );
        return settings.Later.Any(later => later.Frame < settings.Frames)
            || model.Geometry.LatentFrames(settings.Frames) > model.Geometry.LatentFrames(settings.Window);
    }

    /// <summary>
    /// What is known of the whole video, for windows to take parts of; they fill in its
    /// <see cref="EncodedConditioning.Known"/>.
    /// </summary>
    /// <param name="conditioning">What is known, without stills.</param>
    /// <param name="noise">Noise to start from, in the shape of the latents; null: from the seed.</param>
    public EncodedConditioning Video(Conditioning conditioning, Tensor? noise = null)
    {
        var shape = pipeline.Model.LatentShape(settings);
        var known = conditioning.Known?.clone() ?? zeros(shape, device: pipeline.Device);
        return pipeline.Model.Unconditioned with
        {
            Known = known,
            Mask = conditioning.Mask ?? zeros([1, 1, .. shape[2..]], device: known.device),
            Exact = conditioning.Exact,
            Hints = conditioning.Hints,
            Noise = noise,
        };
    }

    /// <summary>Fills in what is unknown of a video of <see cref="SamplingSettings.Frames"/> frames.</summary>
    /// <returns>Normalised latents [1, C, T, h, w]; where the mask is 1 they are the known ones.</returns>
    public Tensor Fill(Conditioning conditioning)
    {
        using var scope = NewDisposeScope();
        var video = Video(conditioning);
        Fill(video, null, new RunOptions(), now => throw new InvalidOperationException($"stopped after {now.State.Call} calls"));
        return video.Known!.MoveToOuterDisposeScope();
    }

    /// <summary>Advances a video as far as the options of a request say.</summary>
    /// <param name="request">The run.</param>
    /// <param name="video">What is known, and gets what is made.</param>
    /// <param name="stopped">Where a run of it stopped; null at its start.</param>
    public Clip Run(GenerationRequest request, EncodedConditioning video, SamplingCheckpoint? stopped)
    {
        using var scope = NewDisposeScope();
        var clip = request.Run.Carrier ?? pipeline.NewClip(settings);
        var schedule = settings.MakeSchedule(pipeline.Defaults.Scheduler);
        var unfinished = Fill(video, stopped, request.Run, now => now.ToClip(clip, pipeline.Model, schedule));
        return unfinished ?? clip with { Latents = pipeline.ToLatents(video.Known!, video) };
    }

    /// <summary>Fills in what is unknown of a video, as far as the options say.</summary>
    /// <param name="video">What is known, and gets what is made.</param>
    /// <param name="stopped">Where a run of it stopped; null at its start.</param>
    /// <param name="options">Where to stop; steps count over all windows.</param>
    /// <param name="store">Makes a clip of where the run stands.</param>
    /// <returns>The unfinished clip where it stops, null at the end.</returns>
    private Clip? Fill(EncodedConditioning video, SamplingCheckpoint? stopped, RunOptions options, Func<SamplingCheckpoint, Clip> store)
    {
        using var scope = NewDisposeScope();
        control?.RequireLength(settings.Frames);
        var (done, windows) = stopped?.Place is { } place ? (place.Done, place.Behind) : (0, 0);
        var mask = video.Mask!.clone();
        if (done > 0)
            mask.narrow(2, 0, done).fill_(1);
        var known = Masks.WhollyKnown(mask);
        var (all, calls, steps) = (windows + Count(known, done), pipeline.CallsOf(settings), pipeline.StepsOf(settings));
        for (done = Unknown(known, done); done < known.Length; windows++)
        {
            using var window = NewDisposeScope();
            var (start, end) = Next(known, done);
            var at = Begin(video with { Mask = mask }, (start, end), done) with { Place = new WindowPlace(done, windows, all) };
            if (stopped is not null)
                at = at with { State = stopped.State, Cache = stopped.Cache };
            stopped = null;
            Clip Stored(SamplingCheckpoint now) =>
                store(
                    now with
                    {
                        Settings = settings,
                        Conditioning = video,
                        Estimate = now.Estimate is { } estimate ? cat([video.Known!.narrow(2, 0, start), estimate], 2) : null,
                    }
                );
            var until = options.Until - windows * steps;
            var now = pipeline.Advance(
                at,
                pipeline.Prompt(at.Settings),
                options with
                {
                    Until = until,
                },
                options.Checkpoint is { } keep ? now => keep(Stored(now)) : null
            );
            done = Unknown(known, end);
            if (now.State.Call < calls || (until <= steps && done < known.Length))
                return Stored(now);
            video.Known!.narrow(2, start, end - start).copy_(pipeline.RestoreKnown(at.Conditioning, now.State.Latents));
            mask.narrow(2, start, end - start).fill_(1);
        }
        return null;
    }

    /// <summary>The latent frames [start, end) of the window that fills in from <paramref name="done"/> on, as far as it reaches.</summary>
    internal (int Start, int End) Next(bool[] known, int done)
    {
        var (total, window) = (known.Length, Math.Min(known.Length, geometry.LatentFrames(settings.Window)));
        var overlap = Math.Min(Math.Min(done, window - 1), geometry.LatentFrames(settings.Overlap));
        var gap = known.AsSpan(done).IndexOf(true) is >= 0 and var length ? length : total - done;
        var target =
            done + gap == total
                ? 0
                : Math.Min(known.AsSpan(done + gap).IndexOf(false) is >= 0 and var run ? run : total - done - gap, Math.Max(1, window / 4));
        var prompt = LaterPrompts().Where(latent => latent > done).Append(total).Min();
        // The last piece before what is known has room for some of it; the piece before it leaves it as much as it can take.
        var last = Math.Max(1, window - overlap - target);
        var fresh = gap <= last ? gap + target : Math.Min(window - overlap, target == 0 ? gap : gap - last);
        var end = done + fresh;
        if (prompt < done + Math.Min(fresh, gap))
            end = prompt;
        else if (gap <= last && target > 0)
            end = Math.Max(end, Math.Min(WithKnown(known, end), done - overlap + window));
        return (Math.Max(0, end - window), end);
    }

    /// <summary>The run of a window, before its first model call.</summary>
    private SamplingCheckpoint Begin(EncodedConditioning video, (int Start, int End) window, int done)
    {
        var (start, length) = (window.Start, window.End - window.Start);
        Tensor? Part(Tensor? whole) => whole?.narrow(2, start, length);
        // A mask of zeros is no mask: the network takes the same path, and the result has the same bits, as without windows.
        var nothing = video.Hints is null && Part(video.Mask)!.max().ToDouble() == 0;
        return pipeline.Begin(
            At(start, length, done),
            new Conditioning
            {
                Known = Part(video.Known),
                Mask = nothing ? null : Part(video.Mask),
                Hints = Part(video.Hints),
                Control = ControlOf(start, length),
            },
            Part(video.Noise)
        );
    }

    /// <summary>
    /// The control of a window, whose first latent frame stands for a single
    /// video frame: the last of those that it was made from.
    /// </summary>
    private Control? ControlOf(int start, int length)
    {
        IReadOnlyList<Image> Frames(IReadOnlyList<Image> whole) =>
            whole.Count <= 1 ? whole : [.. whole.Skip(start * geometry.TemporalFactor).Take(geometry.VideoFrames(length))];
        return control is null ? null : control with { Video = Frames(control.Video), Mask = Frames(control.Mask) };
    }

    /// <summary>How many windows fill in what is unknown from a latent frame on.</summary>
    private int Count(bool[] known, int from)
    {
        var count = 0;
        for (var done = Unknown(known, from); done < known.Length; done = Unknown(known, Next(known, done).End))
            count++;
        return count;
    }

    /// <summary>The first unknown latent frame at or after one; their number where there is none.</summary>
    private static int Unknown(bool[] known, int from) =>
        known.AsSpan(from).IndexOf(false) is >= 0 and var ahead ? from + ahead : known.Length;

    /// <summary>The end of the known latent frames that begin before <paramref name="end"/>.</summary>
    private static int WithKnown(bool[] known, int end)
    {
        while (end < known.Length && known[end])
            end++;
        return end;
    }

    /// <summary>Latent frames where another prompt takes over.</summary>
    private IEnumerable<int> LaterPrompts() => settings.Later.Select(later => geometry.LatentFrameOf(later.Frame));

    /// <summary>Settings of a window of latent frames; those from <paramref name="fresh"/> on are new.</summary>
    private SamplingSettings At(int start, int length, int fresh) =>
        settings with
        {
            Frames = geometry.VideoFrames(length),
            FirstLatent = settings.FirstLatent + start,
            Prompt = settings.Later.LastOrDefault(later => geometry.LatentFrameOf(later.Frame) <= fresh)?.Prompt ?? settings.Prompt,
            Later = [],
        };
}
