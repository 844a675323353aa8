using System.IO.Pipes;
using FFMpegCore.Exceptions;
using FFMpegCore.Pipes;

namespace FFMpegCore;

/// <summary>A piece of ffmpeg's command line.</summary>
internal interface IArgument
{
    string Text { get; }
}

/// <summary>An input or output: prepared before ffmpeg starts, served while it runs, cleaned up after.</summary>
internal interface IInputOutputArgument : IArgument
{
    void Pre();

    Task During(CancellationToken cancellationToken);

    void Post();
}

internal sealed record CustomArgument(string Text) : IArgument;

internal sealed class InputArgument(bool verifyExists, string filePath) : IInputOutputArgument
{
    public string Text => $"-i \"{filePath}\"";

    public void Pre()
    {
        if (verifyExists && !File.Exists(filePath)) throw new FileNotFoundException("Input file not found", filePath);
    }

    public Task During(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Post() { }
}

internal sealed class OutputArgument(string path, bool overwrite) : IInputOutputArgument
{
    public string Text => $"\"{path}\"{(overwrite ? " -y" : string.Empty)}";

    public void Pre()
    {
        if (!overwrite && File.Exists(path))
            throw new FFMpegException(FFMpegExceptionType.File, "Output file already exists and overwrite is disabled");
    }

    public Task During(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Post() { }
}

/// <summary>An input that this process writes, through a named pipe (on Unix a socket that ffmpeg connects to).</summary>
internal sealed class InputPipeArgument(IPipeSource writer) : IInputOutputArgument
{
    private readonly Lock _lock = new();
    private readonly string _name = $"FFMpegCore_{Guid.NewGuid().ToString("N")[..16]}";
    private NamedPipeServerStream? _pipe;

    public string PipePath => OperatingSystem.IsWindows()
        ? $@"\\.\pipe\{_name}"
        : $"unix:{Path.Combine(Path.GetTempPath(), $"CoreFxPipe_{_name}")}";

    public string Text => $"{writer.GetStreamArguments()} -i \"{PipePath}\"";

    public void Pre()
    {
        lock (_lock)
        {
            if (_pipe != null) throw new InvalidOperationException("Pipe already has been opened");
            _pipe = new NamedPipeServerStream(_name, PipeDirection.Out, 1, PipeTransmissionMode.Byte, PipeOptions.Asynchronous);
        }
    }

    public async Task During(CancellationToken cancellationToken)
    {
        try
        {
            var pipe = _pipe ?? throw new OperationCanceledException();
            await pipe.WaitForConnectionAsync(cancellationToken).ConfigureAwait(false);
            if (!pipe.IsConnected) throw new OperationCanceledException();
            await writer.WriteAsync(pipe, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // ffmpeg has ended: how, its exit status says.
            return;
        }
        finally
        {
            lock (_lock)
            {
                if (_pipe is { IsConnected: true }) _pipe.Disconnect();
            }
        }
    }

    public void Post()
    {
        lock (_lock)
        {
            _pipe?.Dispose();
            _pipe = null;
        }
    }
}
