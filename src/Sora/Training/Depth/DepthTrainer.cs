using Sora.Models.Checkpoints;
using Sora.Models.Depth;
using Sora.Models.Wan;
using Sora.Nn;

namespace Sora.Training;

/// <summary>Trains the depth head of a model folder.</summary>
public static class DepthTrainer
{
    private const int ValidationClips = 32;

    /// <summary>Trains a head that gives the depth of clips from their latents.</summary>
    /// <exception cref="SoraException">The clips' depth isn't known, the folder has no VAE, or training diverges.</exception>
    public static void Train(
        TrainingData data,
        TrainingOptions options,
        DepthStart start,
        Reporter reporter,
        CancellationToken cancellation
    )
    {
        if (!data.Source.KnowsDepth)
            throw SoraException.Usage("these clips come without their depth", "train on --world alone");
        using var encoder = TrainedVae.Open(start.VaeFolder ?? options.Folder);
        var sets = encoder.Encode(data, start.Cache, options.Seed, reporter, cancellation);
        var validation = encoder.EncodeOthers(data, start.Cache, options.Seed, ValidationClips, reporter, cancellation);
        var config = start.Folder is null
            ? For(encoder.Vae.Config, start.Sizes)
            : LatentDepthConfig.From(ConfigFile.Read(Path.Combine(start.Folder, LatentDepthHead.Part, "config.json")));
        if (config.Geometry != encoder.Vae.Config.Geometry)
            throw SoraException.Failed($"the depth head of {start.Folder} is for other latents than this VAE's", "leave --init out");
        var weights = start.Folder is null
            ? Weights.Initialise((long)options.Seed)
            : Checkpoint.Load(Path.Combine(start.Folder, LatentDepthHead.Part), new WeightsOptions { Trainable = true });
        void Write(string folder)
        {
            ModelParts.WriteConfig(folder, LatentDepthHead.Part, config.ToJson());
            weights.Save(ModelParts.WeightsFile(folder, LatentDepthHead.Part), options.SavedType);
            ModelParts.List(folder, LatentDepthHead.Part, LatentDepthConfig.Class);
        }
        using var task = new DepthTask(new LatentDepthHead(config, weights), weights, data.Source, sets, validation, start.TokensPerStep)
        {
            Seed = options.Seed,
            Vae = encoder.Vae,
            Write = Write,
        };
        using var loop = new TrainingLoop(task, options, reporter);
        loop.Run(cancellation);
    }

    /// <summary>Sizes for the latents of a VAE.</summary>
    private static LatentDepthConfig For(CausalVaeConfig vae, LatentDepthConfig sizes) =>
        sizes with
        {
            LatentChannels = vae.ZDim,
            SpatialFactor = vae.SpatialFactor,
            TemporalFactor = vae.TemporalFactor,
            FirstFrames = vae.Geometry.FirstFrames,
        };
}

/// <summary>Where a depth head's training begins and what it uses.</summary>
/// <param name="Cache">Folder of encoded clips.</param>
/// <param name="TokensPerStep">Latents in a batch.</param>
public sealed record DepthStart(string Cache, int TokensPerStep)
{
    /// <summary>A model folder whose head is trained further; null: new weights.</summary>
    public string? Folder { get; init; }

    /// <summary>The sizes of new weights, but for those that the latents set; about a million parameters by default.</summary>
    public LatentDepthConfig Sizes { get; init; } = new();

    /// <summary>The model folder whose VAE encodes; null: the folder that is trained.</summary>
    public string? VaeFolder { get; init; }
}
