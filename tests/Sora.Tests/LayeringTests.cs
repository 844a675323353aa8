using System.Text.RegularExpressions;
using Xunit;

namespace Sora.Tests;

/// <summary>What may use what, as src/ARCHITECTURE.md draws it: read from the using lines of the sources.</summary>
public partial class LayeringTests
{
    /// <summary>What many rooms use.</summary>
    private static readonly string[] Basics = ["Kernels", "Media", "Tensors", "Nn", "Diffusion"];

    /// <summary>For each namespace what it may import; the lowest comes first. A namespace inside another one sees that one, too.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Sora"] = ["Kernels"],
        ["Sora.Kernels"] = [],
        ["Sora.Media"] = [],
        ["Sora.Media.Spatial"] = [],
        ["Sora.Stereo"] = ["Media"],
        ["Sora.Tensors"] = [],
        ["Sora.Clips"] = ["Tensors"],
        ["Sora.Nn"] = ["Kernels", "Tensors"],
        ["Sora.Diffusion"] = [],
        ["Sora.Conditions"] = ["Media", "Tensors", "Clips", "Diffusion"],
        // What a model is and the files that it comes in belong together; the registry alone knows the families.
        ["Sora.Models"] = ["Media", "Tensors", "Clips", "Nn", "Diffusion", "Conditions", "Models.Checkpoints", "Models.Text"],
        ["Sora.Models.Checkpoints"] = ["Tensors", "Nn", "Models.Text", "Models.Vision", "Models.Wan"],
        ["Sora.Models.Text"] = ["Kernels", "Tensors", "Nn", "Diffusion", "Models.Checkpoints"],
        ["Sora.Models.Vision"] = ["Kernels", "Nn"],
        ["Sora.Models.Depth"] = ["Kernels", "Media", "Nn", "Models.Checkpoints"],
        ["Sora.Models.Wan"] = [.. Basics, "Conditions", "Models.Checkpoints", "Models.Text", "Models.Vision", "Models.Depth"],
        ["Sora.Models.Mini"] = ["Kernels", "Nn", "Diffusion", "Conditions", "Models.Wan"],
        ["Sora.Planning"] = ["Nn", "Diffusion", "Conditions", "Models"],
        ["Sora.Pipelines.Blending"] = ["Media", "Tensors", "Clips", "Conditions", "Models"],
        ["Sora.Pipelines"] =
        [
            "Media",
            "Stereo",
            "Tensors",
            "Clips",
            "Nn",
            "Diffusion",
            "Conditions",
            "Models",
            "Models.Checkpoints",
            "Models.Text",
            "Pipelines.Blending",
        ],
        ["Sora.Training"] = [.. Basics, "Models", "Models.Checkpoints", "Models.Text", "Models.Depth", "Models.Wan", "Models.Mini"],
        ["Sora.World"] = ["Training", "World.Simd"],
    };

    /// <summary>Where families may be named.</summary>
    private static readonly string[] FamilyRooms =
    [
        "Models/Wan/",
        "Models/Mini/",
        "Models/Checkpoints/",
        "Models/ModelRegistry.cs",
        "Training/",
    ];

    private static string Sources => Path.GetFullPath(Golden.Path("..", "..", "src"));

    [Fact]
    public void NothingImportsWhatIsAboveIt()
    {
        var faults = new List<string>();
        var files = Directory
            .GetFiles(Sources, "*.cs", SearchOption.AllDirectories)
            .Where(file => !IsBuilt().IsMatch(file) && !file.Contains("Sora.Cli"))
            .ToList();
        Assert.True(files.Count > 100, $"{files.Count} sources in {Sources}");
        foreach (var file in files)
        {
            var text = File.ReadAllText(file);
            if (Namespace().Match(text) is not { Success: true } own)
                continue;
            Assert.True(
                Allowed.TryGetValue(own.Groups[1].Value, out var allowed),
                $"{file}: {own.Groups[1].Value} has no place in the table of layers"
            );
            foreach (Match import in Import().Matches(text))
            {
                var isRegistry = file.EndsWith("ModelRegistry.cs") && import.Groups[1].Value is "Sora.Models.Wan" or "Sora.Models.Mini";
                if (!isRegistry && !allowed.Contains(import.Groups[1].Value["Sora.".Length..]))
                    faults.Add($"{Path.GetRelativePath(Sources, file)} imports {import.Groups[1].Value}");
            }
        }
        Assert.Empty(faults);
    }

    /// <summary>Nothing outside a family's folder knows about it: another one is added in its own folder and the registry.</summary>
    [Fact]
    public void FamiliesAreNamedInTheirRoomsOnly()
    {
        var library = Path.Combine(Sources, "Sora");
        var files = Directory.GetFiles(library, "*", SearchOption.AllDirectories).Where(file => !IsBuilt().IsMatch(file)).ToList();
        var named = files
            .Where(file => Path.GetExtension(file) is ".cs" or ".json" or ".md" && Family().IsMatch(File.ReadAllText(file)))
            .Select(file => Path.GetRelativePath(library, file))
            .ToList();
        Assert.Contains("Models/Wan/WanModel.cs", named);
        Assert.DoesNotContain(named, file => !FamilyRooms.Any(room => file.StartsWith(room, StringComparison.Ordinal)));
    }

    [GeneratedRegex("Wan|Mini|Block(Vae|Format)|Scene")]
    private static partial Regex Family();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^using (?:static )?(Sora[\w.]*);", RegexOptions.Multiline)]
    private static partial Regex Import();

    [GeneratedRegex(@"[\\/](bin|obj)[\\/]")]
    private static partial Regex IsBuilt();
}
