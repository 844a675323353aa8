namespace Sora;

/// <summary>
/// Where long work reports: messages, warnings and progress, never payload. The
/// command line shows them on standard error as text or as JSON lines.
/// </summary>
public abstract class Reporter
{
    /// <summary>A reporter that says nothing.</summary>
    public static readonly Reporter Silent = new SilentReporter();

    private readonly HashSet<string> said = [];

    /// <summary>One line for the user.</summary>
    public abstract void Note(string message);

    /// <summary>The same, unless it was said before: for what applies to many clips.</summary>
    public void NoteOnce(string message)
    {
        lock (said)
        {
            if (!said.Add(message))
                return;
        }
        Note(message);
    }

    /// <summary>One line for the user about something that may not be what they want.</summary>
    public abstract void Warn(string message);

    /// <summary><paramref name="done"/> of <paramref name="total"/> units of <paramref name="stage"/> are finished.</summary>
    public abstract void Progress(string stage, long done, long total);

    /// <summary>The items as they are; each counts as finished when the next one is asked for.</summary>
    /// <param name="stage">What is done with them.</param>
    /// <param name="items">Taken one at a time.</param>
    /// <param name="total">How many there are; where there turn out to be more, as many as there were so far.</param>
    public IEnumerable<T> Counted<T>(string stage, IEnumerable<T> items, long total)
    {
        var done = 0L;
        foreach (var item in items)
        {
            yield return item;
            done++;
            Progress(stage, done, Math.Max(done, total));
        }
    }

    private sealed class SilentReporter : Reporter
    {
        public override void Note(string message) { }

        public override void Warn(string message) { }

        public override void Progress(string stage, long done, long total) { }
    }
}
