using System.Globalization;
using Sora.Media;

namespace Sora.Training;

/// <summary>The loss curve of a run: a CSV file that grows by a row a step, and a plot of it.</summary>
internal sealed class LossLog : IDisposable
{
    private const string Header = "step,loss,smooth_loss,validation_loss,gradient_norm,rate,seconds";
    private readonly string csv;
    private readonly string plot;
    private readonly List<Row> rows = [];
    private readonly StreamWriter writer;

    /// <summary>Opens the log of a run that goes on after <paramref name="step"/>; later rows of an earlier try are dropped.</summary>
    public LossLog(string folder, long step)
    {
        csv = Path.Combine(folder, "loss.csv");
        plot = Path.Combine(folder, "loss.png");
        if (step > 0 && File.Exists(csv))
        {
            rows.AddRange(File.ReadLines(csv).Skip(1).Select(Row.Parse).TakeWhile(r => r.Step <= step));
        }
        writer = new StreamWriter(csv, append: false) { AutoFlush = true };
        writer.WriteLine(Header);
        foreach (var row in rows) writer.WriteLine(row);
    }

    /// <summary>The loss, smoothed over about 100 steps.</summary>
    public double Smooth => rows.Count == 0 ? double.NaN : rows[^1].SmoothLoss;

    /// <summary>Seconds of all tries so far.</summary>
    public double Seconds => rows.Count == 0 ? 0 : rows[^1].Seconds;

    public void Add(long step, double loss, double? validation, double norm, double rate, double seconds)
    {
        var smooth = rows.Count == 0 || !double.IsFinite(loss) ? loss : rows[^1].SmoothLoss + (0.02 * (loss - rows[^1].SmoothLoss));
        var row = new Row(step, loss, smooth, validation, norm, rate, seconds);
        rows.Add(row);
        writer.WriteLine(row);
    }

    /// <summary>Draws loss.png from all rows.</summary>
    public void Draw()
    {
        if (rows.Count < 2) return;
        Plot.Lines(plot, "loss", "step",
            new PlotSeries("loss, smoothed", [.. rows.Select(r => ((double)r.Step, r.SmoothLoss))]),
            new PlotSeries("validation", [.. rows.Where(r => r.Validation.HasValue).Select(r => ((double)r.Step, r.Validation!.Value))]));
    }

    public void Dispose() => writer.Dispose();

    private sealed record Row(long Step, double Loss, double SmoothLoss, double? Validation, double Norm, double Rate, double Seconds)
    {
        public static Row Parse(string line)
        {
            var cells = line.Split(',');
            double Number(int i) => double.Parse(cells[i], CultureInfo.InvariantCulture);
            return new Row(long.Parse(cells[0], CultureInfo.InvariantCulture), Number(1), Number(2), cells[3].Length == 0 ? null : Number(3), Number(4), Number(5), Number(6));
        }

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"{Step},{Loss:R},{SmoothLoss:R},{Validation:R},{Norm:G6},{Rate:G6},{Seconds:F2}");
    }
}
