using System.Globalization;
using Sora.Models.Mini;
using Sora.Models.Wan;
using Sora.Nn;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Sora.Training;

/// <summary>
/// Training of the causal VAE: L1 of pixels and of their spatial differences and a squared error, so that both
/// sharpness and PSNR count; the posterior doesn't have unit noise, which drowns the means at the start, but is the
/// mean with a little noise, held near zero.
/// </summary>
internal sealed class VaeTask : TrainingTask
{
    private const double Noise = 0.05,
        GradientWeight = 0.5,
        SquareWeight = 2,
        MeanWeight = 1e-4,
        LogVarianceWeight = 1e-4;
    private const double RestingLogVariance = -6;

    /// <summary>
    /// Share of clips that a block VAE sees with latents as a transformer leaves them, and how far off these are at most, in
    /// deviations.
    /// </summary>
    private const double RoughShare = 0.5,
        Roughness = 0.5;
    private const int ValidationClips = 8,
        StatisticsClips = 64;
    private const ulong ValidationSeed = 0xfeed_0000_0000,
        StatisticsSeed = 0xbeef_0000_0000;

    private readonly CausalVae vae;
    private readonly Weights weights;
    private readonly ClipSource source;
    private readonly ClipBatches batches;
    private readonly ClipShape[] shapes;
    private readonly ScalarType? savedType;

    public VaeTask(CausalVae vae, Weights weights, ClipSource source, ClipBatches batches, ScalarType? savedType = null)
    {
        (this.vae, this.weights, this.source, this.batches, this.savedType) = (vae, weights, source, batches, savedType);
        shapes = [.. batches.Shapes];
        Parameters = weights.Named().ToDictionary(p => p.Key, p => p.Value);
    }

    /// <summary>Makes latents that a block VAE sees besides its own; null: none.</summary>
    public MadeLatents? Made { get; init; }

    public override IReadOnlyDictionary<string, Tensor> Parameters { get; }

    public override IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation)
    {
        var batch = batches.Take(step, cancellation);
        var video = batch.Pixels(); // [B, 3, F, H, W]
        vae.Clamps = false;
        var parts = video.chunk(count, 0);
        return
        [
            .. parts.Zip(
                batch.Captions.Chunk((int)parts[0].shape[0]),
                (part, captions) => new Func<Tensor>(() => Loss(part, captions) * (part.shape[0] / (double)video.shape[0]))
            ),
        ];
    }

    private Tensor Loss(Tensor video, string[] captions)
    {
        var (mean, logVariance) = vae.EncodeMoments(video); // [B, z, T, h, w]
        // A fixed transform has no posterior to shape.
        if (vae.Config is BlockVaeConfig)
            return Reconstruction(vae.Decode(AsMade(mean, captions)), video);
        return Reconstruction(vae.Decode(mean + (Noise * randn_like(mean))), video)
            + (MeanWeight * mean.square().mean())
            + (LogVarianceWeight * (logVariance - RestingLogVariance).square().mean());
    }

    /// <summary>
    /// Latents as they are decoded: half of the clips with a caption as the transformer makes them, if there is one, and the
    /// others roughened.
    /// </summary>
    private Tensor AsMade(Tensor mean, string[] captions)
    {
        var rough = Roughened(mean);
        if (Made is null)
            return rough;
        using var draws = rand(captions.Length);
        var chosen = captions
            .Index()
            .Zip(draws.data<float>().ToArray())
            .Where(c => c.First.Item.Length > 0 && c.Second < RoughShare)
            .Select(c => (long)c.First.Index)
            .ToList();
        if (chosen.Count == 0)
            return rough;
        var made = vae.Denormalise(
            Made.Of(
                vae.Normalise(mean.index_select(0, tensor(chosen.ToArray()))),
                [.. chosen.Select(i => captions[i])],
                MadeLatents.DrawSigma(chosen.Count)
            )
        );
        return cat([
            .. Enumerable
                .Range(0, captions.Length)
                .Select(i => chosen.IndexOf(i) is >= 0 and var at ? made.narrow(0, at, 1) : rough.narrow(0, i, 1)),
        ]);
    }

    /// <summary>
    /// Latents of which some clips' are off, each block's in its own way: blocks that a transformer made don't quite fit each
    /// other, and a refiner that knows exact latents only shows their seams.
    /// </summary>
    private Tensor Roughened(Tensor mean)
    {
        var amount = (rand([mean.shape[0], 1, 1, 1, 1]) - (1 - RoughShare)).clamp_min(0) * (Roughness / RoughShare);
        return mean + (amount * (vae.Denormalise(randn_like(mean)) - vae.Denormalise(zeros_like(mean))));
    }

    public override (double Loss, string Detail) Validate()
    {
        using var scope = NewDisposeScope();
        vae.Clamps = true;
        var video = ClipBatches.Draw(source, shapes[^1], ValidationSeed, ValidationClips).Pixels();
        var back = vae.Decode(vae.Encode(video));
        var psnr = -10 * Math.Log10(mse_loss(back, video).ToDouble() / 4);
        return (Reconstruction(back, video).ToDouble(), string.Create(CultureInfo.InvariantCulture, $" (PSNR {psnr:F2} dB)"));
    }

    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        var video = ClipBatches.Draw(source, shapes[^1], ValidationSeed, ValidationClips).Pixels();
        var both = stack([video, vae.Decode(vae.Encode(video))], dim: 1).flatten(0, 1);
        SampleSheet.Write(path, both);
    }

    public override void Save(string folder)
    {
        using var scope = NewDisposeScope();
        var (mean, deviation) = Statistics();
        ModelParts.WriteConfig(folder, "vae", (vae.Config with { LatentsMean = mean, LatentsStd = deviation }).ToJson());
        weights.Save(ModelParts.WeightsFile(folder, "vae"), savedType);
    }

    /// <summary>
    /// Sets the time taps so that a VAE that has seen stills only begins by treating every frame as a still: the
    /// taps that look back are zero, down steps in time take the later frame, up steps double it.
    /// </summary>
    public static void Inflate(IReadOnlyDictionary<string, Tensor> weights)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, weight) in weights)
        {
            if (weight.dim() != 5 || weight.shape[2] != 3)
                continue;
            if (!name.Contains("time_conv"))
            {
                weight.narrow(2, 0, 2).zero_();
                continue;
            }
            var (outputs, inputs) = (weight.shape[0], weight.shape[1]);
            weight.zero_();
            for (var copy = 0L; copy < outputs; copy += inputs)
                weight.narrow(0, copy, inputs).select(2, 2).view(inputs, inputs).copy_(eye(inputs));
            weights[name.Replace("weight", "bias")].zero_();
        }
    }

    public override void Dispose()
    {
        batches.Dispose();
        weights.Dispose();
        Made?.Dispose();
    }

    /// <summary>The loss of a reconstruction, both <c>[B, 3, F, H, W]</c> in [-1, 1].</summary>
    internal static Tensor Reconstruction(Tensor output, Tensor target)
    {
        var error = output - target;
        var (height, width) = (error.shape[3], error.shape[4]);
        var down = error.narrow(3, 1, height - 1) - error.narrow(3, 0, height - 1);
        var across = error.narrow(4, 1, width - 1) - error.narrow(4, 0, width - 1);
        return error.abs().mean()
            + (GradientWeight * (down.abs().mean() + across.abs().mean()) / 2)
            + (SquareWeight * error.square().mean());
    }

    /// <summary>Mean and standard deviation of each latent channel over clips of every shape.</summary>
    private (double[] Mean, double[] Deviation) Statistics()
    {
        var values = shapes
            .Select(shape =>
            {
                var video = ClipBatches.Draw(source, shape, StatisticsSeed, Math.Max(1, StatisticsClips / shapes.Length)).Pixels();
                return vae.Encode(video).transpose(0, 1).flatten(1); // [z, everything else]
            })
            .ToArray();
        var all = cat(values, dim: 1).to(ScalarType.Float64);
        var deviation = all.std(1);
        // Principal components differ a hundredfold in size, and in what they mean for the picture. At the root of that, the
        // first of them count for more in the transformer's loss, and the last are the last to come out of the noise.
        if (vae.Config is BlockVaeConfig)
            deviation = (deviation * deviation.mean()).sqrt();
        return ([.. all.mean([1]).data<double>()], [.. deviation.data<double>()]);
    }
}
