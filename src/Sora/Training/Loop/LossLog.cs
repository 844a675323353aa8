using System.Globalization;
using Sora.Media;

namespace Sora.Training;

/// <summary>
/// The loss curve of a run: a CSV file that grows by a row per step, and a plot of it. A run locks the file, which is how runs
/// in the same folder notice each other.
/// </summary>
internal sealed class LossLog : IDisposable
{
    private const string Header = "step,loss,smooth_loss,validation_loss,gradient_norm,rate,seconds";
    private readonly string csv;
    private readonly string plot;
    private readonly List<Row> rows = [];
    private readonly StreamWriter writer;

    /// <summary>Opens the log of a run that goes on after <paramref name="step"/>; later rows of an earlier try are dropped.</summary>
    /// <exception cref="SoraException">Another run writes to it, or a row that is needed can't be read.</exception>
    public LossLog(string folder, long step)
    {
        csv = Path.Combine(folder, "loss.csv");
        plot = Path.Combine(folder, "loss.png");
        FileStream file;
        try
        {
            file = new FileStream(csv, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException fault)
        {
            throw SoraException.Failed(
                $"{csv}: can't be written; is another run training here?",
                "wait for it, or choose another --output",
                fault
            );
        }
        try
        {
            if (step > 0)
                rows.AddRange(Read(file, step));
        }
        catch (SoraException)
        {
            file.Dispose();
            throw;
        }
        writer = new StreamWriter(file) { AutoFlush = true };
        file.SetLength(0);
        writer.WriteLine(Header);
        foreach (var row in rows)
            writer.WriteLine(row);
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
        if (rows.Count < 2)
            return;
        Plot.Lines(
            plot,
            "loss",
            "step",
            new PlotSeries("loss, smoothed", [.. rows.Select(r => ((double)r.Step, r.SmoothLoss))]),
            new PlotSeries("validation", [.. rows.Where(r => r.Validation.HasValue).Select(r => ((double)r.Step, r.Validation!.Value))])
        );
    }

    public void Dispose() => writer.Dispose();

    /// <summary>The rows up to a step. The last one may be half a row, where a run was killed.</summary>
    private List<Row> Read(FileStream file, long step)
    {
        var lines = new StreamReader(file).ReadToEnd().Split('\n');
        var kept = new List<Row>();
        for (var i = 1; i < lines.Length - 1; i++)
        {
            var row =
                Row.Parse(lines[i])
                ?? throw SoraException.Failed($"{csv}: line {i + 1} isn't a row of seven numbers", "delete the line and try again");
            if (row.Step > step)
                break;
            kept.Add(row);
        }
        return kept;
    }

    private sealed record Row(long Step, double Loss, double SmoothLoss, double? Validation, double Norm, double Rate, double Seconds)
    {
        /// <summary>The row in a line, or null.</summary>
        public static Row? Parse(string line)
        {
            var cells = line.Split(',');
            if (cells.Length != 7 || !long.TryParse(cells[0], CultureInfo.InvariantCulture, out var step))
                return null;
            var numbers = new double[7];
            for (var i = 1; i < 7; i++)
                if (!double.TryParse(cells[i], CultureInfo.InvariantCulture, out numbers[i]) && !(i == 3 && cells[i].Length == 0))
                    return null;
            return new Row(step, numbers[1], numbers[2], cells[3].Length == 0 ? null : numbers[3], numbers[4], numbers[5], numbers[6]);
        }

        public override string ToString() =>
            string.Create(CultureInfo.InvariantCulture, $"{Step},{Loss:R},{SmoothLoss:R},{Validation:R},{Norm:G6},{Rate:G6},{Seconds:F2}");
    }
}
