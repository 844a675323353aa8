using System.Globalization;
using System.Text.RegularExpressions;
using System.Threading.Channels;

namespace Sora.Media;

/// <summary>
/// The times of the frames that ffmpeg reads, which formats of plain pictures don't hold: a filter prints them into a socket, each
/// before its frame is written.
/// </summary>
internal sealed partial class FrameTimes : IDisposable
{
    private readonly OutputSocket socket = new();
    private readonly Channel<TimeSpan?> times = Channel.CreateUnbounded<TimeSpan?>();
    private Task reading = Task.CompletedTask;

    /// <summary>
    /// What to put before the other filters. The filter <c>metadata</c> prints only frames that have some; times are those of the file,
    /// in microseconds.
    /// </summary>
    public string Filter =>
        $"settb=AVTB,metadata=add:key=sora:value=1,metadata=print:direct=1:file={FfmpegRun.FilterValue(socket.Address)},";

    /// <summary>Begins to read.</summary>
    /// <param name="ended">Completes when ffmpeg has ended.</param>
    public void Start(Task ended) => reading = Task.Run(() => Read(ended), CancellationToken.None);

    /// <summary>The time of the next frame, which has arrived; null if the file gives it none.</summary>
    public TimeSpan? Next() => times.Reader.ReadAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Stops reading; ffmpeg must have ended.</summary>
    public void Dispose()
    {
        reading.Wait();
        socket.Dispose();
    }

    private void Read(Task ended)
    {
        try
        {
            using var stream = socket.Accept(ended);
            using var lines = new StreamReader(stream ?? Stream.Null);
            while (lines.ReadLine() is { } line)
            {
                if (Frame().Match(line) is not { Success: true } match)
                    continue;
                var isKnown = long.TryParse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out var microseconds);
                times.Writer.TryWrite(isKnown ? TimeSpan.FromMicroseconds(microseconds) : null);
            }
        }
        catch (IOException)
        {
            // ffmpeg was killed; what stopped it says why.
        }
        finally
        {
            times.Writer.Complete();
        }
    }

    [GeneratedRegex(@"^frame:\d+\s+pts:(\S+)")]
    private static partial Regex Frame();
}
