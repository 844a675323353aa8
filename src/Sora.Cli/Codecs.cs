using Sora.Models;

namespace Sora.Cli;

/// <summary>The VAE of the last model: most pipes hold clips of one model.</summary>
internal sealed class Codecs : IDisposable
{
    private (string Path, FrameCodec Codec)? last;

    public FrameCodec For(VideoModel model)
    {
        if (last is { } kept && kept.Path == model.Path)
            return kept.Codec;
        Dispose();
        last = (model.Path, FrameCodec.Open(model));
        return last.Value.Codec;
    }

    public void Dispose()
    {
        last?.Codec.Dispose();
        last = null;
    }
}
