using Sora.Media;

namespace Sora.Eval;

/// <summary>How near pictures are to others.</summary>
internal static class Quality
{
    /// <summary>What identical pictures get, in dB: their PSNR has no number.</summary>
    public const double Identical = 100;

    private const int Window = 11;
    private const double Sigma = 1.5,
        C1 = 0.01 * 255 * (0.01 * 255),
        C2 = 0.03 * 255 * (0.03 * 255);

    /// <summary>Peak signal-to-noise ratio of 8-bit RGB in dB, of the mean error over all frames.</summary>
    /// <param name="a">Frames.</param>
    /// <param name="b">As many frames of the same size.</param>
    /// <param name="counts">Whether a pixel (frame, row, column) is looked at; null: all are.</param>
    public static double Psnr(IReadOnlyList<Image> a, IReadOnlyList<Image> b, Func<int, int, int, bool>? counts = null)
    {
        double sum = 0;
        long number = 0;
        for (var f = 0; f < a.Count; f++)
        {
            for (var at = 0; at < a[f].Pixels.Length; at++)
            {
                var pixel = at / Image.Channels;
                if (counts is not null && !counts(f, pixel / a[f].Width, pixel % a[f].Width))
                    continue;
                double error = a[f].Pixels[at] - b[f].Pixels[at];
                sum += error * error;
                number++;
            }
        }
        return sum == 0 ? Identical : Math.Min(Identical, 10 * Math.Log10(255 * 255 * number / sum));
    }

    /// <summary>
    /// Mean structural similarity of the luma (BT.601) of all frames: Gaussian windows of 11x11 with sigma 1.5 that lie
    /// inside the picture (Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity").
    /// </summary>
    public static double Ssim(IReadOnlyList<Image> a, IReadOnlyList<Image> b) => a.Zip(b, Ssim).Average();

    /// <summary>The Gaussian weights of a window's rows and columns; their sum is one.</summary>
    internal static double[] Kernel()
    {
        var weights = Enumerable.Range(0, Window).Select(i => Math.Exp(-Math.Pow(i - Window / 2, 2) / (2 * Sigma * Sigma))).ToArray();
        return [.. weights.Select(weight => weight / weights.Sum())];
    }

    /// <summary>The luma of a picture, [H W].</summary>
    internal static double[] Luma(Image image) =>
        [
            .. Enumerable
                .Range(0, image.Width * image.Height)
                .Select(i => 0.299 * image.Pixels[3 * i] + 0.587 * image.Pixels[3 * i + 1] + 0.114 * image.Pixels[3 * i + 2]),
        ];

    private static double Ssim(Image first, Image second)
    {
        var (width, height) = (first.Width, first.Height);
        var (x, y) = (Luma(first), Luma(second));
        double[] Mean(Func<int, double> value) => Blur(value, width, height);
        var (mx, my) = (Mean(i => x[i]), Mean(i => y[i]));
        var (xx, yy, xy) = (Mean(i => x[i] * x[i]), Mean(i => y[i] * y[i]), Mean(i => x[i] * y[i]));
        double sum = 0;
        for (var i = 0; i < mx.Length; i++)
        {
            var (vx, vy, covariance) = (xx[i] - mx[i] * mx[i], yy[i] - my[i] * my[i], xy[i] - mx[i] * my[i]);
            sum += (2 * mx[i] * my[i] + C1) * (2 * covariance + C2) / ((mx[i] * mx[i] + my[i] * my[i] + C1) * (vx + vy + C2));
        }
        return sum / mx.Length;
    }

    /// <summary>Weighted means of all windows inside the picture, rows first and columns then.</summary>
    private static double[] Blur(Func<int, double> value, int width, int height)
    {
        var kernel = Kernel();
        var (across, down) = (width - Window + 1, height - Window + 1);
        var rows = new double[height * across];
        for (var y = 0; y < height; y++)
        for (var x = 0; x < across; x++)
        for (var k = 0; k < Window; k++)
            rows[y * across + x] += kernel[k] * value(y * width + x + k);
        var result = new double[down * across];
        for (var y = 0; y < down; y++)
        for (var x = 0; x < across; x++)
        for (var k = 0; k < Window; k++)
            result[y * across + x] += kernel[k] * rows[(y + k) * across + x];
        return result;
    }
}
