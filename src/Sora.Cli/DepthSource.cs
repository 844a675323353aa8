using Sora.Clips;
using Sora.Kernels;
using Sora.Media;
using Sora.Models;
using Sora.Models.Depth;
using Sora.Nn;

namespace Sora.Cli;

/// <summary>What finds depth, and in what: the one place that knows which networks there are.</summary>
internal sealed class DepthSource : IDisposable
{
    private readonly (DepthEstimator Estimator, DepthInfo Info)? open;
    private readonly DepthHeads heads;
    private readonly bool isRaw;
    private readonly LastOpened<FrameCodec> codecs = new(model => FrameCodec.Open(model));

    private DepthSource(DepthEstimator? estimator, string? model, DepthHeads heads, bool isRaw)
    {
        (this.heads, this.isRaw) = (heads, isRaw);
        if (estimator is not null)
            open = (estimator, new DepthInfo(estimator.IsMetric, estimator.IsMetric ? estimator.Config.MaxDepth : null, model!));
    }

    /// <summary>Opens the network that the command line names.</summary>
    /// <param name="model">A folder, a file or a name of an open model; null: the depth heads of the clips' own models.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="isRaw">Whether maps are the network's own output, at its own size and not smoothed over time.</param>
    public static DepthSource Open(string? model, string? device, bool isRaw)
    {
        Libtorch.Preload();
        var on = Precision.Parse(device, null).Required().Device;
        var estimator = model is null ? null : DepthEstimator.Open(ModelLocator.Find(model), on);
        return new DepthSource(estimator, model, new DepthHeads(on), isRaw);
    }

    /// <summary>The depth of footage, frame by frame with its own times, or of a picture.</summary>
    public DepthTrack OfFootage(Run run, VideoReader reader)
    {
        var (estimator, info) = open ?? throw new InvalidOperationException("footage has no latents for a head");
        var (size, times) = (new FrameSize(reader.Width, reader.Height), reader.HasTimes ? new List<TimeSpan>() : null);
        var maps = Maps(run, estimator, Pictures(), size, reader.ExpectedFrames);
        return new DepthTrack(info, size, reader.Fps, reader.ExpectedFrames, maps) { Times = times };

        IEnumerable<Image> Pictures()
        {
            foreach (var (frame, time) in reader.TimedFrames())
            {
                times?.Add(Later(times, time, reader.Fps));
                yield return frame;
            }
        }
    }

    /// <summary>The depth of a clip's frames, at their size: seen in the footage that it was made from, if that is named.</summary>
    public DepthTrack OfClip(Run run, Clip clip, string? footage)
    {
        var model = ClipModel.Of(clip, null);
        var (size, frames) = model.Geometry.VideoOf(clip.FinishedLatents.Shape);
        var fps = clip.Info.Fps ?? ModelDefaults.Of(model).Settings.Fps;
        if (open is not var (estimator, info))
            return new DepthTrack(new DepthInfo(false, null, model.Name), size, fps, frames, heads.Measure(run, clip, model));
        var pictures = footage is null
            ? codecs.For(model).Decode(clip.FinishedLatents, clip.Info.Space, run.Cancel)
            : ClipFootage.Frames(run, footage, clip, model.Geometry);
        return new DepthTrack(info, size, fps, frames, Maps(run, estimator, pictures, size, frames));
    }

    public void Dispose()
    {
        open?.Estimator.Dispose();
        heads.Dispose();
        codecs.Dispose();
    }

    /// <summary>A frame's time; where the file gives it none, or one that isn't later than the last one's, one that is.</summary>
    private static TimeSpan Later(List<TimeSpan> before, TimeSpan? time, double fps)
    {
        if (before.Count == 0)
            return time ?? TimeSpan.Zero;
        return time is { } own && own > before[^1] ? own : before[^1] + TimeSpan.FromSeconds(1 / fps);
    }

    /// <summary>The depth of pictures, and which are the first of a shot, with progress after each.</summary>
    private IEnumerable<(DepthMap Map, bool IsCut)> Maps(
        Run run,
        DepthEstimator estimator,
        IEnumerable<Image> pictures,
        FrameSize size,
        int? expected
    )
    {
        var (steadier, cuts) = (new DepthSteadier(), new ShotCuts());
        foreach (var picture in run.Reporter.Counted("measuring", pictures, expected ?? 0))
        {
            run.Cancel.ThrowIfCancellationRequested();
            var (map, isCut) = (isRaw ? Raw(estimator, picture) : estimator.Estimate(picture, size), cuts.Next(picture));
            yield return (isRaw || estimator.IsMetric ? map : steadier.Next(map, isCut), isCut);
        }
    }

    private static DepthMap Raw(DepthEstimator estimator, Image picture)
    {
        using var predicted = estimator.Predict(picture).cpu(); // [1, h, w]
        return new DepthMap((int)predicted.shape[2], (int)predicted.shape[1], predicted.data<float>().ToArray());
    }
}
