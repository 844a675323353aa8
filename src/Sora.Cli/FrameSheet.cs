using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>
/// A picture of clips: a row for each, with frames from its first to its last, and below it the depth of these frames, if the clip
/// has any.
/// </summary>
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
            if (clip.Tensors.TryGetValue(Clip.DepthName, out var depth) && depth is { Shape: [> 0, > 0, > 0] })
                rows.Add(Depths(depth, ClipDepth.Of(clip)));
        }
        ContactSheet.Rows(rows, Columns).Save(path, run.Cancel);
    }

    /// <summary>Some of <paramref name="all"/> frames in one row.</summary>
    public static Image Row(IEnumerable<Image> frames, int all) => ContactSheet.Rows([Spread(frames, all)], Columns);

    /// <summary>Some of so many frames, evenly spread; the others are dropped as they come.</summary>
    private static List<Image> Spread(IEnumerable<Image> frames, int all)
    {
        var wanted = Wanted(all).ToHashSet();
        return [.. frames.Where((_, i) => wanted.Contains(i))];
    }

    private static IEnumerable<int> Wanted(int all)
    {
        var count = Math.Min(Columns, all);
        return Enumerable.Range(0, count).Select(i => count == 1 ? 0 : (int)((long)i * (all - 1) / (count - 1)));
    }

    /// <summary>The depth of some frames, brighter where it is nearer, all in one range.</summary>
    private static List<Image> Depths(HostTensor depth, ClipDepth meaning)
    {
        var (height, width) = ((int)depth.Shape[1], (int)depth.Shape[2]);
        float[] Map(int frame)
        {
            var map = new float[height * width];
            depth.CopyTo(map, (long)frame * map.Length);
            return map;
        }
        var maps = Wanted((int)depth.Shape[0]).Select(Map).ToList();
        // What a clip says of its range is rounded, and other programs say nothing.
        var (low, high) = (maps.Min(map => map.Min()), maps.Max(map => map.Max()));
        var scale = high > low ? 1 / (high - low) : 0;
        return
        [
            .. maps.Select(map =>
                ColourMap.Colour(
                    width,
                    height,
                    Array.ConvertAll(map, value => meaning.IsMetric ? (high - value) * scale : (value - low) * scale)
                )
            ),
        ];
    }
}
