using System.ComponentModel;
using System.Diagnostics;
using Xunit;

namespace Sora.Tests.Media;

/// <summary>A test that needs a package of npm, which it installs; skipped where that can't be done.</summary>
public sealed class NpmFactAttribute : FactAttribute
{
    /// <param name="package">Its name and version, such as <c>mp4box@2.4.1</c>.</param>
    public NpmFactAttribute(string package) => Skip = Missing(package);

    /// <summary>Where packages lie, in <c>node_modules</c>.</summary>
    public static string Folder { get; } = Path.Combine(Path.GetTempPath(), "sora-test-npm");

    private static string? Missing(string package)
    {
        if (Directory.Exists(Path.Combine(Folder, "node_modules", package.Split('@')[0])))
            return null;
        Directory.CreateDirectory(Folder);
        var start = new ProcessStartInfo("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", package])
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var npm = Process.Start(start)!;
            var errors = npm.StandardError.ReadToEndAsync();
            npm.StandardOutput.ReadToEnd();
            npm.WaitForExit();
            return npm.ExitCode == 0 ? null : $"npm can't install {package}: {errors.Result.Split('\n')[0]}";
        }
        catch (Win32Exception)
        {
            return $"npm isn't installed, which installs {package}";
        }
    }
}
