using Sora.Models;

namespace Sora.Cli;

/// <summary>What was opened for the last model: most pipes hold clips of one model.</summary>
/// <param name="open">Opens it.</param>
internal sealed class LastOpened<T>(Func<VideoModel, T> open) : IDisposable
    where T : class, IDisposable
{
    private (string Path, T Opened)? last;

    public T For(VideoModel model)
    {
        if (last is { } kept && kept.Path == model.Path)
            return kept.Opened;
        Dispose();
        last = (model.Path, open(model));
        return last.Value.Opened;
    }

    public void Dispose()
    {
        last?.Opened.Dispose();
        last = null;
    }
}
