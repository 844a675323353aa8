using Sora.Clips;
using Sora.Kernels;
using Sora.Models;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Planning;
using Sora.Stereo;

namespace Sora.Cli;

/// <summary>What <c>decode --fill model</c> does with one clip, and what it needs.</summary>
internal sealed class EyeFill
{
    private readonly Run run;
    private readonly StereoModelFill fill;

    private EyeFill(Run run, StereoModelFill fill, MemoryPlan plan) => (this.run, this.fill, Plan) = (run, fill, plan);

    /// <summary>What one eye's run needs; they run one after the other.</summary>
    public MemoryPlan Plan { get; }

    /// <summary>Plans it.</summary>
    /// <exception cref="SoraException">The model can't.</exception>
    public static EyeFill Of(Run run, VideoModel model, Clip clip)
    {
        Libtorch.Preload();
        var fill = StereoModelFill.Create(model, clip);
        var request = fill.Request;
        var settings = request.Settings;
        var calls = settings.MakeSchedule(ModelDefaults.Of(model).Scheduler).Calls;
        var longest = Math.Min(settings.Frames, VideoSize.WholeFrames(model, settings.Window));
        var atOnce = request with { Settings = settings with { Frames = longest } };
        return new EyeFill(run, fill, MemoryPlan.Of(model, atOnce, calls, Precision.Default()));
    }

    /// <summary>Refuses it if it doesn't fit.</summary>
    public void Require(FreeMemory free) => free.Require(Plan.Largest, () => StereoModelFill.Otherwise);

    /// <summary>Fills pairs; see <see cref="StereoModelFill.Fill"/>.</summary>
    public IEnumerable<StereoPair> Fill(IEnumerable<StereoPair> pairs, string file, Action rendered) =>
        fill.Fill(pairs, Spool.FolderFor(file), rendered, run.Reporter, run.Cancel);
}
