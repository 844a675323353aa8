using Sora.Media;

namespace Sora.Models.Depth;

/// <summary>
/// Keeps the relative depths of a video from flickering. A network that looks at one picture at a time gives each its own scale
/// and shift: within a shot the ends of the range, without the outermost hundredths, follow an exponential average, and each map is
/// stretched to it. Each cut starts over: the first map of a shot stays as it is.
/// </summary>
public sealed class DepthSteadier
{
    /// <summary>The part of the range before that stays in the average.</summary>
    private const double Memory = 0.9;

    private MapRange? ends;
    private (double Low, double High)? range;

    /// <summary>The map in the scale of those before it.</summary>
    /// <param name="map">Of the next frame.</param>
    /// <param name="isCut">Whether it is the first of a shot.</param>
    public DepthMap Next(DepthMap map, bool isCut)
    {
        var own = (ends ??= new MapRange(map.Width, map.Height)).Of(map.Values);
        if (isCut || range is not { } before)
        {
            range = own;
            return map;
        }
        var (low, high) = (Average(before.Low, own.Low), Average(before.High, own.High));
        range = (low, high);
        var scale = own.High > own.Low ? (high - low) / (own.High - own.Low) : 1;
        return new DepthMap(map.Width, map.Height, [.. map.Values.Select(value => (float)((value - own.Low) * scale + low))]);
    }

    private static double Average(double before, double now) => Memory * before + (1 - Memory) * now;
}

/// <summary>Finds the first frame of each shot: most of its colours differ from those of the frame before.</summary>
public sealed class ShotCuts
{
    /// <summary>Levels of each colour that are told apart.</summary>
    private const int Levels = 8;

    /// <summary>The part of the pixels that must change colour. Motion and light change a third at most, cuts nearly all.</summary>
    private const double Changed = 0.5;

    private int[]? before;

    /// <summary>Whether the next frame is the first of a shot, as the very first one is.</summary>
    public bool Next(Image frame)
    {
        var now = new int[Levels * Levels * Levels];
        for (var i = 0; i < frame.Pixels.Length; i += Image.Channels)
        {
            int Level(int channel) => frame.Pixels[i + channel] * Levels / 256;
            now[(Level(0) * Levels + Level(1)) * Levels + Level(2)]++;
        }
        var isCut = before is null || now.Zip(before, (a, b) => Math.Abs(a - b)).Sum() / 2.0 > Changed * frame.Width * frame.Height;
        before = now;
        return isCut;
    }
}
