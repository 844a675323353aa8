namespace FFMpegCore.Pipes;

/// <summary>Writes what ffmpeg reads.</summary>
public interface IPipeSource
{
    string GetStreamArguments();

    Task WriteAsync(Stream outputStream, CancellationToken cancellationToken);
}
