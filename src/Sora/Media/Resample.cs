using System.Runtime.Intrinsics;

namespace Sora.Media;

/// <summary>How a picture of one shape becomes one of another.</summary>
public enum Fit
{
    /// <summary>The middle part that has the target's aspect ratio, resized: nothing is distorted, edges are lost.</summary>
    Crop,

    /// <summary>The whole picture, resized to fit inside, with black around it: nothing is distorted or lost.</summary>
    Pad,

    /// <summary>The whole picture, stretched to the target's size: the aspect ratio isn't kept.</summary>
    Stretch,
}

/// <summary>
/// Resizing of 8-bit pictures with Pillow's integer arithmetic, bit for bit, since open models were trained and are
/// checked on pictures that Pillow resized. For each axis the filter is stretched by max(in/out, 1), its weights are
/// normalised in double precision and rounded to 22 fractional bits; the horizontal pass comes first and rounds to bytes.
/// Source of the method: Pillow's <c>src/libImaging/Resample.c</c>.
/// </summary>
public static class Resample
{
    private const int PrecisionBits = 22;

    /// <summary>Lanczos with three lobes, sinc(x) sinc(x/3).</summary>
    public static Image Lanczos(Image image, int width, int height) => Resize(image, width, height, 3, LanczosKernel);

    /// <summary>Keys' cubic convolution with a = -0.5.</summary>
    public static Image Bicubic(Image image, int width, int height) => Resize(image, width, height, 2, BicubicKernel);

    /// <summary>
    /// Lanczos to exactly <paramref name="width"/> x <paramref name="height"/>, fitted as <paramref name="fit"/> says. A
    /// crop keeps round(W or H) pixels of the axis that is too long, from floor(rest / 2) on.
    /// </summary>
    public static Image ToSize(Image image, int width, int height, Fit fit)
    {
        if (image.Width == width && image.Height == height)
            return image;
        return fit switch
        {
            Fit.Crop => Lanczos(CropToAspect(image, width, height), width, height),
            Fit.Pad => Pad(image, width, height),
            Fit.Stretch => Lanczos(image, width, height),
            _ => throw new ArgumentOutOfRangeException(nameof(fit)),
        };
    }

    /// <summary>The middle part of a picture that has the shape of <paramref name="width"/> x <paramref name="height"/>.</summary>
    public static Image CropToAspect(Image image, int width, int height)
    {
        // Compare W/H with width/height as whole numbers, so that equal aspects lose nothing.
        var (tooWide, tooTall) = ((long)image.Width * height, (long)image.Height * width);
        if (tooWide == tooTall)
            return image;
        if (tooWide > tooTall)
        {
            var w = Scaled(image.Height, width, height);
            return image.Crop((image.Width - w) / 2, 0, w, image.Height);
        }
        var h = Scaled(image.Width, height, width);
        return image.Crop(0, (image.Height - h) / 2, image.Width, h);
    }

    private static Image Pad(Image image, int width, int height)
    {
        var wide = (long)image.Width * height >= (long)image.Height * width;
        var w = wide ? width : Scaled(height, image.Width, image.Height);
        var h = wide ? Scaled(width, image.Height, image.Width) : height;
        var padded = new Image(width, height);
        padded.Paste(Lanczos(image, w, h), (width - w) / 2, (height - h) / 2);
        return padded;
    }

    private static int Scaled(int length, int numerator, int denominator) =>
        Math.Max(1, (int)Math.Round((double)length * numerator / denominator, MidpointRounding.AwayFromZero));

    private static Image Resize(Image image, int width, int height, int lobes, Func<double, double> kernel)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (width != image.Width)
            image = Horizontal(image, width, Taps.Of(image.Width, width, lobes, kernel));
        if (height != image.Height)
            image = Vertical(image, height, Taps.Of(image.Height, height, lobes, kernel));
        return image;
    }

    private static double LanczosKernel(double x) => x is >= -3 and < 3 ? Sinc(x) * Sinc(x / 3) : 0;

    private static double Sinc(double x)
    {
        if (x == 0)
            return 1;
        x *= Math.PI;
        return Math.Sin(x) / x;
    }

    private static double BicubicKernel(double x)
    {
        const double a = -0.5;
        x = Math.Abs(x);
        if (x < 1)
            return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }

    /// <summary>For each output place the first input place and the integer weights of the inputs from there on.</summary>
    private readonly record struct Taps(int[] First, int[][] Weights)
    {
        public static Taps Of(int from, int to, int lobes, Func<double, double> kernel)
        {
            var scale = (double)from / to;
            var stretch = Math.Max(scale, 1);
            var support = lobes * stretch;
            var taps = new Taps(new int[to], new int[to][]);
            for (var i = 0; i < to; i++)
            {
                var center = (i + 0.5) * scale;
                var first = Math.Max(0, (int)(center - support + 0.5));
                var end = Math.Min(from, (int)(center + support + 0.5));
                var weights = new double[end - first];
                // Multiplied by the reciprocal and summed in this order, as Pillow does: the last bit counts.
                for (var x = 0; x < weights.Length; x++)
                    weights[x] = kernel((x + first - center + 0.5) * (1 / stretch));
                var sum = weights.Sum();
                taps.First[i] = first;
                taps.Weights[i] = Array.ConvertAll(weights, w => Fixed(sum != 0 ? w / sum : w));
            }
            return taps;
        }

        private static int Fixed(double weight) => (int)(weight * (1 << PrecisionBits) + (weight < 0 ? -0.5 : 0.5));
    }

    private static Image Horizontal(Image image, int width, Taps taps)
    {
        var output = new Image(width, image.Height);
        // One int per channel and a spare lane, so that a pixel is one vector.
        Parallel.For(
            0,
            image.Height,
            () => new int[image.Width * 4],
            (y, _, row) =>
            {
                var source = image.Row(y);
                for (int x = 0, s = 0; x < row.Length; x += 4, s += Image.Channels)
                    (row[x], row[x + 1], row[x + 2]) = (source[s], source[s + 1], source[s + 2]);
                var target = output.Row(y);
                for (var i = 0; i < width; i++)
                {
                    var sum = Vector128.Create(1 << (PrecisionBits - 1));
                    var place = taps.First[i] * 4;
                    foreach (var weight in taps.Weights[i])
                    {
                        sum += Vector128.Create(row, place) * weight;
                        place += 4;
                    }
                    for (var c = 0; c < Image.Channels; c++)
                        target[i * Image.Channels + c] = Clip(sum[c]);
                }
                return row;
            },
            _ => { }
        );
        return output;
    }

    private static Image Vertical(Image image, int height, Taps taps)
    {
        var output = new Image(image.Width, height);
        Parallel.For(
            0,
            height,
            () => new int[image.Width * Image.Channels],
            (i, _, sums) =>
            {
                Array.Fill(sums, 1 << (PrecisionBits - 1));
                var first = taps.First[i];
                foreach (var weight in taps.Weights[i])
                    Accumulate(sums, image.Row(first++), weight);
                var target = output.Row(i);
                for (var x = 0; x < sums.Length; x++)
                    target[x] = Clip(sums[x]);
                return sums;
            },
            _ => { }
        );
        return output;
    }

    private static void Accumulate(int[] sums, ReadOnlySpan<byte> row, int weight)
    {
        var x = 0;
        for (; x <= row.Length - Vector128<byte>.Count; x += Vector128<byte>.Count)
        {
            var (low, high) = Vector128.Widen(Vector128.Create(row[x..]));
            var (a, b) = Vector128.Widen(low);
            var (c, d) = Vector128.Widen(high);
            Add(sums, x, a, weight);
            Add(sums, x + 4, b, weight);
            Add(sums, x + 8, c, weight);
            Add(sums, x + 12, d, weight);
        }
        for (; x < row.Length; x++)
            sums[x] += row[x] * weight;
    }

    private static void Add(int[] sums, int x, Vector128<uint> values, int weight) =>
        (Vector128.Create(sums, x) + values.AsInt32() * weight).CopyTo(sums, x);

    private static byte Clip(int sum) => (byte)Math.Clamp(sum >> PrecisionBits, 0, 255);
}
