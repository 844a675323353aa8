using Sora.Media;
using Sora.World;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>
/// A falling ball against the parabola. Its place is the centroid of what the judge says the asked colour covers, in each
/// frame of the first second, its diameter follows from the area, and it rests where the last frames show it. The camera
/// stands still and sees the ball from straight ahead, so that heights in diameters are those of the world. A prompt
/// doesn't say from how high: the parabola starts where the ball does, unless it starts lower than half the scene's height;
/// then it hasn't fallen, and the scene's own parabola is what it should have done.
/// </summary>
internal static class Gravity
{
    /// <summary>Frames that are compared: all balls of the suite have landed within them.</summary>
    private const int Compared = 13;

    private static readonly int[][] Windows =
    [
        [.. Enumerable.Range(0, 9)],
        [.. Enumerable.Range(8, 9)],
        [.. Enumerable.Range(24, 9)],
    ];

    /// <summary>Whether the ball fell, and how far on average it is from where it should be, in its diameters.</summary>
    public static (bool Falls, double Error) Measure(Judge judge, Scene scene, IReadOnlyList<Image> frames)
    {
        var ball = scene.Objects[0];
        var track = Windows.SelectMany(window => Track(judge, frames, window, (int)ball.Colour)).ToList();
        var diameter = 2 * Math.Sqrt(Changes.Median(track.Select(place => place.Area)) / Math.PI);
        var rest = Changes.Median(track.TakeLast(9).Select(place => place.Y));
        var heights = track
            .Take(9)
            .Concat(track.Skip(10).Take(Compared - 9))
            .Select(place => (rest - place.Y) / Math.Max(diameter, 1e-3))
            .ToList();
        var metres = 2 * ball.Solid.Radius;
        var drop = (ball.Start.Y - ball.RestHeight) / metres;
        var falls = heights[0] >= 0.5 * drop;
        var start = falls ? heights[0] : drop;
        var error = heights.Select((height, frame) => Math.Abs(height - Fallen(start, frame / SceneOptions.DefaultFps, metres))).Average();
        return (falls, error);
    }

    /// <summary>The height of a ball after some seconds, in diameters, that starts at rest at <paramref name="start"/> diameters.</summary>
    internal static double Fallen(double start, double seconds, double metres) =>
        Math.Max(0, start - 0.5 * Simulation.Gravity * seconds * seconds / metres);

    /// <summary>Where a colour is in each frame: the row of its centroid, downward, and its area, in units of the frame's height.</summary>
    private static IEnumerable<(double Y, double Area)> Track(Judge judge, IReadOnlyList<Image> frames, int[] window, int colour)
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        var cover = judge.Look(Verdict.Chosen(frames, window)).Cover.softmax(1).select(1, 1 + colour); // [T, 32, 32]
        var rows = (arange(Judge.Cells).to(float32) + 0.5) / Judge.Cells;
        var area = cover.mean([1, 2]);
        var y = cover.mean([2]).matmul(rows) / Judge.Cells / area.clamp_min(1e-6);
        return y.data<float>().ToArray().Zip(area.data<float>().ToArray(), (row, part) => ((double)row, (double)part)).ToArray();
    }
}
