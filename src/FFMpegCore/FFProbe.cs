using System.Text.Json;
using FFMpegCore.Exceptions;

namespace FFMpegCore;

public static class FFProbe
{
    private static bool _verified;

    public static async Task<IMediaAnalysis> AnalyseAsync(
        string filePath, FFOptions? ffOptions = null, CancellationToken cancellationToken = default, string? customArguments = null)
    {
        if (!File.Exists(filePath)) throw new FFMpegException(FFMpegExceptionType.File, $"No file found at '{filePath}'");
        using var tool = Start(filePath, ffOptions ?? GlobalFFOptions.Current, customArguments);
        await tool.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        return Result(tool, cancellationToken);
    }

    private static Tool Start(string input, FFOptions options, string? customArguments)
    {
        var program = GlobalFFOptions.GetFFProbeBinaryPath(options);
        if (!_verified) _verified = Tool.Succeeds(program, "-version", options);
        if (!_verified) throw new FFProbeException("ffprobe was not found on your system");
        var arguments = $"-loglevel error -print_format json -show_format -sexagesimal -show_streams -show_chapters \"{input}\" {customArguments}";
        return Tool.Start(program, arguments, options);
    }

    private static MediaAnalysis Result(Tool tool, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (tool.ExitCode != 0)
        {
            var message = $"ffprobe exited with non-zero exit-code ({tool.ExitCode} - {tool.Errors})";
            throw new FFMpegException(FFMpegExceptionType.Process, message, null, tool.Errors);
        }
        using var json = JsonDocument.Parse(tool.Output);
        return json.RootElement.TryGetProperty("format", out _)
            ? new MediaAnalysis(json.RootElement)
            : throw new FormatNullException();
    }
}
