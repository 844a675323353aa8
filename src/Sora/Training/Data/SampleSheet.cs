using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Pictures of clips: a row for each clip, its frames from left to right.</summary>
internal static class SampleSheet
{
    private const int MostFrames = 9;

    /// <summary>Writes clips <c>[B, 3, F, H, W]</c> in [-1, 1].</summary>
    public static void Write(string path, Tensor clips)
    {
        using var scope = NewDisposeScope();
        var frames = (int)clips.shape[2];
        var shown = Enumerable
            .Range(0, Math.Min(frames, MostFrames))
            .Select(i => (long)i * (frames - 1) / Math.Max(1, Math.Min(frames, MostFrames) - 1))
            .ToArray();
        var picked = clips.index_select(2, tensor(shown)); // [B, 3, N, H, W]
        var grid = picked.permute(0, 3, 2, 4, 1).flatten(0, 1).flatten(1, 2); // [B*H, N*W, 3]
        var bytes = ((grid + 1) * 127.5).clamp(0, 255).round().to(ScalarType.Byte).contiguous();
        new Image((int)grid.shape[1], (int)grid.shape[0], bytes.bytes.ToArray()).Save(path);
    }
}
