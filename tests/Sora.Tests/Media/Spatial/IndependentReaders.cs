using System.Diagnostics;
using Xunit;

namespace Sora.Tests.Media.Spatial;

/// <summary>A test that needs the programs of <see cref="IndependentReaders"/>; skipped where they aren't.</summary>
internal sealed class ReaderFactAttribute : FactAttribute
{
    public ReaderFactAttribute() => Skip = IndependentReaders.Missing;
}

/// <inheritdoc cref="ReaderFactAttribute"/>
internal sealed class ReaderTheoryAttribute : TheoryAttribute
{
    public ReaderTheoryAttribute() => Skip = IndependentReaders.Missing;
}

/// <summary>
/// Programs that know spatial video and aren't Debian's: ffmpeg 7.1, which an npm package ships, and mp4box.js. tests/run.sh
/// installs them with npm into the cache folder of this user. Nothing but these tests uses them.
/// </summary>
internal static class IndependentReaders
{
    private const string Ffmpeg = "@remotion/compositor-linux-x64-gnu";

    private static string Folder => Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "sora-tests");

    private static string Modules => Path.Combine(Folder, "node_modules");

    /// <summary>Why they can't be used, or null.</summary>
    public static string? Missing =>
        new[] { Path.Combine(Ffmpeg, "ffmpeg"), Path.Combine("mp4box", "package.json") }.FirstOrDefault(file =>
            !File.Exists(Path.Combine(Modules, file))
        )
            is { } file
            ? $"{Path.Combine(Modules, file)} is missing; tests/run.sh installs it where npm is"
            : null;

    /// <summary>What one of ffmpeg 7.1's programs writes to standard output, having had nothing to complain about.</summary>
    public static byte[] Run71(string program, params string[] arguments) =>
        Run(Path.Combine(Modules, Ffmpeg, program), ["-v", "error", .. arguments], Path.Combine(Modules, Ffmpeg));

    /// <summary>The same of the ffmpeg on PATH.</summary>
    public static byte[] RunFfmpeg(string program, params string[] arguments) => Run(program, ["-v", "warning", .. arguments]);

    /// <summary>The types of all boxes that mp4box.js finds in a file.</summary>
    public static string[] Boxes(string file)
    {
        const string script = """
            const { readFileSync } = require("fs");
            const [folder, name] = process.argv.slice(1);
            const { createFile } = require(require.resolve("mp4box", { paths: [folder] }));
            const { buffer } = new Uint8Array(readFileSync(name));
            buffer.fileStart = 0;
            const file = createFile();
            file.onError = (error) => { throw new Error(error); };
            file.appendBuffer(buffer);
            file.flush();
            const show = (box) => { if (box.type) console.log(box.type); [...(box.boxes ?? []), ...(box.entries ?? [])].forEach(show); };
            file.boxes.forEach(show);
            """;
        var types = Run("node", ["-e", script, Folder, file], complaints: true);
        return System.Text.Encoding.ASCII.GetString(types).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static byte[] Run(string program, string[] arguments, string? libraries = null, bool complaints = false)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (libraries != null)
            start.Environment["LD_LIBRARY_PATH"] = libraries;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        if (!complaints)
            Assert.Equal("", errors.Result);
        return output.ToArray();
    }
}
