using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Sora.Cli;

/// <summary>The reporter of the command line: what it is told goes to standard error. Errors always; the rest unless quiet.</summary>
internal abstract class Log(TextWriter stderr, bool quiet) : Reporter, IDisposable
{
    protected readonly Lock Gate = new();

    protected TextWriter Stderr => stderr;

    protected bool IsQuiet => quiet;

    /// <summary>Not <see cref="Console.Error"/>: opening a console sends escape codes to the terminal.</summary>
    public static Log For(string verb, bool json, bool quiet)
    {
        var stderr = new StreamWriter(StandardStream.OpenError()) { AutoFlush = true };
        return json ? new JsonLog(verb, stderr, quiet) : new TextLog(verb, stderr, quiet, Display());
    }

    private static ProgressDisplay Display()
    {
        if (Console.IsErrorRedirected)
            return ProgressDisplay.Lines;
        return Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb" ? ProgressDisplay.Text : ProgressDisplay.Bar;
    }

    public abstract void Error(string message, string? hint, int status);

    public void Trace(Exception error) => stderr.WriteLine(error);

    /// <summary>Leaves no progress on the terminal.</summary>
    public abstract void Dispose();
}

/// <summary>How progress is shown.</summary>
internal enum ProgressDisplay
{
    /// <summary>A plain line now and then, in pipes and files.</summary>
    Lines,

    /// <summary>Text that rewrites itself, on a terminal that nothing is known about.</summary>
    Text,

    /// <summary>A bar.</summary>
    Bar,
}

/// <summary>Lines of text, and progress as <paramref name="display"/> says.</summary>
internal sealed class TextLog(string verb, TextWriter stderr, bool quiet, ProgressDisplay display) : Log(stderr, quiet)
{
    private static readonly TimeSpan PlainEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan DrawEvery = TimeSpan.FromMilliseconds(100);

    private readonly string name = verb.Length == 0 ? "sora" : $"sora {verb}";
    private ProgressBar? bar;
    private readonly StageClock clock = new();
    private long lastShown;
    private bool textShown;

    public override void Note(string message) => Line(message, IsQuiet);

    public override void Warn(string message) => Line($"warning: {message}", IsQuiet);

    public override void Error(string message, string? hint, int status)
    {
        Dispose();
        Line(message, silent: false);
        if (hint != null)
            Stderr.WriteLine($"  hint: {hint}");
    }

    public override void Progress(string stage, long done, long total)
    {
        if (IsQuiet)
            return;
        lock (Gate)
        {
            if (display == ProgressDisplay.Bar)
                (bar ??= new ProgressBar(Stderr, Gate, name)).Report(stage, done, total);
            else
                Write(stage, done, total);
        }
    }

    /// <summary>Ends the bar.</summary>
    public override void Dispose()
    {
        lock (Gate)
            bar?.Dispose();
    }

    private void Write(string stage, long done, long total)
    {
        var rewrites = display == ProgressDisplay.Text;
        if (clock.Report(stage, done))
            lastShown = rewrites ? 0 : Stopwatch.GetTimestamp();
        var due = Stopwatch.GetElapsedTime(lastShown) >= (rewrites ? DrawEvery : PlainEvery);
        if (!due && !(rewrites && done >= total))
            return;
        lastShown = Stopwatch.GetTimestamp();
        var text = $"{name}: {stage} {done}/{total}{Remaining(done, total)}";
        if (rewrites)
            Stderr.Write($"\r{text}\e[K");
        else
            Stderr.WriteLine(text);
        textShown = rewrites;
        if (rewrites && done >= total)
            EraseText();
    }

    private string Remaining(long done, long total)
    {
        if (done >= total || clock.Left(total) is not { } left)
            return "";
        return string.Create(CultureInfo.InvariantCulture, $", {left.TotalSeconds:0} s left");
    }

    private void Line(string message, bool silent)
    {
        if (silent)
            return;
        lock (Gate)
        {
            EraseText();
            bar?.Erase();
            Stderr.WriteLine($"{name}: {message}");
            bar?.Restore();
        }
    }

    private void EraseText()
    {
        if (textShown)
            Stderr.Write("\r\e[K");
        textShown = false;
    }
}

/// <summary>One JSON object per event, on a line of its own: <c>event</c> is note, warning, progress or error.</summary>
internal sealed class JsonLog(string verb, TextWriter stderr, bool quiet) : Log(stderr, quiet)
{
    public override void Note(string message) => Write("note", json => json.WriteString("message", message));

    public override void Warn(string message) => Write("warning", json => json.WriteString("message", message));

    public override void Progress(string stage, long done, long total) =>
        Write(
            "progress",
            json =>
            {
                json.WriteString("stage", stage);
                json.WriteNumber("done", done);
                json.WriteNumber("total", total);
            }
        );

    public override void Error(string message, string? hint, int status) =>
        Write(
            "error",
            json =>
            {
                json.WriteString("message", message);
                if (hint != null)
                    json.WriteString("hint", hint);
                json.WriteNumber("status", status);
            }
        );

    private void Write(string kind, Action<Utf8JsonWriter> fields)
    {
        if (IsQuiet && kind != "error")
            return;
        using var buffer = new MemoryStream();
        using (
            var json = new Utf8JsonWriter(
                buffer,
                new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
            )
        )
        {
            json.WriteStartObject();
            json.WriteString("event", kind);
            json.WriteString("verb", verb);
            fields(json);
            json.WriteEndObject();
        }
        lock (Gate)
            Stderr.WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }

    public override void Dispose() { }
}
