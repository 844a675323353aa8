using System.Diagnostics;
using System.Text;

namespace FFMpegCore;

/// <summary>A running ffmpeg or ffprobe, whose output and error lines are collected.</summary>
internal sealed class Tool : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly List<string> _errors = [];

    private Tool(Process process) => _process = process;

    public int ExitCode => _process.ExitCode;

    public string Output
    {
        get
        {
            lock (_output) return _output.ToString();
        }
    }

    public string Errors
    {
        get
        {
            lock (_errors) return string.Join("\n", _errors);
        }
    }

    public static Tool Start(string program, string arguments, FFOptions options, Action<string>? onError = null)
    {
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = options.WorkingDirectory,
                StandardOutputEncoding = options.Encoding,
                StandardErrorEncoding = options.Encoding,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
                CreateNoWindow = true,
            },
        };
        var tool = new Tool(process);
        // The end of either stream arrives as null.
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data == null) return;
            lock (tool._output) tool._output.Append(line.Data);
        };
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data == null) return;
            lock (tool._errors) tool._errors.Add(line.Data);
            onError?.Invoke(line.Data);
        };
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return tool;
    }

    public static bool Succeeds(string program, string arguments, FFOptions options)
    {
        using var tool = Start(program, arguments, options);
        tool._process.WaitForExit();
        return tool.ExitCode == 0;
    }

    /// <summary>Returns once the program has ended and all its lines have come; a cancelled wait kills it.</summary>
    public async Task WaitForExitAsync(CancellationToken cancellationToken)
    {
        await using var kill = cancellationToken.Register(Kill);
        await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
    }

    public void SendInput(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It reads no more, for it is ending by itself, which is what the line asked for.
            return;
        }
    }

    public void Kill()
    {
        if (!_process.HasExited) _process.Kill();
    }

    public void Dispose() => _process.Dispose();
}
