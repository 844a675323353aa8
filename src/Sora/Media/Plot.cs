using System.Globalization;
using System.Xml.Linq;

namespace Sora.Media;

/// <summary>A curve.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">In the order in which they are joined; those that aren't finite are left out.</param>
public sealed record PlotSeries(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>Line plots, such as loss curves: composed as SVG, which ffmpeg turns into pixels.</summary>
public static class Plot
{
    private const int Width = 960;
    private const int Height = 540;
    private const int Left = 80;
    private const int Right = 20;
    private const int Top = 50;
    private const int Bottom = 50;

    /// <summary>More points than this per curve are averaged in groups: there are no more pixels.</summary>
    private const int MaximumPoints = Width;

    /// <summary>Values that span more than this factor are shown on a logarithmic axis.</summary>
    private const double LogarithmicFrom = 30;

    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";
    private static readonly string[] Colours = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf"];

    /// <summary>
    /// Draws curves with axes, labels and a legend. The vertical axis is logarithmic when all values are positive and
    /// span more than a factor of 30.
    /// </summary>
    /// <param name="path">The picture, a PNG say; replaced whole or not at all.</param>
    /// <param name="title">Above the plot.</param>
    /// <param name="horizontal">What the horizontal axis counts, such as <c>step</c>.</param>
    /// <param name="series">The curves.</param>
    /// <exception cref="SoraException">ffmpeg is missing or was built without librsvg, or the file can't be written.</exception>
    public static void Lines(string path, string title, string horizontal, params IReadOnlyList<PlotSeries> series)
    {
        var svg = Path.Combine(Path.GetTempPath(), $"sora-{Guid.NewGuid():N}.svg");
        try
        {
            File.WriteAllText(svg, Draw(title, horizontal, series).ToString(SaveOptions.DisableFormatting));
            Image.Load(svg).Save(path);
        }
        finally
        {
            File.Delete(svg);
        }
    }

    private static XElement Draw(string title, string horizontal, IReadOnlyList<PlotSeries> series)
    {
        var curves = series.Select(curve => Thinned(curve.Points)).ToList();
        var points = curves.SelectMany(curve => curve).ToList();
        var x = new Axis(points.Select(point => point.X), false, Left, Width - Right);
        var (low, high) = (points.Select(point => point.Y).DefaultIfEmpty(0).Min(), points.Select(point => point.Y).DefaultIfEmpty(0).Max());
        var y = new Axis(points.Select(point => point.Y), low > 0 && high / low > LogarithmicFrom, Height - Bottom, Top);

        var root = new XElement(Svg + "svg", new XAttribute("width", Width), new XAttribute("height", Height),
            new XAttribute("font-family", "sans-serif"), new XAttribute("font-size", 13));
        root.Add(Box(0, 0, Width, Height, "white", "none"));
        foreach (var tick in x.Ticks())
        {
            root.Add(Line(x.Place(tick), Top, x.Place(tick), Height - Bottom, "#dddddd"));
            root.Add(Text(x.Place(tick), Height - Bottom + 18, Number(tick), "middle"));
        }
        foreach (var tick in y.Ticks())
        {
            root.Add(Line(Left, y.Place(tick), Width - Right, y.Place(tick), "#dddddd"));
            root.Add(Text(Left - 8, y.Place(tick) + 4, Number(tick), "end"));
        }
        root.Add(Box(Left, Top, Width - Left - Right, Height - Top - Bottom, "none", "black"));
        for (var i = 0; i < curves.Count; i++)
        {
            var places = curves[i].Select(point => Pair(x.Place(point.X), y.Place(point.Y)));
            root.Add(new XElement(Svg + "polyline", new XAttribute("points", string.Join(' ', places)), new XAttribute("fill", "none"),
                new XAttribute("stroke", Colours[i % Colours.Length]), new XAttribute("stroke-width", 1.5)));
            root.Add(Line(Width - 190, Top + 18 + 18 * i, Width - 165, Top + 18 + 18 * i, Colours[i % Colours.Length], 3));
            root.Add(Text(Width - 158, Top + 22 + 18 * i, series[i].Name, "start"));
        }
        root.Add(Text(Width / 2.0, 30, title, "middle", 17));
        root.Add(Text(Width / 2.0, Height - 12, horizontal, "middle"));
        return root;
    }

    private static List<(double X, double Y)> Thinned(IReadOnlyList<(double X, double Y)> points)
    {
        var finite = points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y)).ToList();
        var group = (finite.Count + MaximumPoints - 1) / MaximumPoints;
        return group <= 1 ? finite : [.. finite.Chunk(group).Select(some => (some.Average(p => p.X), some.Average(p => p.Y)))];
    }

    private static XElement Box(int x, int y, int width, int height, string fill, string stroke) => new(Svg + "rect",
        new XAttribute("x", x), new XAttribute("y", y), new XAttribute("width", width), new XAttribute("height", height),
        new XAttribute("fill", fill), new XAttribute("stroke", stroke));

    private static XElement Line(double x1, double y1, double x2, double y2, string stroke, int width = 1) => new(Svg + "path",
        new XAttribute("d", $"M{Pair(x1, y1)} L{Pair(x2, y2)}"), new XAttribute("stroke", stroke), new XAttribute("stroke-width", width));

    private static XElement Text(double x, double y, string text, string anchor, int size = 13) => new(Svg + "text",
        new XAttribute("x", Number(x)), new XAttribute("y", Number(y)), new XAttribute("text-anchor", anchor),
        new XAttribute("font-size", size), text);

    private static string Pair(double x, double y) => string.Create(CultureInfo.InvariantCulture, $"{x:0.##},{y:0.##}");

    private static string Number(double value) => value.ToString("G6", CultureInfo.InvariantCulture);

    /// <summary>Values, and where on the picture they are.</summary>
    private readonly struct Axis
    {
        private readonly double _low;
        private readonly double _high;
        private readonly bool _logarithmic;
        private readonly double _from;
        private readonly double _to;

        public Axis(IEnumerable<double> values, bool logarithmic, double from, double to)
        {
            var scaled = values.Select(value => logarithmic ? Math.Log10(value) : value).DefaultIfEmpty(0).ToList();
            (_low, _high, _logarithmic, _from, _to) = (scaled.Min(), scaled.Max(), logarithmic, from, to);
            // A single value gets an axis around it.
            if (_high - _low <= 0) (_low, _high) = (_low - 0.5, _high + 0.5);
        }

        public double Place(double value) =>
            _from + ((_logarithmic ? Math.Log10(value) : value) - _low) / (_high - _low) * (_to - _from);

        /// <summary>Round numbers: powers of ten and their 2 and 5, or multiples of 1, 2 or 5 times a power of ten.</summary>
        public IEnumerable<double> Ticks()
        {
            if (_logarithmic)
            {
                for (var power = (int)Math.Floor(_low); power <= _high; power++)
                {
                    foreach (var digit in new[] { 1, 2, 5 })
                    {
                        var tick = digit * Math.Pow(10, power);
                        if (Math.Log10(tick) >= _low && Math.Log10(tick) <= _high) yield return tick;
                    }
                }
                yield break;
            }
            var rough = (_high - _low) / 8;
            var unit = Math.Pow(10, Math.Floor(Math.Log10(rough)));
            var step = unit * (rough / unit > 5 ? 10 : rough / unit > 2 ? 5 : rough / unit > 1 ? 2 : 1);
            for (var i = Math.Ceiling(_low / step); i * step <= _high; i++) yield return i * step;
        }
    }
}
