using Sora.Models;
using Sora.Pipelines;

namespace Sora.Cli;

/// <summary>The pipeline of the last clip's model: most pipes hold clips of one model, which is then loaded once.</summary>
internal sealed class Pipelines(SamplingArgs args, Run run) : IDisposable
{
    private (string Path, VideoPipeline Pipeline)? last;

    /// <summary>The pipeline of a model, in the precision that the options name.</summary>
    public VideoPipeline For(VideoModel model)
    {
        if (last is { } kept && kept.Path == model.Path)
            return kept.Pipeline;
        Dispose();
        last = (model.Path, new VideoPipeline(model, args.Precision(), run.Reporter, run.Cancel));
        return last.Value.Pipeline;
    }

    /// <summary>Frees the model.</summary>
    public void Dispose()
    {
        last?.Pipeline.Dispose();
        last = null;
    }
}
