using System.Diagnostics;

namespace Sora.Cli;

/// <summary>
/// How long a stage has taken, and will take. What was done before its first report, such as an earlier run's steps, doesn't tell
/// how long the rest takes.
/// </summary>
internal sealed class StageClock
{
    private string stage = "";
    private long done;
    private long doneAtFirst;
    private long began;

    /// <summary>The time since the stage began.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(began);

    /// <summary>Takes a report.</summary>
    /// <returns>Whether another stage begins with it.</returns>
    public bool Report(string stage, long done)
    {
        var isNew = Kind(stage) != Kind(this.stage) || done < this.done;
        if (isNew)
            (began, doneAtFirst) = (Stopwatch.GetTimestamp(), done);
        (this.stage, this.done) = (stage, done);
        return isNew;
    }

    /// <summary>The time until so much is done; null: not known yet.</summary>
    public TimeSpan? Left(long total) => done > doneAtFirst ? Elapsed / (done - doneAtFirst) * (total - done) : null;

    /// <summary>The part of a stage that stays the same: numbers that change follow a comma.</summary>
    private static string Kind(string stage) => stage.Split(',')[0];
}
