using System.Text.RegularExpressions;
using Xunit;

namespace Sora.Tests;

/// <summary>What may use what, as src/ARCHITECTURE.md draws it: read from the using lines of the sources.</summary>
public partial class LayeringTests
{
    /// <summary>For each namespace what it may import; the lowest comes first.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Sora"] = ["Sora.Kernels"],
        ["Sora.Kernels"] = [],
        ["Sora.Media"] = [],
        ["Sora.Clips"] = [],
        ["Sora.Models.Formats"] = ["Sora.Clips"],
        ["Sora.Models.Text"] = ["Sora.Clips"],
        ["Sora.Models"] = ["Sora.Kernels", "Sora.Media", "Sora.Clips", "Sora.Models.Formats", "Sora.Models.Text"],
        ["Sora.Sampling"] = ["Sora.Kernels", "Sora.Media", "Sora.Clips", "Sora.Models.Text", "Sora.Models"],
        ["Sora.Training"] = ["Sora.Kernels", "Sora.Media", "Sora.Clips", "Sora.Models.Text", "Sora.Models", "Sora.Sampling"],
        ["Sora.World"] = ["Sora.Training", "Sora.World.Simd"],
    };

    private static string Sources => Path.GetFullPath(Golden.Path("..", "..", "src"));

    [Fact]
    public void NothingImportsWhatIsAboveIt()
    {
        var faults = new List<string>();
        var files = Directory.GetFiles(Sources, "*.cs", SearchOption.AllDirectories).Where(file => !IsBuilt().IsMatch(file) && !file.Contains("Sora.Cli")).ToList();
        Assert.True(files.Count > 100, $"{files.Count} sources in {Sources}");
        foreach (var file in files)
        {
            var text = File.ReadAllText(file);
            if (Namespace().Match(text) is not { Success: true } own) continue;
            Assert.True(Allowed.TryGetValue(own.Groups[1].Value, out var allowed), $"{file}: {own.Groups[1].Value} has no place in the table of layers");
            foreach (Match import in Import().Matches(text))
            {
                if (!allowed.Contains(import.Groups[1].Value))
                    faults.Add($"{Path.GetRelativePath(Sources, file)} imports {import.Groups[1].Value}");
            }
        }
        Assert.Empty(faults);
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^using (?:static )?(Sora[\w.]*);", RegexOptions.Multiline)]
    private static partial Regex Import();

    [GeneratedRegex(@"[\\/](bin|obj)[\\/]")]
    private static partial Regex IsBuilt();
}
