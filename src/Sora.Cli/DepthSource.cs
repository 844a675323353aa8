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
    private readonly DepthEstimator estimator;
    private readonly bool isRaw;
    private readonly Codecs codecs = new();

    private DepthSource(DepthEstimator estimator, string model, bool isRaw)
    {
        (this.estimator, this.isRaw) = (estimator, isRaw);
        Info = new DepthInfo(estimator.IsMetric, estimator.IsMetric ? estimator.Config.MaxDepth : null, model);
    }

    /// <summary>What its numbers are.</summary>
    public DepthInfo Info { get; }

    /// <summary>Opens the network that the command line names.</summary>
    /// <param name="model">A folder, a file or a name.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="isRaw">Whether maps are the network's own output, at its own size and not smoothed over time.</param>
    public static DepthSource Open(string? model, string? device, bool isRaw)
    {
        if (model is null)
        {
            throw SoraException.Usage(
                "no depth model: sora brings none of its own yet",
                "pass a Depth Anything V2 model with --model, such as Depth-Anything-V2-Small-hf"
            );
        }
        Libtorch.Preload();
        return new DepthSource(
            DepthEstimator.Open(ModelLocator.Find(model), Precision.Parse(device, null).Required().Device),
            model,
            isRaw
        );
    }

    /// <summary>The depth of footage, frame by frame with its own times, or of a picture.</summary>
    public DepthTrack OfFootage(Run run, VideoReader reader)
    {
        var (size, times) = (new FrameSize(reader.Width, reader.Height), reader.HasTimes ? new List<TimeSpan>() : null);
        return new DepthTrack(Info, size, reader.Fps, reader.ExpectedFrames, Maps(run, Pictures(), size, reader.ExpectedFrames))
        {
            Times = times,
        };

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
        var pictures = footage is null
            ? codecs.For(model).Decode(clip.FinishedLatents, clip.Info.Space, run.Cancel)
            : ClipFootage.Frames(run, footage, clip, model.Geometry);
        return new DepthTrack(Info, size, fps, frames, Maps(run, pictures, size, frames));
    }

    public void Dispose()
    {
        estimator.Dispose();
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
    private IEnumerable<(DepthMap Map, bool IsCut)> Maps(Run run, IEnumerable<Image> pictures, FrameSize size, int? expected)
    {
        var (steadier, cuts, count) = (new DepthSteadier(), new ShotCuts(), 0);
        foreach (var picture in pictures)
        {
            run.Cancel.ThrowIfCancellationRequested();
            var (map, isCut) = (isRaw ? Raw(picture) : estimator.Estimate(picture, size), cuts.Next(picture));
            yield return (isRaw || Info.IsMetric ? map : steadier.Next(map, isCut), isCut);
            run.Reporter.Progress("measuring", ++count, Math.Max(count, expected ?? count));
        }
    }

    private DepthMap Raw(Image picture)
    {
        using var predicted = estimator.Predict(picture).cpu(); // [1, h, w]
        return new DepthMap((int)predicted.shape[2], (int)predicted.shape[1], predicted.data<float>().ToArray());
    }
}
