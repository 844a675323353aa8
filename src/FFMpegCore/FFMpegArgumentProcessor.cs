using FFMpegCore.Enums;
using FFMpegCore.Exceptions;

namespace FFMpegCore;

public class FFMpegArgumentProcessor
{
    private static bool _verified;

    private readonly FFMpegArguments _arguments;
    private CancellationTokenRegistration? _registration;
    private Action<int>? _cancelRunning;
    private volatile bool _cancelled;
    private FFMpegLogLevel? _logLevel;
    private Action<string>? _onError;

    internal FFMpegArgumentProcessor(FFMpegArguments arguments) => _arguments = arguments;

    public FFMpegArgumentProcessor NotifyOnError(Action<string> onError)
    {
        _onError = onError;
        return this;
    }

    public FFMpegArgumentProcessor WithLogLevel(FFMpegLogLevel logLevel)
    {
        _logLevel = logLevel;
        return this;
    }

    /// <summary>Once the token is cancelled, asks ffmpeg to quit and kills it after <paramref name="timeout"/> milliseconds.</summary>
    public FFMpegArgumentProcessor CancellableThrough(CancellationToken token, int timeout = 0)
    {
        token.ThrowIfCancellationRequested();
        _registration?.Dispose();
        _registration = token.Register(() =>
        {
            _cancelled = true;
            _cancelRunning?.Invoke(timeout);
        });
        return this;
    }

    public async Task<bool> ProcessAsynchronously(bool throwOnError = true, FFOptions? ffMpegOptions = null)
    {
        var options = ffMpegOptions ?? GlobalFFOptions.Current.Clone();
        VerifyExists(options);
        var level = _logLevel ?? options.LogLevel;
        var arguments = level == null ? _arguments.Text : $"{_arguments.Text} -v {level.Value.ToString().ToLowerInvariant()}";

        (int ExitCode, string Errors) result = (-1, string.Empty);
        try
        {
            result = await Run(arguments, options).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!throwOnError)
        {
            return false;
        }
        if (throwOnError && result.ExitCode != 0)
        {
            var message = $"ffmpeg exited with non-zero exit-code ({result.ExitCode} - {result.Errors})";
            throw new FFMpegException(FFMpegExceptionType.Process, message, null, result.Errors);
        }
        return result.ExitCode == 0;
    }

    private async Task<(int ExitCode, string Errors)> Run(string arguments, FFOptions options)
    {
        if (_cancelled)
        {
            _registration?.Dispose();
            throw new OperationCanceledException("cancelled before starting processing");
        }

        _arguments.Pre();
        using var ended = new CancellationTokenSource();
        using var tool = Tool.Start(GlobalFFOptions.GetFFMpegBinaryPath(options), arguments, options, _onError);
        void Cancel(int timeout)
        {
            tool.SendInput("q");
            if (!ended.Token.WaitHandle.WaitOne(timeout)) tool.Kill();
        }

        _cancelRunning = Cancel;
        // The token may have been cancelled between the check above and the line above.
        if (_cancelled) tool.Kill();
        try
        {
            await Task.WhenAll(WaitForExit(), _arguments.During(ended.Token)).ConfigureAwait(false);
            if (_cancelled) throw new OperationCanceledException("ffmpeg processing was cancelled");
            return (tool.ExitCode, tool.Errors);
        }
        finally
        {
            _cancelRunning = null;
            _registration?.Dispose();
        }

        async Task WaitForExit()
        {
            await tool.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            await ended.CancelAsync().ConfigureAwait(false);
            _arguments.Post();
        }
    }

    private static void VerifyExists(FFOptions options)
    {
        if (_verified) return;
        _verified = Tool.Succeeds(GlobalFFOptions.GetFFMpegBinaryPath(options), "-version", options);
        if (!_verified) throw new FFMpegException(FFMpegExceptionType.Operation, "ffmpeg was not found on your system");
    }
}
