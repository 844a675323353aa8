using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Sora.Media;

/// <summary>A curve.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">In the order in which they are joined; those that aren't finite are left out.</param>
public sealed record PlotSeries(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>Line plots, such as loss curves.</summary>
public static class Plot
{
    private const int Width = 960;
    private const int Height = 540;

    /// <summary>Values that span more than this factor are shown on a logarithmic axis.</summary>
    private const double LogarithmicFrom = 30;

    /// <summary>What ffmpeg's own packages install on Debian.</summary>
    private const string Typeface = "DejaVu Sans";

    /// <summary>Room around the curves for ticks and titles.</summary>
    private static readonly PixelPadding Frame = new(left: 80, right: 20, bottom: 50, top: 50);

    /// <summary>
    /// Draws curves with axes, labels and a legend. The vertical axis is logarithmic when all values are positive and
    /// span more than a factor of 30.
    /// </summary>
    /// <param name="path">The picture, a PNG; replaced whole or not at all.</param>
    /// <param name="title">Above the plot.</param>
    /// <param name="horizontal">What the horizontal axis counts, such as <c>step</c>.</param>
    /// <param name="series">The curves.</param>
    /// <exception cref="SoraException">The file can't be written.</exception>
    public static void Lines(string path, string title, string horizontal, params IReadOnlyList<PlotSeries> series)
    {
        var curves = series
            .Select(curve => curve.Points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y)).ToList())
            .ToList();
        var values = curves.SelectMany(curve => curve).Select(point => point.Y).DefaultIfEmpty(1).ToList();
        var (low, high) = (values.Min(), values.Max());
        var isLogarithmic = low > 0 && high / low > LogarithmicFrom;
        using var plot = new ScottPlot.Plot();
        foreach (var (curve, points) in series.Zip(curves))
        {
            var line = plot.Add.ScatterLine(
                points.Select(point => new Coordinates(point.X, isLogarithmic ? Math.Log10(point.Y) : point.Y)).ToArray()
            );
            (line.LegendText, line.LineWidth) = (curve.Name, 1.5f);
        }
        // ScottPlot's axes are linear: curves and ticks are placed by their logarithms.
        if (isLogarithmic)
            plot.Axes.Left.TickGenerator = Decades(low, high);
        plot.Axes.Margins(0, 0);
        plot.Layout.Fixed(Frame);
        // Without it the text is in whatever font there is.
        plot.Font.Set(Typeface);
        plot.Title(title);
        plot.XLabel(horizontal);
        plot.ShowLegend(Alignment.UpperRight);
        var picture = plot.GetImageBytes(Width, Height, ImageFormat.Png);
        AtomicFile.Write(path, file => file.Write(picture));
    }

    /// <summary>Powers of ten and their 2 and 5.</summary>
    private static NumericManual Decades(double low, double high)
    {
        var ticks = new NumericManual();
        for (var power = (int)Math.Floor(Math.Log10(low)); power <= Math.Log10(high); power++)
        {
            foreach (var tick in new[] { 1, 2, 5 }.Select(digit => digit * Math.Pow(10, power)))
                ticks.AddMajor(Math.Log10(tick), tick.ToString("G6", CultureInfo.InvariantCulture));
        }
        return ticks;
    }
}
