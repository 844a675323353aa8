using System.Runtime.Intrinsics;
using System.Threading.Tasks;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>A rendered clip.</summary>
/// <param name="Width">Pixels in a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Frames">Frames.</param>
/// <param name="Rgb">Colour [F, H, W, 3].</param>
/// <param name="Depth">Distance along the optical axis in metres [F, H, W]; <see cref="Renderer.SkyDepth"/> in the sky.</param>
/// <param name="Objects">Masks [F, H, W]: 0 is background, i is object i - 1 of the scene.</param>
public sealed record RenderedClip(int Width, int Height, int Frames, byte[] Rgb, float[] Depth, byte[] Objects)
{
    /// <summary>A clip of zeros with room for so many pixels.</summary>
    public static RenderedClip Allocate(int width, int height, int frames)
    {
        var pixels = checked(width * height * frames);
        return new RenderedClip(width, height, frames, new byte[3 * pixels], new float[pixels], new byte[pixels]);
    }
}

/// <summary>
/// Renders scenes: ray casting of analytic solids with one shadow-casting light. Colour is antialiased by four more
/// samples where neighbours differ; depth and masks are exact at pixel centres.
/// </summary>
public static class Renderer
{
    /// <summary>The depth of the sky: infinite, so that inverse depth is 0 there.</summary>
    public const float SkyDepth = float.PositiveInfinity;

    /// <summary>Neighbours that differ by more than this, of 255, get more samples.</summary>
    private const int EdgeContrast = 14;

    private const int Lanes = 8;

    /// <summary>Renders a scene into new buffers.</summary>
    public static RenderedClip Render(Scene scene, int width, int height, int frames, double fps = SceneOptions.DefaultFps)
    {
        var clip = RenderedClip.Allocate(width, height, frames);
        Render(scene, clip, fps, 1);
        return clip;
    }

    /// <summary>
    /// Renders a scene into the buffers of <paramref name="clip"/>, whose sizes say what to render. The result does
    /// not depend on the number of threads.
    /// </summary>
    public static void Render(Scene scene, RenderedClip clip, double fps, int threads)
    {
        var simulation = Simulation.Run(scene, clip.Frames, fps);
        if (threads == 1)
        {
            for (var frame = 0; frame < clip.Frames; frame++) RenderFrame(scene, simulation, clip, frame, fps);
            return;
        }
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads };
        Parallel.For(0, clip.Frames, options, frame => RenderFrame(scene, simulation, clip, frame, fps));
    }

    private static void RenderFrame(Scene scene, Simulation simulation, RenderedClip clip, int frame, double fps)
    {
        int width = clip.Width, height = clip.Height, pixels = width * height;
        var poses = new Pose[scene.Objects.Count];
        for (var i = 0; i < poses.Length; i++) poses[i] = simulation.At(frame, i);
        var tracer = new FrameTracer(scene, poses, frame / fps, (double)width / height, height);
        var rgb = clip.Rgb.AsSpan(3 * pixels * frame, 3 * pixels);
        var depth = clip.Depth.AsSpan(pixels * frame, pixels);
        var objects = clip.Objects.AsSpan(pixels * frame, pixels);
        Cast(tracer, width, height, rgb, depth, objects);
        Refine(tracer, width, height, rgb, objects);
    }

    /// <summary>One ray through the centre of every pixel.</summary>
    private static void Cast(FrameTracer tracer, int width, int height, Span<byte> rgb, Span<float> depth, Span<byte> objects)
    {
        var ramp = Vector256.Create(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f);
        Span<float> lanes = stackalloc float[4 * Lanes];
        for (var row = 0; row < height; row++)
        {
            var y = All(1 - (2 * row + 1f) / height);
            for (var column = 0; column < width; column += Lanes)
            {
                var x = (ramp + All(column)) * All(2f / width) - One;
                var seen = tracer.Look(x, y);
                Shown(seen.Colour.X).CopyTo(lanes);
                Shown(seen.Colour.Y).CopyTo(lanes[Lanes..]);
                Shown(seen.Colour.Z).CopyTo(lanes[(2 * Lanes)..]);
                seen.Number.CopyTo(lanes[(3 * Lanes)..]);
                var at = row * width + column;
                var count = Math.Min(Lanes, width - column);
                if (count == Lanes) seen.Depth.CopyTo(depth[at..]);
                for (var lane = 0; lane < count; lane++)
                {
                    var pixel = at + lane;
                    rgb[3 * pixel] = (byte)lanes[lane];
                    rgb[3 * pixel + 1] = (byte)lanes[Lanes + lane];
                    rgb[3 * pixel + 2] = (byte)lanes[2 * Lanes + lane];
                    objects[pixel] = (byte)lanes[3 * Lanes + lane];
                    if (count < Lanes) depth[pixel] = seen.Depth[lane];
                }
            }
        }
    }

    /// <summary>Replaces the colour of pixels at edges by the mean of four samples inside each.</summary>
    private static void Refine(FrameTracer tracer, int width, int height, Span<byte> rgb, ReadOnlySpan<byte> objects)
    {
        Span<float> xs = stackalloc float[Lanes], ys = stackalloc float[Lanes], lanes = stackalloc float[3 * Lanes];
        Span<int> waiting = stackalloc int[2];
        var edges = Edges(width, height, rgb, objects);
        var count = 0;
        for (var pixel = 0; pixel < edges.Length; pixel++)
        {
            if (edges[pixel]) waiting[count++] = pixel;
            if (count < 2 && (count == 0 || pixel < edges.Length - 1)) continue;
            if (count == 1) waiting[1] = waiting[0];
            for (var lane = 0; lane < Lanes; lane++)
            {
                var (row, column) = Math.DivRem(waiting[lane / 4], width);
                xs[lane] = (column + 0.25f + 0.5f * (lane & 1)) * (2f / width) - 1;
                ys[lane] = 1 - (row + 0.25f + 0.25f * (lane & 2)) * (2f / height);
            }
            var colour = tracer.Look(Vector256.Create<float>(xs), Vector256.Create<float>(ys)).Colour;
            colour.X.CopyTo(lanes);
            colour.Y.CopyTo(lanes[Lanes..]);
            colour.Z.CopyTo(lanes[(2 * Lanes)..]);
            for (var i = 0; i < 2; i++)
                for (var channel = 0; channel < 3; channel++)
                {
                    var four = lanes.Slice(channel * Lanes + 4 * i, 4);
                    var mean = 0.25f * ((four[0] + four[1]) + (four[2] + four[3]));
                    rgb[3 * waiting[i] + channel] = (byte)(MathF.Sqrt(mean) * 255 + 0.5f);
                }
            count = 0;
        }
    }

    /// <summary>Pixels that differ from a neighbour to the right or below, and those neighbours.</summary>
    private static bool[] Edges(int width, int height, ReadOnlySpan<byte> rgb, ReadOnlySpan<byte> objects)
    {
        var edges = new bool[width * height];
        for (var row = 0; row < height; row++)
            for (var column = 0; column < width; column++)
            {
                var pixel = row * width + column;
                if (column + 1 < width && Differ(rgb, objects, pixel, pixel + 1)) edges[pixel] = edges[pixel + 1] = true;
                if (row + 1 < height && Differ(rgb, objects, pixel, pixel + width)) edges[pixel] = edges[pixel + width] = true;
            }
        return edges;
    }

    private static bool Differ(ReadOnlySpan<byte> rgb, ReadOnlySpan<byte> objects, int a, int b) =>
        objects[a] != objects[b]
        || Math.Abs(rgb[3 * a] - rgb[3 * b]) > EdgeContrast
        || Math.Abs(rgb[3 * a + 1] - rgb[3 * b + 1]) > EdgeContrast
        || Math.Abs(rgb[3 * a + 2] - rgb[3 * b + 2]) > EdgeContrast;

    /// <summary>Linear light to what is shown, 0 to 255, rounded by half.</summary>
    private static V Shown(V linear) => Vector256.Sqrt(linear) * All(255) + All(0.5f);
}
