using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;
using FFMpegCore;
using FFMpegCore.Enums;

namespace Sora.Media;

/// <summary>One run of the ffmpeg program, and its errors in one line.</summary>
public sealed partial class FfmpegRun : IDisposable
{
    private readonly CancellationTokenSource kill = new();
    private readonly CancellationToken cancel;
    private readonly CancellationTokenRegistration stop;
    private readonly string failure;
    private volatile string? lastLine;

    /// <summary>Starts ffmpeg; <paramref name="failure"/> says what went wrong if it fails.</summary>
    public FfmpegRun(FFMpegArgumentProcessor processor, string failure, CancellationToken cancel)
    {
        Require();
        (this.failure, this.cancel) = (failure, cancel);
        processor.WithLogLevel(FFMpegLogLevel.Error).NotifyOnStandardError(Remember).CancellableThrough(kill.Token);
        Ended = Task.Run(() => processor.ProcessAsynchronously(), CancellationToken.None);
        stop = cancel.Register(Kill);
    }

    /// <summary>Completes when ffmpeg has ended, well or not.</summary>
    public Task Ended { get; }

    /// <summary>The last thing that ffmpeg complained about, though it may have gone on.</summary>
    public string? Complaint => lastLine;

    /// <summary>Waits for ffmpeg's end.</summary>
    /// <exception cref="SoraException">It failed; the message ends in ffmpeg's last error line.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public void Wait()
    {
        try
        {
            Ended.GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            cancel.ThrowIfCancellationRequested();
            throw Failure(error);
        }
    }

    /// <summary>What to throw when ffmpeg went away in the middle of <paramref name="cause"/>.</summary>
    public SoraException Failure(Exception? cause = null) =>
        SoraException.Failed(lastLine == null ? failure : $"{failure}: {lastLine}", inner: cause);

    /// <summary>Kills ffmpeg if it still runs.</summary>
    public void Dispose()
    {
        stop.Dispose();
        Kill();
        // How a killed run ends doesn't matter.
        Ended.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        kill.Dispose();
    }

    private void Kill()
    {
        try
        {
            kill.Cancel();
        }
        catch (AggregateException error) when (error.InnerExceptions.All(inner => inner is IOException))
        {
            // FFMpegCore asks ffmpeg to quit on its standard input, which is closed if ffmpeg has just ended.
        }
    }

    /// <summary>ffmpeg's own first words, such as <c>5.1.6-0+deb12u1</c>; null if it isn't on PATH.</summary>
    public static string? Version()
    {
        try
        {
            using var ffmpeg = Process.Start(
                new ProcessStartInfo(GlobalFFOptions.GetFFMpegBinaryPath(), "-version") { RedirectStandardOutput = true }
            )!;
            var line = ffmpeg.StandardOutput.ReadLine();
            ffmpeg.StandardOutput.ReadToEnd();
            return line?.Split(' ').ElementAtOrDefault(2);
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Says what to install when ffmpeg isn't found.</summary>
    /// <exception cref="SoraException">ffmpeg or ffprobe isn't on PATH.</exception>
    public static void Require()
    {
        foreach (var program in new[] { GlobalFFOptions.GetFFMpegBinaryPath(), GlobalFFOptions.GetFFProbeBinaryPath() })
        {
            var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
            if (!Path.IsPathRooted(program) && !folders.Any(folder => File.Exists(Path.Combine(folder, program))))
                throw SoraException.Failed($"the program {program} is not installed", "install it: apt-get install ffmpeg");
        }
    }

    /// <summary>A path as FFMpegCore can put it between double quotes: absolute, so that it is neither an option nor a protocol.</summary>
    public static string Quotable(string path) => BackslashesBeforeQuote().Replace(Path.GetFullPath(path), "$1$1").Replace("\"", "\\\"");

    /// <summary>
    /// Text as the value of a filter's option (https://ffmpeg.org/ffmpeg-filters.html#Notes-on-filtergraph-escaping): escaped for the
    /// option, then for the graph.
    /// </summary>
    internal static string FilterValue(string text) => InGraph().Replace(InOption().Replace(text, "\\$0"), "\\$0").Replace("\"", "\\\"");

    [GeneratedRegex(@"[\\':]")]
    private static partial Regex InOption();

    [GeneratedRegex(@"[\\',;\[\]]")]
    private static partial Regex InGraph();

    [GeneratedRegex("""(\\+)(?="|$)""")]
    private static partial Regex BackslashesBeforeQuote();

    /// <summary>"[png @ 0x55d0] " in front of a line names the part of ffmpeg that speaks, which is of no use to a user.</summary>
    [GeneratedRegex(@"^(\[[^\]]* @ 0x[0-9a-f]+\] )+")]
    private static partial Regex Speaker();

    private void Remember(string line)
    {
        line = Speaker().Replace(line, "").Trim();
        // These lines follow the one that says why.
        if (line.Length > 0 && line != "Conversion failed!" && !line.StartsWith("Last message repeated ", StringComparison.Ordinal))
            lastLine = line;
    }
}
