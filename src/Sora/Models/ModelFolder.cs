using System.Text.Json.Nodes;
using Sora.Models.Checkpoints;
using Sora.Models.Mini;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Tensors;

namespace Sora.Models;

/// <summary>
/// A model on disk: a folder in the layout of diffusers (<c>model_index.json</c> and a folder for each part), or a file with a
/// transformer and the other parts beside it or named. Opening it reads the configs and the headers of the weights, nothing
/// else, so that what is missing or broken is known at once; it doesn't load torch.
/// </summary>
public sealed class ModelFolder
{
    private readonly ConfigFile index;
    private readonly Dictionary<string, List<string>> parts = [];
    private readonly bool isLoose;
    private readonly Lazy<string> vaeFingerprint;
    private IReadOnlyList<LoraOption> loras = [];

    private ModelFolder(string path, string? given, PartPaths named)
    {
        Path = path;
        Name = given is null ? ModelLocator.Builtin : System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(given));
        Reference = Directory.Exists(given) || File.Exists(given) ? System.IO.Path.GetFullPath(given) : given ?? ModelLocator.Builtin;
        var loose = File.Exists(path) ? path : File.Exists(Inside("model_index.json")) ? null : LooseParts.OriginalTransformer(path);
        isLoose = loose is not null;
        index = isLoose ? ConfigFile.Parse(path, "{}") : ConfigFile.Read(Inside("model_index.json"));
        if (isLoose)
        {
            parts["transformer"] = [loose!];
            if (LooseParts.LowNoise(loose!) is { } low) parts["transformer_2"] = [low];
        }
        else
        {
            foreach (var part in AllParts.Where(part => index.Texts(part, []) is [_, { Length: > 0 }])) parts[part] = [Inside(part)];
        }
        foreach (var (part, file) in named.Named()) parts[part] = [file];
        Transformer = WanTransformerConfig.From(Config("transformer"));
        if (Has("transformer_2")) Transformer2 = WanTransformerConfig.From(Config("transformer_2"));
        if (isLoose)
        {
            foreach (var (part, files) in LooseParts.Beside(loose!, Transformer)) parts.TryAdd(part, files);
        }
        Vae = CausalVaeConfig.From(Config("vae"));
        vaeFingerprint = new Lazy<string>(ReadVaeFingerprint);
        if (Has("scheduler"))
        {
            SchedulerPath = Inside("scheduler", "scheduler_config.json");
            var scheduler = ConfigFile.Read(SchedulerPath);
            SchedulerClass = scheduler.ClassName;
            Preconditioning = Preconditioning.Read(scheduler, Transformer.SceneChannels);
            if (Preconditioning is { } p && (p.First.Count != Transformer.OutChannels || p.Later.Count != Transformer.OutChannels))
                throw SoraException.Failed($"{SchedulerPath}: {p.First.Count} first_latents_variance and {p.Later.Count} latents_variance for {Transformer.OutChannels} channels", "it belongs to another model; train it or download it again");
            if (Preconditioning is { } known && !(known.OpenVariance > 0))
                throw SoraException.Failed($"{SchedulerPath}: an open_variance of {known.OpenVariance}", "it must be above 0; train the model or download it again");
        }
        var fingerprint = new Lazy<string>(() => Fingerprint("transformer"));
        Known = CheckpointTable.Find(new ModelTraits(Name, Transformer, Has("transformer_2") ? 2 : 1, given is null or ModelLocator.Builtin, fingerprint));
        BoundaryRatio = index.Has("boundary_ratio") ? index.Number("boundary_ratio", 0) : isLoose ? Known?.Boundary : null;
        // Without an index: the VAE of this kind came with the transformer that was trained so.
        ExpandTimesteps = index.Flag("expand_timesteps", isLoose && Vae.IsResidual);
    }

    /// <summary>Every part that a model may have, by the names of diffusers.</summary>
    public static readonly IReadOnlyList<string> AllParts =
        ["tokenizer", "text_encoder", "image_processor", "image_encoder", "transformer", "transformer_2", "vae", "scheduler"];

    /// <summary>Those that have weights.</summary>
    public static readonly IReadOnlyList<string> PartsWithWeights = ["text_encoder", "image_encoder", "transformer", "transformer_2", "vae"];

    /// <summary>The folder, or the file.</summary>
    public string Path { get; }

    /// <summary>What a user calls it: the name that was given, or the folder's.</summary>
    public string Name { get; }

    /// <summary>What opens it again from any folder: a name, or an absolute path. Clips keep it.</summary>
    public string Reference { get; }

    /// <summary>The pipeline's class in diffusers, such as <c>WanPipeline</c>; empty for single files.</summary>
    public string PipelineClass => index.ClassName ?? "";

    /// <summary>What the table of checkpoints says of it; null: it isn't known.</summary>
    public KnownCheckpoint? Known { get; }

    /// <summary>Whether <c>sora train</c> made it, with every known mask that there is.</summary>
    public bool IsTrainedHere => index.Has("_sora");

    /// <summary>The model's own defaults, and the file that they are in.</summary>
    public (JsonObject Defaults, string Origin) OwnDefaults => (index.Object("_sora") ?? [], index.Path);

    /// <summary>The file that says what a model that was trained here knows and how it was made, or null.</summary>
    public string? Card => Companion("README.md");

    /// <summary>What the evaluation program measured on a model that was trained here, or null.</summary>
    public JsonObject? Evaluation => Companion("evaluation.json") is { } file ? ConfigFile.Read(file).ToJson() : null;

    /// <summary>Sizes of the VAE.</summary>
    public CausalVaeConfig Vae { get; }

    /// <summary>Sizes of the transformer; with two experts, of the one for high noise.</summary>
    public WanTransformerConfig Transformer { get; }

    /// <summary>Sizes of the expert for low noise, or null.</summary>
    public WanTransformerConfig? Transformer2 { get; }

    /// <summary>Timesteps from this part of 1000 on belong to the expert for high noise; null: a single one.</summary>
    public double? BoundaryRatio { get; }

    /// <summary>Whether each token has a timestep of its own (TI2V).</summary>
    public bool ExpandTimesteps { get; }

    /// <summary>The scheduler's config file; null: the model comes without one.</summary>
    public string? SchedulerPath { get; }

    /// <summary>The scheduler's class in diffusers, or null.</summary>
    public string? SchedulerClass { get; }

    /// <summary>How the transformer's answer becomes a velocity; null: it is one.</summary>
    public Preconditioning? Preconditioning { get; }

    /// <summary>
    /// Opens a model: a folder, a file with a transformer, a name that <see cref="ModelLocator.Installed"/> lists, or null for
    /// the built-in one.
    /// </summary>
    /// <param name="model">Path or name.</param>
    /// <param name="parts">Parts to take from elsewhere.</param>
    /// <exception cref="SoraException">There is no such model, a part is missing, or its architecture is unknown.</exception>
    public static ModelFolder Open(string? model, PartPaths? parts = null) => new(ModelLocator.Find(model), model, parts ?? new PartPaths());

    /// <summary>Whether the model has this part, such as <c>image_encoder</c>.</summary>
    public bool Has(string part) => parts.ContainsKey(part);

    /// <summary>The folder or file of a part.</summary>
    /// <exception cref="SoraException">The model has no such part, it isn't there, or there are several that it could be.</exception>
    public string Part(string part)
    {
        var option = $"--{part.Replace('_', '-')}";
        if (!parts.TryGetValue(part, out var files))
            throw SoraException.Failed($"the model {Path} has no {part}", isLoose ? $"pass one with {option}, or put it next to the file" : null);
        if (files.Count > 1)
            throw SoraException.Failed($"{Path}: several files next to it could be its {part}: {string.Join(", ", files)}", $"pass one with {option}");
        return Directory.Exists(files[0]) || File.Exists(files[0])
            ? files[0]
            : throw SoraException.Failed($"{files[0]} is missing, but model_index.json refers to it", "the download may be incomplete");
    }

    /// <summary>Opens the weights of a part: headers only.</summary>
    /// <exception cref="SoraException">They are missing, truncated or not safetensors.</exception>
    public TensorSource OpenWeights(string part) => Merged(part, Reporter.Silent);

    /// <summary>The tokenizer: of its part, or that inside the file of the text encoder.</summary>
    /// <exception cref="SoraException">There is none, or it uses something that is not supported.</exception>
    public Tokenizer OpenTokenizer()
    {
        if (!Has("tokenizer") && Has("text_encoder") && File.Exists(Part("text_encoder")) && CheckpointFile.SentencePiece(Part("text_encoder")) is { } inside)
            return Tokenizer.FromSentencePiece(inside, Part("text_encoder"));
        return Tokenizer.Load(Part("tokenizer"));
    }

    /// <summary>The same model with LoRAs merged into its transformer, and into both experts where it has two.</summary>
    /// <param name="added">Files and weights; none gives the model itself.</param>
    /// <param name="reporter">Told which tensors of the files were left out.</param>
    /// <exception cref="SoraException">A file is no LoRA, or does not fit the model.</exception>
    public ModelFolder With(IReadOnlyList<LoraOption> added, Reporter reporter)
    {
        var changed = (ModelFolder)MemberwiseClone();
        changed.loras = added;
        changed.Merged("transformer", reporter).Dispose();
        return changed;
    }

    /// <summary>
    /// Holds the header of every part that has weights against its config, and the parts against each other. Loads torch.
    /// </summary>
    /// <exception cref="SoraException">One is missing, truncated, or of another model.</exception>
    public void Check() => ModelCheck.Run(this);

    /// <summary>Says which VAE latents belong to: its <see cref="Checkpoint.Fingerprint"/>.</summary>
    public string VaeFingerprint() => vaeFingerprint.Value;

    /// <summary>The <see cref="Checkpoint.Fingerprint"/> of a part.</summary>
    public string Fingerprint(string part)
    {
        using var weights = OpenWeights(part);
        return Checkpoint.Fingerprint(weights, part == "transformer" ? Transformer.ToJson().ToJsonString() : Config(part).ToJson().ToJsonString());
    }

    /// <summary>The config of a part as JSON: its file's, or what the shapes of its weights tell; null where it has none.</summary>
    public JsonObject? ReadConfig(string part)
    {
        if (PartsWithWeights.Contains(part)) return Config(part).ToJson();
        var names = (string[])["scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json"];
        var path = names.Select(name => System.IO.Path.Combine(Part(part), name)).FirstOrDefault(File.Exists);
        return path is null ? null : ConfigFile.Read(path).ToJson();
    }

    /// <summary>The config of a part with weights.</summary>
    internal ConfigFile Config(string part)
    {
        var path = Part(part);
        if (!isLoose && path == Inside(part)) return ConfigFile.Read(Inside(part, "config.json"));
        var folder = Directory.Exists(path) ? path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        string[] candidates = [System.IO.Path.ChangeExtension(path, ".json"), System.IO.Path.Combine(folder, "config.json")];
        var configs = candidates.Where(File.Exists).Select(ConfigFile.Read).ToList();
        if (configs.Find(config => IsFor(part, config)) is { } config) return config;
        using var weights = Checkpoint.Open(path);
        var original = configs.Find(config => config.ClassName is "WanModel" or "VaceWanModel");
        return InferredConfig.Of(part, weights, part.StartsWith("transformer", StringComparison.Ordinal) ? original?.Size("num_heads") : null);
    }

    private static bool IsFor(string part, ConfigFile config) => part switch
    {
        "transformer" or "transformer_2" => config.ClassName is "WanTransformer3DModel" or "WanVACETransformer3DModel",
        "vae" => config.ClassName == "AutoencoderKLWan",
        "text_encoder" => config.Text("model_type", null) is "t5" or "umt5" or "mt5",
        _ => config.Text("model_type", null) == "clip_vision_model",
    };

    /// <summary>A file in the folder or, as in the source tree, beside it.</summary>
    private string? Companion(string name) => !IsTrainedHere ? null
        : ((string[])[Inside(name), Inside("..", name)]).FirstOrDefault(File.Exists);

    private string Inside(params ReadOnlySpan<string> names) => System.IO.Path.Combine([Path, .. names]);

    private string ReadVaeFingerprint()
    {
        using var weights = OpenWeights("vae");
        return Checkpoint.Fingerprint(weights, Vae.ToJson().ToJsonString());
    }

    private TensorSource Merged(string part, Reporter reporter)
    {
        var weights = Checkpoint.Open(Part(part));
        if (loras.Count == 0 || part is not ("transformer" or "transformer_2")) return weights;
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
