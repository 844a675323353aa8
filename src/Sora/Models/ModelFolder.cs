using Sora.Clips;
using Sora.Models.Formats;

namespace Sora.Models;

/// <summary>
/// A model on disk in the layout of diffusers: <c>model_index.json</c> and a folder for each part. Opening it reads
/// the configs and the headers of the weights, nothing else, so that what is missing or broken is known at once; it
/// doesn't load torch.
/// </summary>
public sealed class ModelFolder
{
    /// <summary>The environment variable that names the folder of a user's models.</summary>
    public const string FolderVariable = "SORA_MODELS";

    private const string Builtin = "mini";

    private readonly ConfigFile index;
    private IReadOnlyList<LoraOption> loras = [];

    private ModelFolder(string path, string name, string reference)
    {
        (Path, Name, Reference) = (path, name, reference);
        index = ConfigFile.Read(System.IO.Path.Combine(path, "model_index.json"));
        Vae = Has("vae")
            ? CausalVaeConfig.From(Config("vae"))
            : throw Lacks("vae");
        Transformer = Has("transformer")
            ? WanTransformerConfig.From(Config("transformer"))
            : throw Lacks("transformer");
        if (Has("transformer_2")) Transformer2 = WanTransformerConfig.From(Config("transformer_2"));
        if (Has("scheduler"))
        {
            var scheduler = ConfigFile.Read(System.IO.Path.Combine(path, "scheduler", "scheduler_config.json"));
            SchedulerClass = scheduler.ClassName;
            FlowShift = scheduler.Has("flow_shift") ? scheduler.Number("flow_shift", 1) : scheduler.Number("shift", 1);
        }
        BoundaryRatio = index.Has("boundary_ratio") ? index.Number("boundary_ratio", 0) : null;
        ExpandTimesteps = index.Flag("expand_timesteps", false);
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>What a user calls it: the name that was given, or the folder's.</summary>
    public string Name { get; }

    /// <summary>What opens it again from any folder: a name, or an absolute path. Clips keep it.</summary>
    public string Reference { get; }

    /// <summary>The pipeline's class in diffusers, such as <c>WanPipeline</c>.</summary>
    public string PipelineClass => index.ClassName ?? "";

    /// <summary>Whether <c>sora train</c> made it, with every known mask that there is.</summary>
    public bool IsTrainedHere => index.Has("_sora");

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

    /// <summary>The scheduler's class in diffusers, or null.</summary>
    public string? SchedulerClass { get; }

    /// <summary>The shift of the noise schedule; 1 is none.</summary>
    public double FlowShift { get; } = 1;

    /// <summary>
    /// Opens a model: a path, a name under <c>$SORA_MODELS</c>, or null for the built-in one.
    /// </summary>
    /// <exception cref="SoraException">There is no such model, a part is missing, or its architecture is unknown.</exception>
    public static ModelFolder Open(string? model)
    {
        var name = model is null ? Builtin : System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(model));
        return new ModelFolder(Locate(model), name, Directory.Exists(model) ? System.IO.Path.GetFullPath(model) : model ?? Builtin);
    }

    /// <summary>The folder that <see cref="Open"/> opens, which may lack parts.</summary>
    /// <exception cref="SoraException">There is no such folder.</exception>
    public static string Locate(string? model) => Snapshot(model is null ? FindBuiltin() : Find(model));

    /// <summary>The models under <c>$SORA_MODELS</c>, and the built-in one where it is installed.</summary>
    public static IReadOnlyList<string> Installed()
    {
        var names = new List<string>();
        if (BuiltinFolder() is not null) names.Add(Builtin);
        if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } root && Directory.Exists(root))
            names.AddRange(Directory.GetDirectories(root)
                .Where(folder => File.Exists(System.IO.Path.Combine(Snapshot(folder), "model_index.json")))
                .Select(folder => System.IO.Path.GetFileName(folder)).Order(StringComparer.Ordinal));
        return names;
    }

    /// <summary>Whether the model has this part, such as <c>image_encoder</c>.</summary>
    public bool Has(string part) => index.Texts(part, []) is [_, { Length: > 0 }];

    /// <summary>The folder of a part.</summary>
    /// <exception cref="SoraException">The model has no such part, or its folder isn't there.</exception>
    public string Part(string part)
    {
        if (!Has(part)) throw Lacks(part);
        var folder = System.IO.Path.Combine(Path, part);
        return Directory.Exists(folder)
            ? folder
            : throw SoraException.Failed($"{folder} isn't there, though model_index.json names it", "the download may be incomplete");
    }

    /// <summary>Opens the weights of a part: headers only.</summary>
    /// <exception cref="SoraException">They are missing, truncated or not safetensors.</exception>
    public TensorSource OpenWeights(string part) => Merged(part, Reporter.Silent);

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

    /// <summary>
    /// Reads the header of every part that has weights.
    /// </summary>
    /// <exception cref="SoraException">One is missing or truncated.</exception>
    public void Check()
    {
        foreach (var part in (string[])["text_encoder", "image_encoder", "transformer", "transformer_2", "vae"])
            if (Has(part)) OpenWeights(part).Dispose();
    }

    /// <summary>Says which VAE latents belong to: its <see cref="Checkpoint.Fingerprint"/>.</summary>
    public string VaeFingerprint()
    {
        using var weights = OpenWeights("vae");
        return Checkpoint.Fingerprint(weights, Vae.ToJson().ToJsonString());
    }

    private ConfigFile Config(string part) => ConfigFile.Read(System.IO.Path.Combine(Part(part), "config.json"));

    private SoraException Lacks(string part) => SoraException.Failed($"the model {Path} has no {part}");

    private static string Find(string model)
    {
        if (Directory.Exists(model)) return model;
        var root = Environment.GetEnvironmentVariable(FolderVariable);
        if (!string.IsNullOrEmpty(root) && Directory.Exists(System.IO.Path.Combine(root, model))) return System.IO.Path.Combine(root, model);
        if (model == Builtin) return FindBuiltin();
        throw SoraException.Failed(
            $"no model '{model}': {(string.IsNullOrEmpty(root) ? $"it isn't a folder, and {FolderVariable} isn't set" : $"neither a folder nor in {root}")}",
            "--model takes the path of a folder that holds model_index.json, or a name under $SORA_MODELS");
    }

    private static string FindBuiltin() => BuiltinFolder()
        ?? throw SoraException.Failed($"the built-in model '{Builtin}' isn't installed beside the program",
            "run install.sh again, or name another with --model");

    private static string? BuiltinFolder()
    {
        var beside = System.IO.Path.Combine(AppContext.BaseDirectory, Builtin);
        if (Directory.Exists(beside)) return beside;
        // A program run from its build folder finds the source tree above it.
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            var candidate = System.IO.Path.Combine(folder.FullName, "src", "Sora", "Builtin", Builtin);
            if (Directory.Exists(candidate)) return candidate;
        }
        return null;
    }

    /// <summary>In a folder of the Hugging Face cache, the snapshot that <c>main</c> names, or the only one; else the folder.</summary>
    private static string Snapshot(string folder)
    {
        var snapshots = System.IO.Path.Combine(folder, "snapshots");
        if (!Directory.Exists(snapshots)) return folder;
        var main = System.IO.Path.Combine(folder, "refs", "main");
        if (File.Exists(main) && System.IO.Path.Combine(snapshots, File.ReadAllText(main).Trim()) is var named && Directory.Exists(named))
            return named;
        return Directory.GetDirectories(snapshots) is [var only] ? only : folder;
    }
}
