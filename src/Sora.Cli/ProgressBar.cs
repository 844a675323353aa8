using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Sora.Cli;

/// <summary>
/// The terminal line that shows how far a stage has come: a bar, the time it took and the time left. Spectre.Console draws it,
/// but its own live display isn't used: that hides the cursor, which stays hidden if the program is killed, and clears the whole
/// terminal when its window shrinks.
/// </summary>
/// <param name="terminal">Gets the line and the codes that write over it.</param>
/// <param name="gate">Held by the caller of every method, and while the clock redraws the line.</param>
/// <param name="name">Shown before the stage.</param>
internal sealed class ProgressBar(TextWriter terminal, Lock gate, string name) : IDisposable
{
    private const int ColumnsUnknown = 80;
    private const int SmallestBar = 8;
    private const int LargestBar = 40;

    private static readonly TimeSpan DrawEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ClockEvery = TimeSpan.FromSeconds(1);

    private readonly Capabilities capabilities = new()
    {
        Ansi = true,
        ColorSystem = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) ? ColorSystem.Standard : ColorSystem.NoColors,
        Unicode = IsUnicode(),
    };

    private readonly StageClock clock = new();
    private Timer? ticks;
    private string stage = "";
    private long done;
    private long total;
    private long drawn;
    private bool shown;

    /// <summary>Shows the bar, or erases it when all is done.</summary>
    public void Report(string stage, long done, long total)
    {
        if (clock.Report(stage, done))
            drawn = 0;
        (this.stage, this.done, this.total) = (stage, done, total);
        if (done >= total)
        {
            Erase();
            return;
        }
        // Between two reports of slow work the clock goes on.
        ticks ??= new Timer(_ => Tick(), null, ClockEvery, ClockEvery);
        if (Stopwatch.GetElapsedTime(drawn) >= DrawEvery)
            Draw();
    }

    /// <summary>Removes the line, so that another can be written in its place.</summary>
    public void Erase()
    {
        if (shown)
            terminal.Write("\r\e[K");
        shown = false;
    }

    /// <summary>Shows the line again after <see cref="Erase"/>, unless all is done.</summary>
    public void Restore()
    {
        if (done < total)
            Draw();
    }

    /// <summary>Removes the line for good.</summary>
    public void Dispose()
    {
        ticks?.Dispose();
        Erase();
        total = 0;
    }

    private void Tick()
    {
        lock (gate)
        {
            try
            {
                if (shown)
                    Restore();
            }
            catch (SoraException)
            {
                // The terminal is gone. The next report will find out too, and can say so.
            }
        }
    }

    private void Draw()
    {
        // The last column stays free: a full line would wrap.
        var columns = (StandardStream.ErrorColumns() ?? ColumnsUnknown) - 1;
        using var line = new StringWriter();
        var writer = new AnsiWriter(line, capabilities);
        foreach (var segment in Segment.Truncate(Segments(columns), columns))
            writer.Write(segment.Text, segment.Style);
        terminal.Write($"\r{line}\e[K");
        (shown, drawn) = (true, Stopwatch.GetTimestamp());
    }

    private IEnumerable<Segment> Segments(int columns)
    {
        var before = new Segment($"{name}: {stage} ");
        var after = new Segment($" {done}/{total}{Times()}");
        var room = Math.Min(columns - before.CellCount() - after.CellCount(), LargestBar);
        return room < SmallestBar ? [before, after] : [before, .. Bar(room), after];
    }

    private IEnumerable<Segment> Bar(int width)
    {
        var options = new RenderOptions(capabilities, new Size(width, 1));
        var progress = new ProgressTask(0, stage, total, autoStart: false) { Value = done };
        return new ProgressBarColumn { Width = width }
            .Render(options, progress, TimeSpan.Zero)
            .Render(options, width);
    }

    private string Times() => $" in {Clock(clock.Elapsed)}" + (clock.Left(total) is { } left ? $", {Clock(left)} left" : "");

    private static string Clock(TimeSpan time) =>
        time.ToString(
            time.TotalHours < 1 ? @"m\:ss"
                : time.TotalDays < 1 ? @"h\:mm\:ss"
                : @"d\d\ hh\:mm\:ss",
            CultureInfo.InvariantCulture
        );

    private static bool IsUnicode()
    {
        var locale = new[] { "LC_ALL", "LC_CTYPE", "LANG" }
            .Select(Environment.GetEnvironmentVariable)
            .FirstOrDefault(value => !string.IsNullOrEmpty(value));
        return locale != null && locale.Contains("utf", StringComparison.OrdinalIgnoreCase);
    }
}
