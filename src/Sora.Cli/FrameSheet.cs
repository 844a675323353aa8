using Sora.Clips;
using Sora.Media;
using Sora.Models;

namespace Sora.Cli;

/// <summary>A picture of clips: a row for each, with frames from its first to its last.</summary>
internal static class FrameSheet
{
    private const int Columns = 6;

    public static void Draw(Run run, IEnumerable<Clip> clips, string? model, string path)
    {
        var rows = new List<List<Image>>();
        foreach (var clip in clips)
        {
            var owner = ClipModel.Of(clip, model);
            using var codec = FrameCodec.Open(owner);
            var frames = owner.Geometry.VideoFrames(clip.VisibleLatents.Shape[2]);
            rows.Add(Spread(codec.Decode(clip.VisibleLatents, clip.Info.Space, run.Cancel), frames));
        }
        ContactSheet.Rows(rows, Columns).Save(path, run.Cancel);
    }

    /// <summary>Some of <paramref name="all"/> frames in one row.</summary>
    public static Image Row(IEnumerable<Image> frames, int all) => ContactSheet.Rows([Spread(frames, all)], Columns);

    /// <summary>Some of so many frames, evenly spread; the others are dropped as they come.</summary>
    private static List<Image> Spread(IEnumerable<Image> frames, int all)
    {
        var count = Math.Min(Columns, all);
        var wanted = Enumerable.Range(0, count).Select(i => count == 1 ? 0 : (int)((long)i * (all - 1) / (count - 1))).ToHashSet();
        return [.. frames.Where((_, i) => wanted.Contains(i))];
    }
}
