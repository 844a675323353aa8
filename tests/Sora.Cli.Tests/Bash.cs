using System.Diagnostics;

namespace Sora.Cli.Tests;

/// <summary>What a script printed and returned.</summary>
internal sealed record Outcome(string Out, string Err, int Status)
{
    /// <summary>The outcome, if the script succeeded; otherwise a failure that shows it.</summary>
    public Outcome Succeeded() =>
        Status == 0 ? this : throw new Xunit.Sdk.XunitException($"exit status {Status}\nstdout:\n{Out}\nstderr:\n{Err}");
}

/// <summary>Runs bash with the program under test as <c>sora</c>, in a folder of its own.</summary>
internal sealed class Bash : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(8);

    public string Folder { get; } = Directory.CreateTempSubdirectory("sora-test-").FullName;

    /// <summary>
    /// Runs a script. It finds the reference cases under $GOLDEN, and the small reference models by their names.
    /// </summary>
    public Outcome Run(string script)
    {
        var start = new ProcessStartInfo("bash", ["-c", script])
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = $"{Repository.Bin}:{start.Environment["PATH"]}";
        start.Environment["GOLDEN"] = Repository.Path("tests", "golden");
        start.Environment["SORA_MODELS"] = Repository.Path("tests", "golden", "models");
        // A user's own models and table of them are not the tests'.
        start.Environment["HF_HUB_CACHE"] = Path.Combine(Folder, ".hub");
        start.Environment["XDG_CONFIG_HOME"] = Path.Combine(Folder, ".config");
        start.Environment["LC_ALL"] = "C.UTF-8";
        start.Environment.Remove("SORA_TRACE");
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var stdout = process.StandardOutput.ReadToEndAsync();
        var stderr = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"still running after {Patience.TotalMinutes} minutes: {script}");
        }
        return new Outcome(stdout.Result, stderr.Result, process.ExitCode);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
