using System.Net.Sockets;

namespace Sora.Media;

/// <summary>
/// A socket that ffmpeg writes its output into. FFMpegCore's own output pipe closes as soon as ffmpeg has ended, and
/// loses what a slow reader hasn't taken from it yet; this one keeps the rest. It also holds ffmpeg back when nobody
/// reads, so that memory stays bounded.
/// </summary>
internal sealed class OutputSocket : IDisposable
{
    private readonly string path = Path.Combine(Path.GetTempPath(), $"sora-{Guid.NewGuid():N}.socket");
    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public OutputSocket()
    {
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
    }

    /// <summary>The output's name for ffmpeg.</summary>
    public string Url => $"\"{Address}\"";

    /// <summary>The output's name without the quotes of a command line.</summary>
    public string Address => $"unix:{path}";

    /// <summary>Waits until ffmpeg opens its output; null if it ended before.</summary>
    public Stream? Accept(Task ended)
    {
        using var stop = new CancellationTokenSource();
        var connected = listener.AcceptAsync(stop.Token).AsTask();
        Task.WaitAny(connected, ended);
        // A connection made before the end counts, however short the run was.
        if (!connected.IsCompleted && !listener.Poll(0, SelectMode.SelectRead))
            stop.Cancel();
        try
        {
            return new NetworkStream(connected.GetAwaiter().GetResult(), ownsSocket: true);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        listener.Dispose();
        File.Delete(path);
    }
}
