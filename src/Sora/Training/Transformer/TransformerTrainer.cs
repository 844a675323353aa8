using Sora.Models.Checkpoints;
using Sora.Models.Mini;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Trains the text encoder and the transformer of a model folder.</summary>
public static class TransformerTrainer
{
    private const int ValidationClips = 64;

    /// <summary>
    /// Trains text encoder and transformer on the latents of the folder's VAE.
    /// </summary>
    /// <exception cref="SoraException">The folder has no VAE, or training diverges.</exception>
    public static void Train(
        TrainingData data,
        TrainingOptions options,
        TransformerStart start,
        Reporter reporter,
        CancellationToken cancellation
    )
    {
        using var encoder = TrainedVae.Open(start.VaeFolder ?? options.Folder);
        var vae = encoder.Vae;
        var sets = encoder.Encode(data, start.Cache, options.Seed, reporter, cancellation);
        var validation = encoder.EncodeOthers(data, start.Cache, options.Seed, ValidationClips, reporter, cancellation);

        var parts = Parts(data, options, start, vae, validation);
        void Save(string folder)
        {
            ModelParts.WriteConfig(folder, "transformer", parts.Transformer.Config.ToJson());
            parts.TransformerWeights.Save(ModelParts.WeightsFile(folder, "transformer"), options.SavedType);
            parts.TextWeights.Save(ModelParts.WeightsFile(folder, "text_encoder"), options.SavedType);
            MiniPreset.WriteIndex(folder, vae.Config, parts.Preconditioning, start.Guidance is not null);
            if (start.VaeFolder is null)
                return;
            ModelParts.WriteConfig(folder, "vae", vae.Config.ToJson());
            encoder.Weights.Save(ModelParts.WeightsFile(folder, "vae"), options.SavedType);
        }
        using var task = new TransformerTask(
            parts with
            {
                Save = Save,
                Reader = Reader(data, options, start, parts),
            },
            data.Source,
            sets,
            validation,
            start.TokensPerStep
        );
        using var loop = new TrainingLoop(task, options, reporter);
        loop.Run(cancellation);
    }

    /// <summary>A new reader where the source says what its clips show; a teacher's student learns from the teacher alone.</summary>
    private static SceneReader? Reader(TrainingData data, TrainingOptions options, TransformerStart start, TransformerParts parts) =>
        start.Reading > 0 && start.Guidance is null && data.Source.Descriptors > 0
            ? new SceneReader(
                parts.Transformer.Config,
                Weights.Initialise((long)options.Seed + 2),
                data.Source.Descriptors,
                start.Reading,
                IsMarked(parts.Tokenizer, data.Source) ? data.Source.ThingDescriptors : 0
            )
            {
                ComesLater = start.Folder is not null,
            }
            : null;

    /// <summary>Whether texts begin with the marks of what a source's captions mention.</summary>
    private static bool IsMarked(Tokenizer tokenizer, ClipSource source) =>
        source.Marks.Count > 0 && tokenizer.Tokens(tokenizer.Encode("")).Take(source.Marks.Count).SequenceEqual(source.Marks);

    /// <summary>The sizes with as many heads as are asked for; none: as they are.</summary>
    private static WanTransformerConfig Sized(WanTransformerConfig given, string? from, int? heads)
    {
        if (heads < given.NumAttentionHeads && from is not null)
            throw SoraException.Usage(
                $"the transformer of {from} has {given.NumAttentionHeads} heads, more than --heads {heads}",
                "leave --heads out, or ask for more"
            );
        return WiderTransformer.Sizes(given, heads ?? given.NumAttentionHeads);
    }

    private static TransformerParts Parts(
        TrainingData data,
        TrainingOptions options,
        TransformerStart start,
        CausalVae vae,
        LatentSet sample
    )
    {
        var from = start.Folder;
        var tokenizer = PrepareTokenizer(data.Source, options.Folder, start);
        var given = from is null ? MiniPreset.Transformer : WanTransformerConfig.Read(Path.Combine(from, "transformer", "config.json"));
        var preset = Sized(given, from, start.Heads);
        var filter = from is null
            ? Preconditioning.Of(sample.Latents)
            : Preconditioning.Read(ConfigFile.Read(Path.Combine(from, "scheduler", "scheduler_config.json")), given.SceneChannels);
        var (transformerConfig, preconditioning) = WithScenes(preset, filter, data.Source, sample, start);
        var textConfig = T5Config.Read(Path.Combine(options.Folder, "text_encoder", "config.json"));
        TransformerParts Of(Weights transformer, Weights text) =>
            new(
                new WanTransformer(transformerConfig, transformer) { Products = options.Products },
                transformer,
                new T5Encoder(textConfig, text),
                text
            )
            {
                Vae = vae,
                Tokenizer = tokenizer,
                TextLength = MiniPreset.TextLength,
                Preconditioning = preconditioning,
                Seed = options.Seed,
            };
        TransformerParts Opened(string folder, bool trainable)
        {
            var how = new WeightsOptions
            {
                Trainable = trainable,
                DType = float32,
                Widened = start.Scenes,
            };
            TensorSource transformer = Checkpoint.Open(Path.Combine(folder, "transformer"));
            if (transformerConfig.NumAttentionHeads != given.NumAttentionHeads)
            {
                using var narrow = transformer;
                transformer = WiderTransformer.Widen(narrow, given, transformerConfig.NumAttentionHeads, options.Seed);
            }
            return Of(Weights.From(transformer, how), Checkpoint.Load(Path.Combine(folder, "text_encoder"), how));
        }
        if (from is null)
            return Of(Weights.Initialise((long)options.Seed), Weights.Initialise((long)options.Seed + 1));
        var own = Opened(from, trainable: true);
        if (start.Guidance is not { } guidance)
            return own;
        return own with { Guidance = guidance, Teacher = IsGuided(from) ? null : Opened(from, trainable: false) };
    }

    /// <summary>Puts tokenizer and text encoder config in the folder: copies of the start's, or new ones, with marks for scenes.</summary>
    private static Tokenizer PrepareTokenizer(ClipSource source, string folder, TransformerStart start)
    {
        var from = start.Folder;
        var tokenizerFolder = Path.Combine(folder, "tokenizer");
        if (from is not null)
        {
            ModelParts.Copy(from, folder, "tokenizer");
            ModelParts.Copy(from, folder, "text_encoder");
        }
        else if (!Directory.Exists(tokenizerFolder))
        {
            ModelParts.WriteConfig(folder, "text_encoder", MiniPreset.TextConfig(WordTokenizer.Write(tokenizerFolder, source.Words)));
        }
        if (start.Scenes && !IsMarked(Tokenizer.Load(tokenizerFolder), source))
        {
            var config = ConfigFile.Read(Path.Combine(folder, "text_encoder", "config.json"));
            var vocabulary = WordTokenizer.Write(tokenizerFolder, source.Words, source.Marks);
            if (from is not null && vocabulary != config.Size("vocab_size") + source.Marks.Count)
                throw SoraException.Failed(
                    $"{from} has a different vocabulary than these clips' captions",
                    "train a new model, without --init"
                );
            ModelParts.WriteConfig(folder, "text_encoder", MiniPreset.TextConfig(vocabulary));
        }
        return Tokenizer.Load(tokenizerFolder);
    }

    /// <summary>Sizes and preconditioning, with scene channels if scenes are to be generated.</summary>
    private static (WanTransformerConfig Config, Preconditioning? Preconditioning) WithScenes(
        WanTransformerConfig config,
        Preconditioning? preconditioning,
        ClipSource source,
        LatentSet sample,
        TransformerStart start
    )
    {
        var descriptors = source.Descriptors;
        if (config.SceneChannels != 0 && descriptors != 0 && config.SceneChannels != descriptors)
            throw SoraException.Failed(
                $"{start.Folder} has {config.SceneChannels} scene channels, but these clips have {descriptors}",
                "train a new model, without --init"
            );
        if (!start.Scenes)
            return (config, preconditioning);
        if (descriptors == 0)
            throw SoraException.Usage(
                "these clips come without descriptions of their scenes",
                "leave --scenes out, or train on --world alone"
            );
        config = config with
        {
            SceneChannels = descriptors,
            InChannels = config.LatentChannels + descriptors + 1,
            OutChannels = config.LatentChannels + descriptors,
        };
        var shape = sample.Latents.shape;
        using var scenes = source.DescribeAll(sample.Seeds, sample.Shape, new LatentGrid((int)shape[2], (int)shape[3], (int)shape[4]));
        return (config, preconditioning?.With(Preconditioning.OfScenes(scenes), config.LatentChannels));
    }

    /// <summary>Whether one pass of a model of ours does what guidance does in two.</summary>
    private static bool IsGuided(string folder) =>
        ConfigFile.Read(Path.Combine(folder, "model_index.json")).Object("_sora")?["guidance"]?.GetValue<double>() == 1;
}

/// <summary>Where a transformer's training begins and what it uses.</summary>
/// <param name="Cache">Folder of encoded clips.</param>
/// <param name="TokensPerStep">Latent tokens in a batch.</param>
public sealed record TransformerStart(string Cache, int TokensPerStep)
{
    /// <summary>A model folder that is trained further; null: new weights of the small preset.</summary>
    public string? Folder { get; init; }

    /// <summary>
    /// Learn what the start makes of its prompts at this guidance scale, in one pass; a start that has learned it keeps learning from
    /// the clips. Null: learn from the clips, unguided.
    /// </summary>
    public double? Guidance { get; init; }

    /// <summary>
    /// Weight of the error of reading the scene from the middle of the network; that of the latents is 1. 0: it learns from
    /// latents alone, as it does from clips whose scene is unknown.
    /// </summary>
    public double Reading { get; init; }

    /// <summary>
    /// Make what the clips show along with their latents: a network that is trained further, and that doesn't do so yet, is
    /// given the channels.
    /// </summary>
    public bool Scenes { get; init; }

    /// <summary>
    /// Attention heads, which set the width and that of the feed-forward layers; a transformer that is trained further and has
    /// fewer is widened. Null: as many as it has, or as the small preset has.
    /// </summary>
    public int? Heads { get; init; }

    /// <summary>The model folder whose VAE encodes; null: the folder that is trained.</summary>
    public string? VaeFolder { get; init; }
}
