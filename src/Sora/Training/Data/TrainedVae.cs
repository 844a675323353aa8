using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>The VAE of a model folder, which encodes the clips that something else is trained on.</summary>
internal sealed class TrainedVae : IDisposable
{
    private readonly string folder;

    private TrainedVae(string folder, Weights weights)
    {
        (this.folder, Weights) = (folder, weights);
        Vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(folder, "config.json")), weights);
    }

    /// <summary>The VAE.</summary>
    public CausalVae Vae { get; }

    /// <summary>Its weights.</summary>
    public Weights Weights { get; }

    /// <summary>Opens the VAE of a model folder.</summary>
    /// <exception cref="SoraException">There is none.</exception>
    public static TrainedVae Open(string model)
    {
        var folder = Path.Combine(model, "vae");
        if (!Directory.Exists(folder))
            throw SoraException.Failed($"no VAE in {folder}", "train one first (sora train vae), or pass a model folder with --vae");
        return new TrainedVae(folder, Checkpoint.Load(folder, new WeightsOptions { DType = float32 }));
    }

    /// <summary>The clips to train on, of each shape.</summary>
    public IReadOnlyList<LatentSet> Encode(TrainingData data, string cache, ulong seed, Reporter reporter, CancellationToken cancellation)
    {
        var latents = Request(data) with { Seed = seed };
        return
        [
            .. data.Shapes.Select(s => LatentCache.Open(cache, latents with { Shape = s.Shape, Count = s.Count }, reporter, cancellation)),
        ];
    }

    /// <summary>Clips of the first shape that are never trained on.</summary>
    public LatentSet EncodeOthers(
        TrainingData data,
        string cache,
        ulong seed,
        int count,
        Reporter reporter,
        CancellationToken cancellation
    ) =>
        LatentCache.Open(
            Path.Combine(cache, "validation"),
            Request(data) with
            {
                Shape = data.Shapes[0].Shape,
                Count = count,
                Seed = ~seed,
            },
            reporter,
            cancellation
        );

    public void Dispose() => Weights.Dispose();

    private LatentRequest Request(TrainingData data)
    {
        using var weights = Checkpoint.Open(folder);
        var fingerprint = Checkpoint.Fingerprint(weights, Vae.Config.ToJson().ToJsonString());
        return new LatentRequest(Vae, fingerprint, data.Source, default) { Count = 0, Seed = 0 };
    }
}
