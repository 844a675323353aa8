using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Sora.Cli.Docs;

namespace Sora.Cli;

/// <summary>From the words of a command line to an exit status: parses, runs the verb, and says what went wrong, once.</summary>
internal static class Shell
{
    public const string Description = "Makes, changes and shows videos in latent space, one pipe stage at a time";

    private static readonly ParserConfiguration Parser = new() { ResponseFileTokenReplacer = null };

    public static string Version => typeof(Shell).Assembly.GetName().Version!.ToString(3);

    public static int Run(string[] words, IReadOnlyList<Verb> verbs)
    {
        var root = Root(verbs);
        var parse = root.Parse(words, Parser);
        var verb = parse.CommandResult.Command as Verb;
        var json = parse.GetResult(Options.Log) is { Tokens: [{ Value: "json" }] };
        using var log = Log.For(verb?.Name ?? "", json, quiet: Given(parse, Options.Quiet));
        // Not disposed: the watch on standard output's reader may cancel it until the process ends.
        var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt(stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt(stop));
        var run = new Run(verb?.Name ?? "", words.Skip(Array.IndexOf(words, verb?.Name) + 1).ToArray(), log, stop);
        try
        {
            Run(parse, words, run);
            run.Out.Flush();
            return 0;
        }
        catch (Exception error)
        {
            return Report(error, run, log);
        }
    }

    private static void Run(ParseResult parse, string[] words, Run run)
    {
        if (words.Length == 0 || Given(parse, Options.Help))
            Help.Write(parse.CommandResult.Command, run.Out);
        else if (Given(parse, Options.Version))
            run.Out.WriteLine($"sora {Version}");
        else if (Usage.Mistake(parse, words) is { } mistake)
            throw mistake;
        else
            ((Verb)parse.CommandResult.Command).Body(parse, run);
    }

    private static Command Root(IReadOnlyList<Verb> verbs)
    {
        var root = new RootCommand(Description);
        root.Options.Clear();
        root.Directives.Clear();
        root.Add(Options.Help);
        root.Add(Options.Version);
        root.Add(Options.Quiet);
        root.Add(Options.Log);
        foreach (var verb in verbs)
            root.Add(verb);
        return root;
    }

    /// <summary>
    /// The first signal asks the verb to stop; another, at least three seconds later, ends the process as it would without us. Whatever
    /// stops a whole job, like timeout(1), signals twice at once, and on a busy machine the second signal is seen late.
    /// </summary>
    private static Action<PosixSignalContext> Interrupt(CancellationTokenSource stop)
    {
        long first = 0;
        return signal =>
        {
            if (first == 0)
                first = Stopwatch.GetTimestamp();
            signal.Cancel = Stopwatch.GetElapsedTime(first) < TimeSpan.FromSeconds(3);
            stop.Cancel();
        };
    }

    private static int Report(Exception error, Run run, Log log)
    {
        var (kind, message, hint) = Describe(error, run);
        if (kind != ErrorKind.BrokenPipe)
            log.Error(message, hint, (int)kind);
        if (Environment.GetEnvironmentVariable("SORA_TRACE") == "1")
            log.Trace(error);
        return (int)kind;
    }

    private static (ErrorKind Kind, string Message, string? Hint) Describe(Exception error, Run run) =>
        error switch
        {
            // What fails after the run is stopped fails because of that: a Ctrl-C also ends the programs that it started.
            _ when run.ReaderGone => (ErrorKind.BrokenPipe, "", null),
            _ when run.Cancel.IsCancellationRequested => (ErrorKind.Interrupted, "interrupted", null),
            SoraException ours => (ours.Kind, ours.Message, ours.Hint),
            IOException or UnauthorizedAccessException => (ErrorKind.Failure, OneLine(error.Message), null),
            OutOfMemoryException or ExternalException when IsOutOfMemory(error) => (
                ErrorKind.Failure,
                "out of memory",
                "a smaller --size or a shorter --duration needs less memory"
            ),
            _ => (ErrorKind.Failure, $"internal error: {error.GetType().Name}: {OneLine(error.Message)}", "SORA_TRACE=1 shows where"),
        };

    private static bool IsOutOfMemory(Exception error) =>
        error is OutOfMemoryException
        || error.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
        || error.Message.Contains("allocate memory", StringComparison.OrdinalIgnoreCase);

    private static string OneLine(string message) => message.ReplaceLineEndings("\n").Split('\n')[0];

    private static bool Given(ParseResult parse, Option<bool> option) => parse.GetResult(option) is { Implicit: false };
}
