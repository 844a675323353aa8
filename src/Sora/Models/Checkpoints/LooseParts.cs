using System.Text.RegularExpressions;
using Sora.Models.Wan;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>
/// The parts of a model that comes as single files. What isn't named is looked for in the transformer's folder and, as
/// ComfyUI and Wan lay them out, in neighbouring ones, by what the files hold and not by their names.
/// </summary>
internal static partial class LooseParts
{
    private static readonly string[] Neighbours =
    [
        "vae",
        "text_encoders",
        "text_encoder",
        "clip",
        "clip_vision",
        "image_encoder",
        "tokenizer",
        Path.Combine("google", "umt5-xxl"),
    ];

    // Wan's own folders for two experts.
    private const string High = "high_noise",
        Low = "low_noise";

    /// <summary>The transformer in a folder of Wan's own layout (that for high noise, where there are two), or null.</summary>
    public static string? OriginalTransformer(string folder)
    {
        var high = Path.Combine(folder, $"{High}_model");
        if (Directory.Exists(high))
            return high;
        var config = Path.Combine(folder, "config.json");
        return File.Exists(config) && PartKinds.IsOriginalTransformer(ConfigFile.Read(config)) ? folder : null;
    }

    /// <summary>The expert for low noise that lies beside the one for high noise, or null.</summary>
    public static string? LowNoise(string transformer)
    {
        var name = Path.GetFileName(transformer);
        var at = name.IndexOf(High, StringComparison.OrdinalIgnoreCase);
        if (at < 0)
            return null;
        // low_noise, or LOW_NOISE, or Low_Noise.
        var low = char.IsUpper(name[at])
            ? char.IsUpper(name[at + 1])
                ? Low.ToUpperInvariant()
                : "Low_Noise"
            : Low;
        var path = Path.Combine(
            Path.GetDirectoryName(transformer) ?? "",
            string.Concat(name.AsSpan(0, at), low, name.AsSpan(at + High.Length))
        );
        return File.Exists(path) || Directory.Exists(path) ? path : null;
    }

    /// <summary>What lies beside a transformer and fits it, for each part that was found.</summary>
    public static Dictionary<string, List<string>> Beside(string transformer, ConfigFile file)
    {
        var (config, found) = (WanTransformerConfig.From(file), new Dictionary<string, List<string>>());
        void Add(string part, string path)
        {
            if (!found.TryGetValue(part, out var paths))
                found[part] = paths = [];
            paths.Add(path);
        }
        foreach (var folder in Folders(transformer))
        {
            if (File.Exists(Path.Combine(folder, "tokenizer.json")) || File.Exists(Path.Combine(folder, "spiece.model")))
                Add("tokenizer", folder);
            foreach (var path in Candidates(folder))
            {
                if (path != Path.GetFullPath(transformer) && PartThatFits(path, config) is { } part)
                    Add(part, path);
            }
        }
        return found;
    }

    /// <summary>Files of weights; the shards of a folder are one, by its name, and others may lie beside them.</summary>
    private static IEnumerable<string> Candidates(string folder)
    {
        var files = Directory.GetFiles(folder).Where(CheckpointFile.IsNamedSo).Order(StringComparer.Ordinal);
        return Directory.GetFiles(folder, "*.index*.json").Length > 0 ? files.Where(file => !Shard().IsMatch(file)).Prepend(folder) : files;
    }

    private static IEnumerable<string> Folders(string transformer)
    {
        var full = Path.GetFullPath(transformer);
        var own = Directory.Exists(full) ? full : Path.GetDirectoryName(full)!;
        string[] around = Path.GetDirectoryName(own) is { } above ? [own, above] : [own];
        return around
            .SelectMany(folder => Neighbours.Select(name => Path.Combine(folder, name)))
            .Prepend(own)
            .Where(Directory.Exists)
            .Distinct();
    }

    private static string? PartThatFits(string path, WanTransformerConfig config)
    {
        try
        {
            using var weights = Checkpoint.Open(path);
            var fits = PartKinds.Of(weights) switch
            {
                "vae" => Size(weights, "post_quant_conv.weight", 0) == config.OutChannels,
                "text_encoder" => Size(weights, "shared.weight", 1) == config.TextDim,
                "image_encoder" => Size(weights, "vision_model.embeddings.class_embedding", 0) == config.ImageDim,
                _ => false,
            };
            return fits ? PartKinds.Of(weights) : null;
        }
        catch (SoraException)
        {
            // Any file may be there; one that is named is opened again, and then says what is wrong with it.
            return null;
        }
    }

    private static long Size(TensorSource weights, string name, int axis) => weights.Info(name).Shape[axis];

    [GeneratedRegex(@"-\d+-of-\d+\.\w+$")]
    private static partial Regex Shard();
}
