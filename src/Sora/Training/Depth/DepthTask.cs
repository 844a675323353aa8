using System.Globalization;
using Sora.Models.Depth;
using Sora.Models.Wan;
using Sora.Nn;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Training of a <see cref="LatentDepthHead"/> on encoded clips whose depth the source knows. The target is t = 1 / depth, which is
/// linear in the picture on every plane and 0 in the sky. The loss is |e| + e^2 of e = log(p + 0.03) - log(t + 0.03), nearly the
/// relative error up to 30 units away, and of exp(-e) - 1 where e is below 0: what is near and taken for something far costs most,
/// as its relative error does, and edges of what is near are rather too wide than too narrow. To these comes
/// the change of e to the next row, column and frame, so that edges are where they belong and nothing flickers.
/// </summary>
internal sealed class DepthTask : TrainingTask
{
    private const double Far = 0.03,
        MostMissed = 3;

    /// <summary>
    /// Weight of the change of errors in space and in time; that of errors is 1. A blurred edge has as much of it as none, so more
    /// would keep small things from being found.
    /// </summary>
    private const double SpaceWeight = 0.25,
        TimeWeight = 2;

    /// <summary>The share of clips with noisy latents, as a transformer makes no exact ones, and how much noise at most.</summary>
    private const double NoisyShare = 0.5,
        MostNoise = 0.2;
    private const int SampleClips = 4;

    private readonly LatentDepthHead head;
    private readonly ClipSource source;
    private readonly IReadOnlyList<LatentSet> sets;
    private readonly LatentSet validation;
    private readonly LatentMix mix;

    /// <param name="head">What is trained.</param>
    /// <param name="weights">Its weights.</param>
    /// <param name="source">Where the clips come from; it knows their depth.</param>
    /// <param name="sets">Encoded clips; each clip is drawn equally often, whatever its shape.</param>
    /// <param name="validation">Encoded clips that are never trained on.</param>
    /// <param name="tokensPerStep">Latents in a batch, in space and time.</param>
    public DepthTask(
        LatentDepthHead head,
        Weights weights,
        ClipSource source,
        IReadOnlyList<LatentSet> sets,
        LatentSet validation,
        int tokensPerStep
    )
    {
        (this.head, this.source, this.sets, this.validation) = (head, source, sets, validation);
        mix = new LatentMix(sets, set => set.Latents.shape[2] * set.Latents.shape[3] * set.Latents.shape[4], tokensPerStep);
        Parameters = weights.Named().ToDictionary(p => p.Key, p => p.Value);
    }

    /// <summary>Seed of the run.</summary>
    public ulong Seed { get; init; }

    /// <summary>The VAE of the latents, to look at samples.</summary>
    public required CausalVae Vae { get; init; }

    /// <summary>Writes the head to a model folder.</summary>
    public Action<string> Write { get; init; } = _ => { };

    public override IReadOnlyDictionary<string, Tensor> Parameters { get; }

    public override IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var random = new Rng(Seed, (ulong)step);
        var set = mix.Draw(ref random);
        var (rows, noise) = (new long[mix.BatchOf(set)], new float[mix.BatchOf(set)]);
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = random.Below(set.Seeds.Length);
            noise[i] = (float)(MostNoise * Math.Max(0, 1 - (random.Uniform() / NoisyShare)));
        }
        var latents = set.Latents.index_select(0, tensor(rows)).to(ScalarType.Float32); // [B, C, T, h, w]
        latents = latents + (randn_like(latents) * tensor(noise, [rows.Length, 1, 1, 1, 1]));
        count = Math.Min(count, rows.Length);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    var (from, to) = (rows.Length * i / count, rows.Length * (i + 1) / count);
                    return new Func<Tensor>(() =>
                        Loss(head.Forward(latents.narrow(0, from, to - from)), Target(Exact(set, rows.AsSpan(from, to - from)), set.Shape))
                        * ((to - from) / (double)rows.Length)
                    );
                }),
        ];
    }

    public override (double Loss, string Detail) Validate()
    {
        using var scope = NewDisposeScope();
        double loss = 0,
            relative = 0,
            close = 0;
        var clips = validation.Seeds.Length;
        for (var i = 0; i < clips; i++)
        {
            using var inner = NewDisposeScope();
            var exact = Exact(validation, [i]);
            var predicted = head.Forward(validation.Latents.narrow(0, i, 1).to(ScalarType.Float32));
            loss += Loss(predicted, Target(exact, validation.Shape)).ToDouble() / clips;
            var accuracy = DepthAccuracy.Of(predicted.contiguous().data<float>().ToArray(), exact);
            (relative, close) = (relative + accuracy.AbsRel / clips, close + accuracy.Delta1 / clips);
        }
        return (loss, string.Create(CultureInfo.InvariantCulture, $", AbsRel {relative:F4}, delta1 {close:F4}"));
    }

    /// <summary>Three rows for each clip: its frames, their exact inverse depth, and what the head makes of the latents.</summary>
    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        var rows = new List<Tensor>();
        for (var i = 0; i < Math.Min(SampleClips, validation.Seeds.Length); i++)
        {
            var latents = validation.Latents.narrow(0, i, 1).to(ScalarType.Float32);
            Tensor Grey(Tensor depth) => (depth * 2 - 1).unsqueeze(1).expand(-1, 3, -1, -1, -1);
            rows.Add(Vae.Decode(Vae.Denormalise(latents)));
            rows.Add(Grey(Target(Exact(validation, [i]), validation.Shape)));
            rows.Add(Grey(head.Forward(latents)));
        }
        SampleSheet.Write(path, cat(rows));
    }

    public override void Save(string folder) => Write(folder);

    public override void Dispose()
    {
        foreach (var set in sets)
            set.Latents.Dispose();
        validation.Latents.Dispose();
        head.Dispose();
    }

    /// <summary>The loss of inverse depths, both <c>[B, F, H, W]</c>.</summary>
    internal static Tensor Loss(Tensor predicted, Tensor target)
    {
        // A line goes on where the logarithm ends: the network may say a little less than nothing.
        var error = (predicted.relu() + Far).log() - (-predicted).relu() / Far - (target + Far).log();
        var missed = (-error).clamp(0, MostMissed).exp() - 1;
        var loss = error.abs().mean() + error.square().mean() + missed.mean();
        for (var axis = 1; axis < 4; axis++)
        {
            var count = error.shape[axis] - 1;
            if (count == 0)
                continue;
            var change = error.narrow(axis, 1, count) - error.narrow(axis, 0, count);
            loss += change.abs().mean() * (axis == 1 ? TimeWeight : SpaceWeight / 2);
        }
        return loss;
    }

    /// <summary>The exact depths of some clips, one after the other.</summary>
    private float[] Exact(LatentSet set, ReadOnlySpan<long> rows)
    {
        var pixels = set.Shape.Bytes / 3;
        var depth = new float[pixels * rows.Length];
        for (var i = 0; i < rows.Length; i++)
            source.Measure(set.Seeds[rows[i]], set.Shape, depth.AsSpan(i * pixels, pixels));
        return depth;
    }

    /// <summary>The inverse depth of clips, <c>[B, F, H, W]</c>.</summary>
    private static Tensor Target(float[] depth, ClipShape shape) =>
        1 / tensor(depth, [depth.Length * 3 / shape.Bytes, shape.Frames, shape.Height, shape.Width]);
}
