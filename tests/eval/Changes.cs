using Sora.Media;

namespace Sora.Eval;

/// <summary>How a clip changes from frame to frame, in levels of 255.</summary>
internal static class Changes
{
    /// <summary>The mean absolute difference of two frames.</summary>
    public static double Between(Image a, Image b)
    {
        long sum = 0;
        for (var i = 0; i < a.Pixels.Length; i++)
            sum += Math.Abs(a.Pixels[i] - b.Pixels[i]);
        return (double)sum / a.Pixels.Length;
    }

    /// <summary>The mean absolute difference of neighbouring frames.</summary>
    public static double Mean(IReadOnlyList<Image> frames) => Neighbours(frames).Average();

    /// <summary>
    /// How much the background flickers where the camera stands still: for each byte of the picture the mean absolute
    /// difference of neighbouring frames, and of these the median, for objects cover less than half of the picture.
    /// </summary>
    public static double Flicker(IReadOnlyList<Image> frames)
    {
        var sums = new int[frames[0].Pixels.Length];
        for (var f = 1; f < frames.Count; f++)
        for (var i = 0; i < sums.Length; i++)
            sums[i] += Math.Abs(frames[f].Pixels[i] - frames[f - 1].Pixels[i]);
        return Median(sums.Select(sum => (double)sum)) / (frames.Count - 1);
    }

    /// <summary>
    /// The change of a frame's colours at a join and inside the clip: the absolute change of the mean and of the standard
    /// deviation of each channel, averaged over channels.
    /// </summary>
    /// <param name="frames">The clip.</param>
    /// <param name="join">The first frame after the join.</param>
    /// <returns>For mean and deviation the change at the join and the mean change elsewhere.</returns>
    public static (double MeanAt, double MeanInside, double DeviationAt, double DeviationInside) Drift(
        IReadOnlyList<Image> frames,
        int join
    )
    {
        var colours = frames.Select(Colours).ToList();
        double Change(int frame, int first) =>
            Enumerable.Range(first, Image.Channels).Average(i => Math.Abs(colours[frame][i] - colours[frame - 1][i]));
        var inside = Enumerable.Range(1, frames.Count - 1).Where(frame => frame != join).ToList();
        return (
            Change(join, 0),
            inside.Average(f => Change(f, 0)),
            Change(join, Image.Channels),
            inside.Average(f => Change(f, Image.Channels))
        );
    }

    /// <summary>The difference of the last and the first frame over the median difference of neighbours: at most 1 is no seam.</summary>
    public static double Seam(IReadOnlyList<Image> frames) => Between(frames[^1], frames[0]) / Math.Max(1e-9, Median(Neighbours(frames)));

    /// <summary>The middle one of values, or the mean of the two middle ones.</summary>
    internal static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }

    private static IEnumerable<double> Neighbours(IReadOnlyList<Image> frames) => frames.Skip(1).Zip(frames, Between);

    /// <summary>Mean and standard deviation of each channel: r, g, b, then the deviations.</summary>
    private static double[] Colours(Image frame)
    {
        var (sums, squares) = (new double[Image.Channels], new double[Image.Channels]);
        for (var i = 0; i < frame.Pixels.Length; i++)
        {
            sums[i % Image.Channels] += frame.Pixels[i];
            squares[i % Image.Channels] += (double)frame.Pixels[i] * frame.Pixels[i];
        }
        double pixels = frame.Width * frame.Height;
        return
        [
            .. sums.Select(sum => sum / pixels),
            .. sums.Zip(squares, (sum, square) => Math.Sqrt(Math.Max(0, square / pixels - sum / pixels * (sum / pixels)))),
        ];
    }
}
