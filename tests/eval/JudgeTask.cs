using System.Globalization;
using Sora.Training;
using Sora.World;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Eval;

/// <summary>
/// Training of the judge, on rendered clips of every part of the world: it must know what no model has been shown.
/// Frames are blurred or sharpened, tinted, mixed with their neighbours and made noisy, as models make them.
/// </summary>
internal sealed class JudgeTask : TrainingTask
{
    private const int TestClips = 64;
    private const ulong TestSeed = 0x7465_7374;
    private const int Block = 16;
    private static readonly double[] Blurs = [2, 4];

    private readonly Judge judge;
    private readonly string output;
    private readonly Prefetch<JudgeBatch> batches;
    private readonly Lazy<JudgeBatch> test = new(() => JudgeClips.Draw(TestSeed, TestClips, Split.HeldOut, 1));
    private readonly ulong seed;

    public JudgeTask(Judge judge, string output, int clips, TrainingOptions options)
    {
        (this.judge, this.output, seed) = (judge, output, options.Seed);
        var first = TrainingLoop.SavedStep(options);
        batches = new Prefetch<JudgeBatch>(
            first,
            step => JudgeClips.Draw(new Rng(options.Seed, (ulong)step).NextBits(), clips, Split.Any, 1)
        );
    }

    public override IReadOnlyDictionary<string, Tensor> Parameters => judge.Parameters;

    public override IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation)
    {
        var batch = batches.Take(cancellation);
        Tensor frames;
        using (no_grad())
            frames = Degrade(batch.Frames(), new Rng(seed ^ 0x6175_676d, (ulong)step));
        return [() => Loss(judge.Look(frames), batch)];
    }

    public override (double Loss, string Detail) Validate()
    {
        var correct = new double[7];
        double loss = 0;
        var all = test.Value;
        using var scope = NewDisposeScope();
        var opinion = judge.Look(all.Frames());
        loss = Loss(opinion, all).ToDouble();
        var scene = tensor(all.Scene, [all.Count, 4]);
        var slots = tensor(all.Slots, [all.Count, Judge.Colours, 3]);
        double Right(Tensor logits, Tensor labels)
        {
            var counted = labels.ne(JudgeClips.Nothing).to(float32);
            return ((logits.argmax(-1).eq(labels).to(float32) * counted).sum() / counted.sum()).ToDouble();
        }
        var present = slots.select(2, 0).ne(JudgeClips.Nothing);
        var detail = string.Create(
            CultureInfo.InvariantCulture,
            $" (ground {Right(opinion.Ground, scene.select(1, 0)):P1}, sky {Right(opinion.Sky, scene.select(1, 1)):P1}, "
                + $"camera {Right(opinion.Camera, scene.select(1, 2)):P1}, count {Right(opinion.Count, scene.select(1, 3)):P1}, "
                + $"colours {opinion.Present.gt(0).eq(present).to(float32).mean().ToDouble():P2}, "
                + $"shape {Right(opinion.Shape, slots.select(2, 0)):P1}, size {Right(opinion.Size, slots.select(2, 1)):P1}, "
                + $"motion {Right(opinion.Motion, slots.select(2, 2)):P1})"
        );
        return (loss, detail);
    }

    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        var batch = JudgeClips.Draw(TestSeed, 8, Split.HeldOut, 1);
        SampleSheet.Write(path, Degrade(batch.Frames(), new Rng(TestSeed)).transpose(1, 2));
    }

    public override void Save(string folder) => judge.Save(output);

    public override void Dispose()
    {
        batches.Dispose();
        judge.Dispose();
    }

    /// <summary>Every question's mean cross entropy, added up; what moves is the hardest and counts double.</summary>
    private static Tensor Loss(Opinion opinion, JudgeBatch batch)
    {
        var scene = tensor(batch.Scene, [batch.Count, 4]);
        var slots = tensor(batch.Slots, [batch.Count, Judge.Colours, 3]);
        var shown = tensor(batch.Shown, [batch.Count, Judge.Moments.Count, Judge.Colours]);
        Tensor Ask(Tensor logits, Tensor labels) => functional.cross_entropy(logits.flatten(0, -2), labels.flatten());
        var cover = tensor(batch.Cover, opinion.Cover.shape);
        return Ask(opinion.Ground, scene.select(1, 0))
            + Ask(opinion.Sky, scene.select(1, 1))
            + (2 * Ask(opinion.Camera, scene.select(1, 2)))
            + Ask(opinion.Count, scene.select(1, 3))
            + (5 * functional.binary_cross_entropy_with_logits(opinion.Present, slots.select(2, 0).ne(JudgeClips.Nothing).to(float32)))
            + Ask(opinion.Shape, slots.select(2, 0))
            + Ask(opinion.Size, slots.select(2, 1))
            + (2 * Ask(opinion.Motion, slots.select(2, 2)))
            + (5 * functional.binary_cross_entropy_with_logits(opinion.Seen, shown.ne(JudgeClips.Nothing).to(float32)))
            + (2 * Ask(opinion.FrameShape, shown))
            - (5 * (cover * opinion.Cover.log_softmax(1)).sum(1).mean());
    }

    /// <summary>Frames [B, T, 3, H, W] as a model might have made them; each clip is spoiled in its own way.</summary>
    private static Tensor Degrade(Tensor frames, Rng rng)
    {
        var (batch, times) = ((int)frames.shape[0], frames.shape[1]);
        Tensor Each(Func<double> draw, int channels = 1) =>
            tensor(Enumerable.Range(0, batch * channels).Select(_ => (float)draw()).ToArray(), [batch, 1, channels, 1, 1]);

        var flat = frames.flatten(0, 1);
        var small = functional.avg_pool2d(flat, (long)rng.Pick(Blurs));
        var blurred = functional.interpolate(small, [Judge.Side, Judge.Side], mode: InterpolationMode.Bilinear).view(frames.shape);
        // Sharpness differs from clip to clip and, in some, from block to block, as where blocks are coded each for itself.
        var sharpness = Each(() => rng.Chance(0.3) ? 1 : rng.Uniform(0.1, 1.3));
        var uneven =
            Each(() => rng.Chance(0.5) ? 0 : rng.Uniform(0, 0.6)) * rand([batch, times, 1, Judge.Side / Block, Judge.Side / Block]);
        sharpness *= (1 - uneven).repeat_interleave(Block, 3).repeat_interleave(Block, 4);
        var x = blurred + ((frames - blurred) * sharpness);
        var before = cat([x.narrow(1, 0, 1), x.narrow(1, 0, times - 1)], 1);
        x = x.lerp(before, Each(() => rng.Chance(0.6) ? 0 : rng.Uniform(0, 0.3)).expand_as(x));
        x = (x * Each(() => rng.Uniform(0.9, 1.1))) + Each(() => rng.Uniform(-0.06, 0.06), 3);
        var spots = functional.interpolate(randn(batch * times, 3, 32, 32), [Judge.Side, Judge.Side], mode: InterpolationMode.Bilinear);
        return x
            + (randn_like(x) * Each(() => rng.Chance(0.4) ? 0 : rng.Uniform(0, 0.06)))
            + (spots.view(x.shape) * Each(() => rng.Chance(0.5) ? 0 : rng.Uniform(0, 0.1)));
    }
}
