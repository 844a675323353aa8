using System.Buffers;
using System.Runtime.Intrinsics;
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

    /// <summary>The part, of 256, that a pixel takes of each neighbour: a variance of 2 * 36 / 256 of a pixel squared.</summary>
    private const int LensSide = 36;

    /// <summary>Neighbours that differ by more than this, of 255, get more samples.</summary>
    private const int EdgeContrast = 14;

    private const int Lanes = 8;

    /// <summary>The middles of a row's first pixels.</summary>
    private static V Ramp => Vector256.Create(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f);

    /// <summary>Renders a scene into new buffers.</summary>
    public static RenderedClip Render(Scene scene, int width, int height, int frames, double fps = SceneOptions.DefaultFps)
    {
        var clip = RenderedClip.Allocate(width, height, frames);
        Render(scene, clip, fps, 1);
        return clip;
    }

    /// <summary>
    /// Renders only some frames of a clip, in the order given: frame number n shows the scene after n / fps seconds, as
    /// it would in the whole clip.
    /// </summary>
    public static RenderedClip RenderSome(
        Scene scene,
        int width,
        int height,
        IReadOnlyList<int> frames,
        double fps = SceneOptions.DefaultFps
    )
    {
        var clip = RenderedClip.Allocate(width, height, frames.Count);
        var simulation = Simulation.Run(scene, frames.Max() + 1, fps);
        for (var slot = 0; slot < frames.Count; slot++)
            RenderFrame(scene, simulation, clip, (slot, frames[slot]), fps);
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
            for (var frame = 0; frame < clip.Frames; frame++)
                RenderFrame(scene, simulation, clip, (frame, frame), fps);
            return;
        }
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads };
        Parallel.For(0, clip.Frames, options, frame => RenderFrame(scene, simulation, clip, (frame, frame), fps));
    }

    /// <summary>
    /// Which objects some frames of a clip show, as <see cref="RenderSome"/> has them, without a picture: for each pixel of
    /// <c>[F, H, W]</c> the one that is seen, 0 for none, and a bit for each one that is there, seen or hidden.
    /// </summary>
    internal static (byte[] Seen, byte[] There) Find(
        Scene scene,
        Simulation simulation,
        int width,
        int height,
        IReadOnlyList<int> frames,
        double fps
    )
    {
        if (scene.Objects.Count > 8)
            throw new ArgumentException("a byte has eight bits", nameof(scene));
        var (seen, there) = (new byte[width * height * frames.Count], new byte[width * height * frames.Count]);
        var tracers = frames.Select(frame => TracerOf(scene, simulation, frame, fps, (width, height))).ToArray();
        for (var line = 0; line < height * frames.Count; line++)
        {
            var (slot, row) = Math.DivRem(line, height);
            var tracer = tracers[slot];
            for (var column = 0; column < width; column += Lanes)
            {
                var found = tracer.Find((Ramp + All(column)) * All(2f / width) - One, All(1 - (2 * row + 1f) / height));
                for (var lane = 0; lane < Math.Min(Lanes, width - column); lane++)
                {
                    (seen[line * width + column + lane], there[line * width + column + lane]) = (
                        (byte)found.Seen[lane],
                        (byte)found.There[lane]
                    );
                }
            }
        }
        return (seen, there);
    }

    /// <summary>
    /// The depth of a clip without its picture, a small part of the work: that of <see cref="RenderedClip.Depth"/>.
    /// </summary>
    /// <param name="scene">The scene.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="fps">Frames a second.</param>
    /// <param name="depth">Filled with whole frames [F, H, W].</param>
    public static void Measure(Scene scene, int width, int height, double fps, Span<float> depth)
    {
        var simulation = Simulation.Run(scene, depth.Length / (width * height), fps);
        Span<float> row = stackalloc float[Lanes];
        FrameTracer? tracer = null;
        for (var line = 0; line < simulation.Frames * height; line++)
        {
            if (line % height == 0)
                tracer = TracerOf(scene, simulation, line / height, fps, (width, height));
            var y = All(1 - (2 * (line % height) + 1f) / height);
            for (var column = 0; column < width; column += Lanes)
            {
                tracer!.Measure((Ramp + All(column)) * All(2f / width) - One, y).CopyTo(row);
                row[..Math.Min(Lanes, width - column)].CopyTo(depth[(line * width + column)..]);
            }
        }
    }

    private static FrameTracer TracerOf(Scene scene, Simulation simulation, int frame, double fps, (int Width, int Height) size)
    {
        var poses = new Pose[scene.Objects.Count];
        for (var i = 0; i < poses.Length; i++)
            poses[i] = simulation.At(frame, i);
        return new FrameTracer(scene, poses, frame / fps, (double)size.Width / size.Height, size.Height);
    }

    /// <summary>Renders a frame of the simulation into a place of the clip.</summary>
    private static void RenderFrame(Scene scene, Simulation simulation, RenderedClip clip, (int Slot, int Frame) place, double fps)
    {
        var (slot, frame) = place;
        int width = clip.Width,
            height = clip.Height,
            pixels = width * height;
        var tracer = TracerOf(scene, simulation, frame, fps, (width, height));
        var rgb = clip.Rgb.AsSpan(3 * pixels * slot, 3 * pixels);
        var depth = clip.Depth.AsSpan(pixels * slot, pixels);
        var objects = clip.Objects.AsSpan(pixels * slot, pixels);
        var stride = (width + Lanes - 1) / Lanes * Lanes;
        var packed = ArrayPool<uint>.Shared.Rent(stride * (height + 1));
        Cast(tracer, width, height, packed, depth);
        Refine(tracer, width, height, packed);
        for (var row = 0; row < height; row++)
        for (var column = 0; column < width; column++)
        {
            var (seen, at) = (packed[row * stride + column], row * width + column);
            rgb[3 * at] = (byte)seen;
            rgb[3 * at + 1] = (byte)(seen >> 8);
            rgb[3 * at + 2] = (byte)(seen >> 16);
            objects[at] = (byte)(Math.Max(seen >> 25, 1) - 1);
        }
        ArrayPool<uint>.Shared.Return(packed);
        Blur(rgb, 3, height, 3 * width);
        Blur(rgb, 3 * width, 1, 3 * pixels);
    }

    /// <summary>
    /// What a lens does: a pixel takes a part of its neighbours' light along one axis, with a standard deviation of half a
    /// pixel over all. Without it neighbouring pixels differ more than those of any camera, which video codecs, and the
    /// VAE, are made for.
    /// </summary>
    /// <param name="rgb">The picture, changed in place.</param>
    /// <param name="step">From a value to its neighbour.</param>
    /// <param name="lines">How many runs of values there are.</param>
    /// <param name="length">Values in each.</param>
    private static void Blur(Span<byte> rgb, int step, int lines, int length)
    {
        var before = ArrayPool<byte>.Shared.Rent(length + 2 * step);
        for (var line = 0; line < lines; line++)
        {
            var values = rgb.Slice(line * length, length);
            values.CopyTo(before.AsSpan(step));
            values[..step].CopyTo(before);
            values[^step..].CopyTo(before.AsSpan(step + length));
            ReadOnlySpan<byte> left = before.AsSpan(0, length),
                middle = before.AsSpan(step, length),
                right = before.AsSpan(2 * step, length);
            for (var i = 0; i < values.Length; i++)
                values[i] = (byte)((LensSide * (left[i] + right[i]) + (256 - 2 * LensSide) * middle[i] + 128) >> 8);
        }
        ArrayPool<byte>.Shared.Return(before);
    }

    /// <summary>
    /// One ray through the centre of every pixel. A packed pixel holds red, green, blue and <see cref="Seen.Kind"/>,
    /// from the lowest byte up; rows are padded to whole groups of lanes.
    /// </summary>
    private static void Cast(FrameTracer tracer, int width, int height, Span<uint> packed, Span<float> depth)
    {
        var at = 0;
        for (var row = 0; row < height; row++)
        {
            var y = All(1 - (2 * row + 1f) / height);
            for (var column = 0; column < width; column += Lanes, at += Lanes)
            {
                var seen = tracer.Look((Ramp + All(column)) * All(2f / width) - One, y);
                var kind = Vector256.ConvertToInt32(seen.Kind).AsUInt32() << 24;
                (Pack(seen.Colour) | kind).CopyTo(packed[at..]);
                var pixel = row * width + column;
                if (column + Lanes <= width)
                    seen.Depth.CopyTo(depth[pixel..]);
                else
                    for (var lane = 0; lane < width - column; lane++)
                        depth[pixel + lane] = seen.Depth[lane];
            }
        }
    }

    /// <summary>Replaces the colour of pixels at edges by the mean of four samples inside each.</summary>
    private static void Refine(FrameTracer tracer, int width, int height, Span<uint> packed)
    {
        var stride = (width + Lanes - 1) / Lanes * Lanes;
        Span<float> xs = stackalloc float[Lanes],
            ys = stackalloc float[Lanes];
        var waiting = ArrayPool<int>.Shared.Rent(stride * height + 1);
        var count = Edges(width, height, packed, waiting);
        if ((count & 1) == 1)
            waiting[count] = waiting[count - 1];
        for (var next = 0; next < count; next += 2)
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                var (row, column) = Math.DivRem(waiting[next + lane / 4], stride);
                xs[lane] = (column + 0.25f + 0.5f * (lane & 1)) * (2f / width) - 1;
                ys[lane] = 1 - (row + 0.25f + 0.25f * (lane & 2)) * (2f / height);
            }
            var colour = tracer.Look(Vector256.Create<float>(xs), Vector256.Create<float>(ys)).Colour;
            var mean = Pack(new V3(MeanOfFour(colour.X), MeanOfFour(colour.Y), MeanOfFour(colour.Z)));
            for (var i = 0; i < 2; i++)
            {
                ref var pixel = ref packed[waiting[next + i]];
                pixel = (pixel & 0xFF000000) | mean[4 * i];
            }
        }
        ArrayPool<int>.Shared.Return(waiting);
    }

    /// <summary>
    /// Lists the pixels that differ from a neighbour, and returns how many they are. Kinds are compared everywhere,
    /// colours only on objects: ground and sky are smooth already.
    /// </summary>
    private static int Edges(int width, int height, ReadOnlySpan<uint> packed, int[] list)
    {
        var stride = (width + Lanes - 1) / Lanes * Lanes;
        var marks = ArrayPool<byte>.Shared.Rent(stride * (height + 1) + 1);
        Array.Clear(marks);
        for (var row = 0; row < height; row++)
        for (var column = 0; column < width; column++)
        {
            var at = row * stride + column;
            if (column + 1 < width && Differ(packed[at], packed[at + 1]))
                marks[at] = marks[at + 1] = 1;
            if (row + 1 < height && Differ(packed[at], packed[at + stride]))
                marks[at] = marks[at + stride] = 1;
        }
        var count = 0;
        for (var at = 0; at < stride * height; at++)
            if (marks[at] != 0)
                list[count++] = at;
        ArrayPool<byte>.Shared.Return(marks);
        return count;
    }

    private static bool Differ(uint a, uint b)
    {
        if (a >> 24 != b >> 24)
            return true;
        if (a >> 24 < Seen.FirstObject || a == b)
            return false;
        return Apart(a, b) || Apart(a >> 8, b >> 8) || Apart(a >> 16, b >> 16);
    }

    private static bool Apart(uint a, uint b) => Math.Abs((int)(a & 255) - (int)(b & 255)) > EdgeContrast;

    /// <summary>Linear light to what is shown, a byte for each channel.</summary>
    private static Vector256<uint> Pack(V3 linear) => Shown(linear.X) | (Shown(linear.Y) << 8) | (Shown(linear.Z) << 16);

    private static Vector256<uint> Shown(V linear) => Vector256.ConvertToInt32(Vector256.Sqrt(linear) * All(255) + All(0.5f)).AsUInt32();

    /// <summary>The mean of the first four lanes and of the last four, in all of them.</summary>
    private static V MeanOfFour(V value)
    {
        var pairs = value + Vector256.Shuffle(value, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6));
        return (pairs + Vector256.Shuffle(pairs, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5))) * All(0.25f);
    }
}
