namespace Sora;

/// <summary>What kind of failure it was; each kind has one exit status.</summary>
public enum ErrorKind
{
    /// <summary>I/O, model or memory: exit status 1.</summary>
    Failure = 1,

    /// <summary>Wrong arguments: exit status 2.</summary>
    Usage = 2,

    /// <summary>A valid run of which a part failed: exit status 3.</summary>
    Partial = 3,

    /// <summary>Ctrl-C or SIGTERM: exit status 130.</summary>
    Interrupted = 130,

    /// <summary>The reader of our standard output went away: exit status 141, and nothing is printed.</summary>
    BrokenPipe = 141,
}

/// <summary>
/// The one exception that reaches a user: one line that says what and where, and a hint that says what to do.
/// It is caught once, in Program.cs; verbs never exit by themselves.
/// </summary>
public sealed class SoraException(ErrorKind kind, string message, string? hint = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The kind, whose value is the exit status.</summary>
    public ErrorKind Kind { get; } = kind;

    /// <summary>What to do about it, or null.</summary>
    public string? Hint { get; } = hint;

    /// <summary>A failure of I/O, model or memory (exit status 1).</summary>
    public static SoraException Failed(string message, string? hint = null, Exception? inner = null) =>
        new(ErrorKind.Failure, message, hint, inner);

    /// <summary>A failure (exit status 1) caused by a damaged file from elsewhere.</summary>
    public static SoraException Damaged(string message, Exception? inner = null) => Failed(message, "download the file again", inner);

    /// <summary>Wrong usage (exit status 2).</summary>
    public static SoraException Usage(string message, string? hint = null) => new(ErrorKind.Usage, message, hint);
}
