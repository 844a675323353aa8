using System.Text.Json.Nodes;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Tensors;

namespace Sora.Models;

/// <summary>
/// A model on disk: a folder in the layout of diffusers (<c>model_index.json</c> and a folder for each part), or a file
/// with a transformer and the other parts beside it or named. Opening it reads only the configs and the headers of the
/// weights, so that anything missing or broken shows at once; it doesn't load torch.
/// </summary>
public class ModelFolder
{
    private readonly Dictionary<string, List<string>> parts = [];
    private IReadOnlyList<LoraOption> loras = [];

    private ModelFolder(string path, string? given, PartPaths named)
    {
        Path = path;
        Name = given is null ? ModelLocator.Builtin : System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(given));
        Reference = Directory.Exists(given) || File.Exists(given) ? System.IO.Path.GetFullPath(given) : given ?? ModelLocator.Builtin;
        var loose =
            File.Exists(path) ? path
            : File.Exists(Inside("model_index.json")) ? null
            : LooseParts.OriginalTransformer(path);
        IsLoose = loose is not null;
        Index = IsLoose ? ConfigFile.Parse(path, "{}") : ConfigFile.Read(Inside("model_index.json"));
        if (IsLoose)
        {
            parts["transformer"] = [loose!];
            if (LooseParts.LowNoise(loose!) is { } low)
                parts["transformer_2"] = [low];
        }
        else
        {
            foreach (var part in AllParts.Where(part => Index.Texts(part, []) is [_, { Length: > 0 }]))
                parts[part] = [Inside(part)];
        }
        foreach (var (part, file) in named.Named())
            parts[part] = [file];
        if (!IsLoose)
            return;
        foreach (var (part, files) in LooseParts.Beside(loose!, Config("transformer")))
            parts.TryAdd(part, files);
    }

    /// <summary>The same files, for a model that knows what is in them.</summary>
    protected ModelFolder(ModelFolder files)
    {
        (Path, Name, Reference, Index, IsLoose, loras) = (files.Path, files.Name, files.Reference, files.Index, files.IsLoose, files.loras);
        parts = new Dictionary<string, List<string>>(files.parts);
    }

    /// <summary>Every part that a model may have, by the names of diffusers.</summary>
    public static readonly IReadOnlyList<string> AllParts =
    [
        "tokenizer",
        "text_encoder",
        "image_processor",
        "image_encoder",
        "transformer",
        "transformer_2",
        "vae",
        "depth_head",
        "scheduler",
    ];

    /// <summary>Those that have weights.</summary>
    public static readonly IReadOnlyList<string> PartsWithWeights =
    [
        "text_encoder",
        "image_encoder",
        "transformer",
        "transformer_2",
        "vae",
        "depth_head",
    ];

    /// <summary>The folder, or the file.</summary>
    public string Path { get; }

    /// <summary>What a user calls it: the name that was given, or the folder's.</summary>
    public string Name { get; }

    /// <summary>What opens it again from any folder: a name, or an absolute path. Clips keep it.</summary>
    public string Reference { get; }

    /// <summary>The pipeline's class in diffusers, empty for single files.</summary>
    public string PipelineClass => Index.ClassName ?? "";

    /// <summary>Whether <c>sora train</c> made it, with every kind of known mask.</summary>
    public bool IsTrainedHere => Index.Has("_sora");

    /// <summary>The model's own defaults, and the file that they are in.</summary>
    public (JsonObject Defaults, string Origin) OwnDefaults => (Index.Object("_sora") ?? [], Index.Path);

    /// <summary>The file that says what a model that was trained here knows and how it was made, or null.</summary>
    public string? Card => Companion("README.md");

    /// <summary>What the evaluation program measured on a model that was trained here, or null.</summary>
    public JsonObject? Evaluation => Companion("evaluation.json") is { } file ? ConfigFile.Read(file).ToJson() : null;

    /// <summary>The scheduler's config file; null: the model comes without one.</summary>
    public string? SchedulerPath => Has("scheduler") ? Inside("scheduler", "scheduler_config.json") : null;

    /// <summary>Its <c>model_index.json</c>; empty for single files.</summary>
    private protected ConfigFile Index { get; }

    /// <summary>Whether it is a single file, with the other parts beside it or named.</summary>
    protected bool IsLoose { get; }

    /// <summary>
    /// Opens the files of a model: a folder, a file with a transformer, a name that <see cref="ModelLocator.Installed"/> lists, or
    /// null for the built-in one.
    /// </summary>
    /// <param name="model">Path or name.</param>
    /// <param name="parts">Parts to take from elsewhere.</param>
    /// <exception cref="SoraException">There is no such model, or a part is missing.</exception>
    internal static ModelFolder Find(string? model, PartPaths? parts) => new(ModelLocator.Find(model), model, parts ?? new PartPaths());

    /// <summary>Whether the model has this part, such as <c>image_encoder</c>.</summary>
    public bool Has(string part) => parts.ContainsKey(part);

    /// <summary>The folder or file of a part.</summary>
    /// <exception cref="SoraException">The model has no such part, it is missing, or several files could be it.</exception>
    public string Part(string part)
    {
        var option = $"--{part.Replace('_', '-')}";
        if (!parts.TryGetValue(part, out var files))
            throw SoraException.Failed(
                $"the model {Path} has no {part}",
                IsLoose ? $"pass one with {option}, or put it next to the file" : null
            );
        if (files.Count > 1)
            throw SoraException.Failed(
                $"{Path}: several files next to it could be its {part}: {string.Join(", ", files)}",
                $"pass one with {option}"
            );
        return Directory.Exists(files[0]) || File.Exists(files[0])
            ? files[0]
            : throw SoraException.Failed($"{files[0]} is missing, but model_index.json refers to it", "the download may be incomplete");
    }

    /// <summary>Opens the weights of a part: headers only.</summary>
    /// <exception cref="SoraException">They are missing, truncated or not safetensors.</exception>
    public TensorSource OpenWeights(string part) => Merged(part, Reporter.Silent);

    /// <summary>Numbers in the weights of a part, from its headers.</summary>
    /// <exception cref="SoraException">They are missing, truncated or not safetensors.</exception>
    public long Elements(string part)
    {
        using var weights = OpenWeights(part);
        return weights.Elements;
    }

    /// <summary>The tokenizer: its own part, or the one inside the text encoder's file.</summary>
    /// <exception cref="SoraException">There is none, or it uses something unsupported.</exception>
    public Tokenizer OpenTokenizer()
    {
        if (
            !Has("tokenizer")
            && Has("text_encoder")
            && File.Exists(Part("text_encoder"))
            && CheckpointFile.SentencePiece(Part("text_encoder")) is { } inside
        )
            return Tokenizer.FromSentencePiece(inside, Part("text_encoder"));
        return Tokenizer.Load(Part("tokenizer"));
    }

    /// <summary>A copy whose transformers have LoRAs merged into them.</summary>
    /// <exception cref="SoraException">A file is no LoRA, or does not fit the model.</exception>
    protected ModelFolder Merging(IReadOnlyList<LoraOption> added, Reporter reporter)
    {
        var changed = (ModelFolder)MemberwiseClone();
        changed.loras = added;
        changed.Merged("transformer", reporter).Dispose();
        return changed;
    }

    /// <summary>The config of a part as JSON: its file's, or what the shapes of its weights tell; null where it has none.</summary>
    public JsonObject? ReadConfig(string part)
    {
        if (PartsWithWeights.Contains(part))
            return Config(part).ToJson();
        var names = (string[])["scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json"];
        var path = names.Select(name => System.IO.Path.Combine(Part(part), name)).FirstOrDefault(File.Exists);
        return path is null ? null : ConfigFile.Read(path).ToJson();
    }

    /// <summary>The config of a part with weights.</summary>
    internal ConfigFile Config(string part)
    {
        var path = Part(part);
        if (!IsLoose && path == Inside(part))
            return ConfigFile.Read(Inside(part, "config.json"));
        return ConfigOf(part, path);
    }

    /// <summary>
    /// The config of a part that is a file or a folder by itself: that which lies beside the weights and is such a part's, or
    /// what their shapes tell.
    /// </summary>
    /// <exception cref="SoraException">There is neither.</exception>
    internal static ConfigFile ConfigOf(string part, string path)
    {
        var folder = Directory.Exists(path) ? path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        string[] candidates = [System.IO.Path.ChangeExtension(path, ".json"), System.IO.Path.Combine(folder, "config.json")];
        var configs = candidates.Where(File.Exists).Select(ConfigFile.Read).ToList();
        if (configs.Find(config => PartKinds.IsConfigOf(part, config)) is { } config)
            return config;
        using var weights = Checkpoint.Open(path);
        return InferredConfig.Of(part, weights, configs.Find(PartKinds.IsOriginalTransformer)?.Size("num_heads"));
    }

    /// <summary>A file in the folder or, in the source tree, beside it.</summary>
    private string? Companion(string name) =>
        !IsTrainedHere ? null : ((string[])[Inside(name), Inside("..", name)]).FirstOrDefault(File.Exists);

    private string Inside(params ReadOnlySpan<string> names) => System.IO.Path.Combine([Path, .. names]);

    private TensorSource Merged(string part, Reporter reporter)
    {
        var weights = Checkpoint.Open(Part(part));
        if (loras.Count == 0 || part is not ("transformer" or "transformer_2"))
            return weights;
        try
        {
            return Lora.Merge(weights, loras, reporter);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }
}
