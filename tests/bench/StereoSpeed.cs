using System.Diagnostics;
using Sora.Media;
using Sora.Stereo;

namespace Sora.Bench;

/// <summary>
/// Stereo frames a second of 1080p: from depth to disparity, to both eyes, to one picture. On two cores of an AMD EPYC (Zen 5)
/// that were busy with several other programs, 2026-12-01: both eyes made 12 frames a second, 42 ms of processors for each; one eye 26 and
/// 23 ms; half side by side, the slowest layout, 12 and 74 ms.
/// </summary>
internal static class StereoSpeed
{
    private const int Width = 1920,
        Height = 1080;

    /// <summary>Prints frames a second, and processor time beside it, which a busy machine changes less.</summary>
    public static void Report()
    {
        var frame = new Image(Width, Height);
        new Random(1).NextBytes(frame.Pixels);
        var (metres, disparity, pair) = (Depth(), new float[Width * Height], new StereoPair(Width, Height));
        var relative = Array.ConvertAll(metres, metre => 2 / metre);
        foreach (var (eyes, kind) in new[] { (StereoEyes.Symmetric, DepthKind.Metric), (StereoEyes.LeftKept, DepthKind.Relative) })
        {
            var options = new StereoOptions { Eyes = eyes };
            var depth = kind == DepthKind.Metric ? metres : relative;
            var (disparities, renderer) = (new Disparity(Width, Height, kind, options), new StereoRenderer(Width, Height, options));
            Measure($"disparities of {kind} depth", () => disparities.Next(depth, disparity));
            Measure($"eyes, {eyes}", () => renderer.Render(frame, disparity, pair));
            Measure(
                $"both, {eyes}",
                () =>
                {
                    disparities.Next(depth, disparity);
                    renderer.Render(frame, disparity, pair);
                }
            );
        }
        foreach (var eyes in Enum.GetValues<StereoEyes>())
        {
            // The next pair each time, of a video that doesn't end.
            var video = new StereoVideo(Width, Height, DepthKind.Metric, new StereoOptions { Eyes = eyes, Fill = StereoFill.Frames });
            using var pairs = video.Render(Enumerable.Repeat(new StereoFrame(frame, metres, false), int.MaxValue)).GetEnumerator();
            Measure($"both, filled from frames, {eyes}", () => pairs.MoveNext());
        }
        foreach (var layout in Enum.GetValues<StereoLayout>())
        {
            var (width, height) = layout.SizeOf(Width, Height);
            var both = new Image(width, height);
            Measure($"{layout}", () => layout.Pack(pair.Left, pair.Right, both));
        }
    }

    /// <summary>Metres of a floor that comes nearer, and boxes before it.</summary>
    private static float[] Depth()
    {
        var depth = new float[Width * Height];
        for (var i = 0; i < depth.Length; i++)
        {
            var (y, x) = Math.DivRem(i, Width);
            depth[i] = x / 120 % 3 == 0 && y / 150 % 2 == 0 ? 2 : 3 + 7f * (Height - y) / Height;
        }
        return depth;
    }

    private static void Measure(string name, Action work)
    {
        const int Runs = 30; // some seconds for all
        for (var i = 0; i < 10; i++)
            work(); // until it is compiled for speed
        var (before, clock) = (Environment.CpuUsage.TotalTime, Stopwatch.StartNew());
        for (var i = 0; i < Runs; i++)
            work();
        var (wall, used) = (clock.Elapsed / Runs, (Environment.CpuUsage.TotalTime - before) / Runs);
        Console.WriteLine($"{name}: {1 / wall.TotalSeconds:f1} frames a second; {used.TotalMilliseconds:f1} ms of processors for each");
    }
}
