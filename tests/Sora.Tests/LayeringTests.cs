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
        ["Sora.Tensors"] = [],
        ["Sora.Clips"] = ["Sora.Tensors", "Sora.Models"],
        ["Sora.Nn"] = ["Sora.Kernels", "Sora.Tensors", "Sora.Models.Checkpoints"],
        ["Sora.Diffusion"] = ["Sora.Models.Mini", "Sora.Models"],
        ["Sora.Conditions"] = ["Sora.Media", "Sora.Tensors", "Sora.Nn", "Sora.Diffusion", "Sora.Models.Wan", "Sora.Models"],
        ["Sora.Models.Text"] = ["Sora.Kernels", "Sora.Tensors", "Sora.Nn", "Sora.Diffusion", "Sora.Models.Checkpoints", "Sora.Models"],
        ["Sora.Models.Vision"] = ["Sora.Kernels", "Sora.Nn"],
        ["Sora.Models.Wan"] = ["Sora.Kernels", "Sora.Media", "Sora.Nn", "Sora.Diffusion", "Sora.Conditions", "Sora.Models.Vision", "Sora.Models.Mini", "Sora.Planning"],
        ["Sora.Models.Mini"] = ["Sora.Kernels", "Sora.Nn", "Sora.Models.Wan"],
        ["Sora.Models.Checkpoints"] = ["Sora.Tensors", "Sora.Nn", "Sora.Models.Text", "Sora.Models.Vision", "Sora.Models.Wan", "Sora.Models"],
        ["Sora.Models"] = ["Sora.Media", "Sora.Tensors", "Sora.Clips", "Sora.Nn", "Sora.Diffusion", "Sora.Conditions", "Sora.Models.Text", "Sora.Models.Wan", "Sora.Models.Mini", "Sora.Models.Checkpoints"],
        ["Sora.Planning"] = ["Sora.Tensors", "Sora.Nn", "Sora.Diffusion", "Sora.Conditions", "Sora.Models.Text", "Sora.Models.Wan", "Sora.Models"],
        ["Sora.Pipelines.Blending"] = ["Sora.Media", "Sora.Tensors", "Sora.Clips", "Sora.Conditions", "Sora.Models.Wan", "Sora.Models"],
        ["Sora.Pipelines"] = ["Sora.Media", "Sora.Tensors", "Sora.Clips", "Sora.Nn", "Sora.Diffusion", "Sora.Conditions", "Sora.Models.Text", "Sora.Models.Wan", "Sora.Models.Checkpoints", "Sora.Models", "Sora.Planning", "Sora.Pipelines.Blending"],
        ["Sora.Training"] = ["Sora.Kernels", "Sora.Media", "Sora.Tensors", "Sora.Nn", "Sora.Diffusion", "Sora.Models.Text", "Sora.Models.Wan", "Sora.Models.Mini", "Sora.Models.Checkpoints", "Sora.Models"],
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
