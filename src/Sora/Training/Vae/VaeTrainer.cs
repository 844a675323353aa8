using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Mini;
using Sora.Models.Wan;
using Sora.Nn;

namespace Sora.Training;

/// <summary>What a training run learns from.</summary>
/// <param name="Source">The clips.</param>
/// <param name="Shapes">Their sizes, each with a number: clips per batch for the VAE, clips in total for the transformer.</param>
public sealed record TrainingData(ClipSource Source, IReadOnlyList<(ClipShape Shape, int Count)> Shapes);

/// <summary>Trains the causal VAE of a model folder.</summary>
public static class VaeTrainer
{
    /// <summary>
    /// Trains the VAE of the folder that <paramref name="options"/> name, from what <paramref name="start"/> says.
    /// </summary>
    /// <exception cref="SoraException">A folder or file can't be used, or training diverges.</exception>
    public static void Train(TrainingData data, TrainingOptions options, VaeStart start, Reporter reporter, CancellationToken cancellation)
    {
        var weights = start.Folder is null
            ? Weights.Initialise((long)options.Seed)
            : Checkpoint.Load(Path.Combine(start.Folder, "vae"), new WeightsOptions { Trainable = true });
        var config = start.Folder is null ? MiniPreset.Vae : ModelRegistry.VaeConfig(Path.Combine(start.Folder, "vae", "config.json"));
        var vae = new CausalVae(config, weights);
        if (start.Inflate)
            VaeTask.Inflate(weights.Named());
        var first = TrainingLoop.SavedStep(options);
        if (config is BlockVaeConfig)
        {
            if (start.Folder is null && first == 0)
                BlockTransform.Fit(weights.Named().ToDictionary(p => p.Key, p => p.Value), config, data, start.FitClips);
            BlockTransform.Freeze(weights.Named().ToDictionary(p => p.Key, p => p.Value));
        }
        else if (start.Transformer is not null)
            throw SoraException.Usage(
                $"{start.Folder} has no decoder that can be trained on a transformer's latents",
                "leave --transformer out"
            );
        var made = start.Transformer is null ? null : new MadeLatents(start.Transformer, config);
        using var task = new VaeTask(
            vae,
            weights,
            data.Source,
            new ClipBatches(data.Source, data.Shapes, options.Seed, first),
            options.SavedType
        )
        {
            Made = made,
        };
        using var loop = new TrainingLoop(task, options, reporter);
        loop.Run(cancellation);
    }
}

/// <summary>Where a VAE's training begins.</summary>
/// <param name="Folder">A model folder whose VAE is trained further; null: new weights of the small preset.</param>
/// <param name="Inflate">Resets the time convolutions: a VAE of stills becomes one of clips that treats every frame as a still.</param>
public sealed record VaeStart(string? Folder = null, bool Inflate = false)
{
    /// <summary>A model folder whose transformer makes latents for the decoder to learn from; null: it learns from the encoder's.</summary>
    public string? Transformer { get; init; }

    /// <summary>Clips that the transform of a new VAE is fitted to.</summary>
    public int FitClips { get; init; } = 2048;
}
