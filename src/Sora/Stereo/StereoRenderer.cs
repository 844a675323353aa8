using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sora.Media;

namespace Sora.Stereo;

/// <summary>
/// Makes the pictures of two eyes from a frame and its disparities by softmax splatting (Niklaus and Liu 2020, "Softmax splatting
/// for video frame interpolation", arXiv:2003.05534), along rows only: each pixel goes to where an eye sees it, with linear
/// weights to the two columns beside that place, and where several pixels meet, those with more disparity, which are nearer,
/// count exponentially more. What no pixel reaches is a hole, which is filled from the farther side. Rows don't depend on each
/// other, so that threads don't change the result.
/// </summary>
public sealed class StereoRenderer
{
    /// <summary>
    /// How fast what is behind counts less: one pixel of disparity behind, by e. With twice or half of it the right eye was up to
    /// 0.2 dB farther from that of a second camera (the synthetic world, 160 and 640 columns, edges dilated by a pixel).
    /// </summary>
    private const float Alpha = 1;

    /// <summary>
    /// The largest range of exponents in a row: e^-80 times a colour is still a normal number of single precision, and what is far
    /// behind one near pixel doesn't vanish.
    /// </summary>
    private const float Range = 80;

    /// <summary>
    /// A column that gets less of a pixel than this is a hole. If a touch were enough, rims that are mostly something else would
    /// be what holes are filled with, which cost up to 1.2 dB over all; above it, surfaces that an eye sees stretched would tear.
    /// </summary>
    private const float Covered = 0.5f;

    /// <summary>Of a sum: three colours times weight, weight, disparity times weight, and the linear weights alone.</summary>
    private const int WeightLane = 3,
        DisparityLane = 4,
        CoverLane = 5;

    private readonly int width;
    private readonly int height;
    private readonly StereoOptions options;
    private readonly Line[] lines;

    /// <summary>Prepares for frames of one size; what rows need in between is taken once.</summary>
    /// <exception cref="SoraException">An option is out of range.</exception>
    public StereoRenderer(int width, int height, StereoOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        options.Validate();
        (this.width, this.height, this.options) = (width, height, options);
        lines = [.. Enumerable.Range(0, Math.Min(Environment.ProcessorCount, height)).Select(_ => new Line(width, options.EdgeDilation))];
    }

    /// <summary>Renders both eyes. The pair can be used again for the next frame.</summary>
    /// <param name="frame">What the camera saw; it isn't changed.</param>
    /// <param name="disparity">Pixels <c>[H, W]</c>, finite, positive before the screen, as <see cref="Disparity"/> makes them.</param>
    /// <param name="pair">Receives the pictures and masks.</param>
    /// <exception cref="ArgumentException">One of them has another size.</exception>
    public void Render(Image frame, ReadOnlyMemory<float> disparity, StereoPair pair)
    {
        if (frame.Width != width || frame.Height != height || disparity.Length != width * height)
            throw new ArgumentException(
                $"{frame.Width}x{frame.Height}, {disparity.Length} disparities: not {width}x{height}",
                nameof(frame)
            );
        if (pair.Left.Width != width || pair.Left.Height != height)
            throw new ArgumentException($"a pair of {pair.Left.Width}x{pair.Left.Height}, not {width}x{height}", nameof(pair));
        // Each worker has its own buffers and takes the next row that is left, so that a slow core doesn't hold up the others.
        var next = -1;
        Parallel.For(
            0,
            lines.Length,
            worker =>
            {
                for (int y; (y = Interlocked.Increment(ref next)) < height; )
                    RenderRow(frame, disparity.Span, y, pair, lines[worker]);
            }
        );
    }

    private void RenderRow(Image frame, ReadOnlySpan<float> disparity, int y, StereoPair pair, Line line)
    {
        var row = frame.Row(y);
        line.Take(disparity, y, height);
        if (options.Eyes == StereoEyes.LeftKept)
        {
            row.CopyTo(pair.Left.Row(y));
            pair.LeftHoles.AsSpan(y * width, width).Clear();
        }
        else
        {
            Splat(row, line, 0.5f);
            Resolve(line, pair.Left.Row(y), pair.LeftHoles.AsSpan(y * width, width));
            Keep(line, pair.LeftHoles, pair.LeftDisparity, y);
        }
        Splat(row, line, options.Eyes == StereoEyes.LeftKept ? -1 : -0.5f);
        Resolve(line, pair.Right.Row(y), pair.RightHoles.AsSpan(y * width, width));
        Keep(line, pair.RightHoles, pair.RightDisparity, y);
    }

    private void Keep(Line line, byte[] holes, short[]? disparity, int y)
    {
        if (disparity is null)
            return;
        for (var (x, at) = (0, y * width); x < width; x++, at++)
            disparity[at] = holes[at] == 0 ? SeenDisparity.Of(line.Seen[x]) : SeenDisparity.Unseen;
    }

    /// <summary>Adds each pixel to the sums of the two columns beside its place.</summary>
    private static void Splat(ReadOnlySpan<byte> row, Line line, float share)
    {
        var (disparity, weights, sums) = (line.Disparity, line.Weights, line.Sums);
        Array.Clear(sums);
        var width = row.Length / Image.Channels;
        for (var x = 0; x < width; x++)
        {
            var (d, weight) = (disparity[x], weights[x]);
            var place = x + share * d;
            var floor = MathF.Floor(place);
            // The sums begin one column before the picture; what is farther out falls on neither of its columns.
            var column = (int)floor + 1;
            if ((uint)column > (uint)width)
                continue;
            var pixel = Pixel(row, x) * weight;
            var sample = Vector256.Create(pixel.WithElement(WeightLane, weight), Vector128.Create(d * weight, 1, 0, 0));
            var part = place - floor;
            sums[column] += sample * (1 - part);
            sums[column + 1] += sample * part;
        }
    }

    /// <summary>Red, green, blue and 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Pixel(ReadOnlySpan<byte> row, int x)
    {
        var at = x * Image.Channels;
        return Vector128.ConvertToSingle(Vector128.Create(row[at], row[at + 1], row[at + 2], 0));
    }

    /// <summary>Sums become colours, and what has none becomes holes, which are filled.</summary>
    private void Resolve(Line line, Span<byte> row, Span<byte> holes)
    {
        var seen = line.Seen;
        for (var x = 0; x < width; x++)
        {
            var sum = line.Sums[x + 1];
            if (sum[CoverLane] < Covered)
            {
                holes[x] = 255;
                continue;
            }
            holes[x] = 0;
            var mean = sum * (1 / sum[WeightLane]);
            seen[x] = mean[DisparityLane];
            var colour = Vector128.ConvertToInt32(mean.GetLower() + Vector128.Create(0.5f));
            for (var c = 0; c < Image.Channels; c++)
                row[x * Image.Channels + c] = (byte)colour[c];
        }
        for (var x = 0; x < width; x++)
        {
            if (holes[x] == 0)
                continue;
            var end = x + 1;
            while (end < width && holes[end] != 0)
                end++;
            FillHole(row, seen, x, end);
            x = end;
        }
    }

    /// <summary>Columns from <paramref name="from"/> to before <paramref name="end"/> take the colour of the farther side.</summary>
    private void FillHole(Span<byte> row, float[] seen, int from, int end)
    {
        var hole = row[(from * Image.Channels)..(end * Image.Channels)];
        if (options.Fill == StereoFill.None || (from == 0 && end == width))
        {
            hole.Clear();
            return;
        }
        var side = end == width || (from > 0 && seen[from - 1] < seen[end]) ? from - 1 : end;
        var colour = row.Slice(side * Image.Channels, Image.Channels);
        for (var at = 0; at < hole.Length; at += Image.Channels)
            colour.CopyTo(hole[at..]);
    }

    /// <summary>What one row needs.</summary>
    private sealed class Line
    {
        private readonly int width;
        private readonly int dilation;

        /// <summary>The largest disparity of each column, with <see cref="dilation"/> more places at both ends.</summary>
        private readonly float[] tall;

        public Line(int width, int dilation)
        {
            (this.width, this.dilation) = (width, dilation);
            // Whole vectors, so that every pixel is computed the same way wherever the row ends.
            var padded = (width + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;
            tall = new float[padded + 2 * dilation];
            (Disparity, Weights, Seen) = (new float[padded], new float[padded], new float[width]);
            Sums = new Vector256<float>[width + 2];
        }

        /// <summary>Disparities of the row, its edges dilated.</summary>
        public float[] Disparity { get; }

        /// <summary>How much each pixel counts where several meet.</summary>
        public float[] Weights { get; }

        /// <summary>What was added up for each column, from one before the picture to one after it.</summary>
        public Vector256<float>[] Sums { get; }

        /// <summary>Disparity of what is seen in each column that isn't a hole.</summary>
        public float[] Seen { get; }

        /// <summary>Takes a row's disparities, dilates what is near, and finds the weights.</summary>
        public void Take(ReadOnlySpan<float> disparity, int y, int height)
        {
            var inner = tall.AsSpan(dilation, width);
            disparity.Slice(y * width, width).CopyTo(inner);
            for (var other = Math.Max(0, y - dilation); other <= Math.Min(height - 1, y + dilation); other++)
                Larger(inner, disparity.Slice(other * width, width));
            tall.AsSpan(0, dilation).Fill(inner[0]);
            tall.AsSpan(dilation + width).Fill(inner[^1]);
            var (nearest, farthest) = (new Vector<float>(float.NegativeInfinity), new Vector<float>(float.PositiveInfinity));
            for (var x = 0; x < Disparity.Length; x += Vector<float>.Count)
            {
                var value = new Vector<float>(tall, x);
                for (var other = 1; other <= 2 * dilation; other++)
                    value = Vector.Max(value, new Vector<float>(tall, x + other));
                value.CopyTo(Disparity, x);
                (nearest, farthest) = (Vector.Max(nearest, value), Vector.Min(farthest, value));
            }
            var (top, bottom) = (nearest[0], farthest[0]);
            for (var lane = 1; lane < Vector<float>.Count; lane++)
                (top, bottom) = (Math.Max(top, nearest[lane]), Math.Min(bottom, farthest[lane]));
            // Only differences count, so the nearest gets 1.
            Vector<float> alphas = new(Math.Min(Alpha, Range / Math.Max(top - bottom, 1))),
                tops = new(top);
            for (var x = 0; x < Weights.Length; x += Vector<float>.Count)
                Vector.Exp((new Vector<float>(Disparity, x) - tops) * alphas).CopyTo(Weights, x);
        }

        private static void Larger(Span<float> values, ReadOnlySpan<float> others)
        {
            var x = 0;
            for (; x <= values.Length - Vector<float>.Count; x += Vector<float>.Count)
                Vector.Max(new Vector<float>(values[x..]), new Vector<float>(others[x..])).CopyTo(values[x..]);
            for (; x < values.Length; x++)
                values[x] = Math.Max(values[x], others[x]);
        }
    }
}
