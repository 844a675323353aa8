namespace Sora.Eval;

/// <summary>Notes and warnings as lines on standard error; progress is not shown.</summary>
internal sealed class ConsoleReporter : Reporter
{
    /// <inheritdoc/>
    public override void Note(string message) => Console.Error.WriteLine($"eval: {message}");

    /// <inheritdoc/>
    public override void Warn(string message) => Note(message);

    /// <inheritdoc/>
    public override void Progress(string stage, long done, long total) { }
}
