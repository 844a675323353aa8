using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>A LoRA and how strongly it acts.</summary>
/// <param name="Path">A safetensors file, with the names of PEFT and diffusers, of kohya and musubi, or of Wan and ComfyUI.</param>
/// <param name="Weight">1: as it was trained; may be negative.</param>
public sealed record LoraOption(string Path, double Weight = 1)
{
    /// <summary>Reads <c>FILE</c> or <c>FILE:WEIGHT</c>.</summary>
    public static LoraOption Parse(string text)
    {
        var colon = text.LastIndexOf(':');
        return
            colon > 0
            && double.TryParse(text.AsSpan(colon + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var weight)
            && double.IsFinite(weight)
            ? new LoraOption(text[..colon], weight)
            : new LoraOption(text);
    }
}

/// <summary>What a LoRA file has for one module: the names of its tensors in the file.</summary>
internal sealed class LoraModule
{
    public string? Down { get; set; }

    public string? Up { get; set; }

    public string? UpBias { get; set; }

    public string? Alpha { get; set; }

    public string? Weight { get; set; }

    public string? Bias { get; set; }
}

/// <summary>A LoRA file, sorted by the modules of the model that it changes.</summary>
internal sealed class LoraFile : IDisposable
{
    private const string KohyaPrefix = "lora_unet_";

    private static readonly string[] Prefixes = ["transformer.", "diffusion_model.", "model.diffusion_model."];

    private static readonly (string Suffix, Action<LoraModule, string> Put)[] Suffixes =
    [
        (".lora_A.weight", (module, name) => module.Down = name),
        (".lora_B.weight", (module, name) => module.Up = name),
        (".lora_A.default.weight", (module, name) => module.Down = name),
        (".lora_B.default.weight", (module, name) => module.Up = name),
        (".lora_down.weight", (module, name) => module.Down = name),
        (".lora_up.weight", (module, name) => module.Up = name),
        (".lora_B.bias", (module, name) => module.UpBias = name),
        (".alpha", (module, name) => module.Alpha = name),
        (".diff", (module, name) => module.Weight = name),
        (".diff_b", (module, name) => module.Bias = name),
    ];

    private readonly SafeTensorsFile file;
    private readonly List<string> unmatched = [];
    private readonly Dictionary<string, LoraModule> modules = [];
    private readonly JsonElement? adapter;

    private LoraFile(SafeTensorsFile file, TensorSource model)
    {
        this.file = file;
        adapter = ReadAdapter();
        if (Setting("use_dora") is { ValueKind: JsonValueKind.True })
            throw SoraException.Failed(
                $"{file.Origin}: a DoRA, which is not supported",
                "merge it into the model with the tool that made it"
            );
        var names = new LoraNames(model);
        foreach (var name in file.Tensors.Keys)
            Sort(name, names);
    }

    /// <summary>The model's modules, under diffusers' names, and what the file has for each.</summary>
    public IReadOnlyDictionary<string, LoraModule> Modules => modules;

    /// <summary>Tensors that belong to no module of the model.</summary>
    public IReadOnlyList<string> Unmatched => unmatched;

    public TensorSource Tensors => file;

    /// <summary>The module that a tensor changes, as the file calls it.</summary>
    public static string WithoutSuffix(string name) =>
        Suffixes.FirstOrDefault(entry => name.EndsWith(entry.Suffix, StringComparison.Ordinal)).Suffix is { } suffix
            ? name[..^suffix.Length]
            : name;

    /// <exception cref="SoraException">It isn't a LoRA, or is one for another model.</exception>
    public static LoraFile Open(string path, TensorSource model)
    {
        var file = SafeTensorsFile.Open(path);
        try
        {
            var lora = new LoraFile(file, model);
            if (!file.Tensors.Keys.Any(name => Suffixes.Any(entry => name.EndsWith(entry.Suffix, StringComparison.Ordinal))))
                throw SoraException.Failed(
                    $"{path}: not a LoRA: none of its {file.Tensors.Count} tensors has a LoRA name",
                    "pass a whole model with --model"
                );
            return lora.modules.Count > 0
                ? lora
                : throw SoraException.Failed(
                    $"{path}: a LoRA for another model: none of its {file.Tensors.Count} tensors "
                        + $"fits {model.Origin}; the first is '{lora.unmatched[0]}'",
                    $"sora info {path} lists its tensors"
                );
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The factor of a module's product: alpha / rank, or alpha / sqrt(rank) for a rank-stabilised LoRA.</summary>
    public double Scale(string name, LoraModule module)
    {
        var rank = (double)file.Info(module.Down!).Shape[0];
        var alpha = module.Alpha is { } stored ? file.Floats(stored)[0] : AlphaOf(name) ?? rank;
        return alpha / (Setting("use_rslora") is { ValueKind: JsonValueKind.True } ? Math.Sqrt(rank) : rank);
    }

    public void Dispose() => file.Dispose();

    private void Sort(string name, LoraNames names)
    {
        var suffix = Suffixes.FirstOrDefault(entry => name.EndsWith(entry.Suffix, StringComparison.Ordinal));
        var module = suffix.Suffix == null ? null : Module(name[..^suffix.Suffix.Length], names);
        if (module == null)
        {
            unmatched.Add(name);
            return;
        }
        if (!modules.TryGetValue(module, out var found))
            modules[module] = found = new LoraModule();
        suffix.Put(found, name);
    }

    private static string? Module(string name, LoraNames names)
    {
        if (name.StartsWith(KohyaPrefix, StringComparison.Ordinal))
            return names.FromKohya(name[KohyaPrefix.Length..]);
        var prefix = Prefixes.FirstOrDefault(prefix => name.StartsWith(prefix, StringComparison.Ordinal)) ?? "";
        return names.FromDotted(name[prefix.Length..]);
    }

    /// <summary>PEFT's settings, which diffusers puts into the header.</summary>
    private JsonElement? ReadAdapter()
    {
        if (!file.Metadata.TryGetValue("lora_adapter_metadata", out var text))
            return null;
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException fault)
        {
            throw SoraException.Damaged($"{file.Origin}: its header's lora_adapter_metadata is not JSON", fault);
        }
    }

    private JsonElement? Setting(string name) =>
        adapter is { } settings && settings.TryGetProperty("transformer." + name, out var value) ? value : null;

    /// <summary>The pattern that matches the end of the module's name, from a dot on; else the alpha of all.</summary>
    private double? AlphaOf(string module)
    {
        if (Setting("alpha_pattern") is { ValueKind: JsonValueKind.Object } patterns)
        {
            foreach (var pattern in patterns.EnumerateObject())
            {
                if (Matches(module, pattern.Name) && pattern.Value.TryGetDouble(out var special))
                    return special;
            }
        }
        return Setting("lora_alpha") is { ValueKind: JsonValueKind.Number } alpha ? alpha.GetDouble() : null;
    }

    private bool Matches(string module, string pattern)
    {
        try
        {
            // Without backtracking: the pattern comes with a download.
            return Regex.IsMatch(module, $@"^(.*\.)?({pattern})$", RegexOptions.NonBacktracking);
        }
        catch (Exception fault) when (fault is ArgumentException or NotSupportedException)
        {
            throw SoraException.Failed($"{file.Origin}: the alpha pattern '{pattern}' is not a valid expression", inner: fault);
        }
    }
}

/// <summary>The names that LoRA files have for the modules of a model.</summary>
internal sealed class LoraNames
{
    private static readonly KeyMap ToOriginal = new(KeyMaps.Transformer.Names.Select(name => (name.Value, name.Key)));

    private readonly HashSet<string> modules;
    private readonly Dictionary<string, string> kohya = [];

    public LoraNames(TensorSource model)
    {
        modules = [.. model.Tensors.Keys.Where(name => name.Contains('.')).Select(name => name[..name.LastIndexOf('.')])];
        // Underscores are ambiguous, so names are looked up and never split.
        foreach (var module in modules)
            kohya[(ToOriginal.Find(module) ?? module).Replace('.', '_')] = module;
    }

    /// <summary>The module with this original name, its dots replaced by underscores.</summary>
    public string? FromKohya(string name) => kohya.GetValueOrDefault(name);

    /// <summary>The module with this name of diffusers, or this original one.</summary>
    public string? FromDotted(string name)
    {
        if (modules.Contains(name))
            return name;
        return KeyMaps.Transformer.Find(name) is { } ours && modules.Contains(ours) ? ours : null;
    }
}
