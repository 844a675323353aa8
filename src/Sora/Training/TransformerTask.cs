using Sora.Models;
using Sora.Models.Text;
using Sora.Sampling;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>The parts that are trained together, and how they are put to use.</summary>
internal sealed record TransformerParts(WanTransformer Transformer, Weights TransformerWeights, T5Encoder Text, Weights TextWeights)
{
    /// <summary>The VAE of the latents, to look at samples.</summary>
    public required CausalVae Vae { get; init; }

    /// <summary>Words to ids.</summary>
    public required Tokenizer Tokenizer { get; init; }

    /// <summary>Rows of text that the transformer sees; shorter prompts are padded with zeros.</summary>
    public required int TextLength { get; init; }

    /// <summary>Seed of the run.</summary>
    public ulong Seed { get; init; }

    /// <summary>Writes the parts to a model folder.</summary>
    public Action<string> Save { get; init; } = _ => { };
}

/// <summary>
/// Training of text encoder and transformer by flow matching (Lipman et al. 2023; Liu et al. 2023): the network sees
/// x = (1 - sigma) x0 + sigma noise and learns noise - x0, with sigma logit-normal (Esser et al. 2024). Known tokens
/// of a random task are given as they are, at timestep 0, and do not count in the loss.
/// </summary>
internal sealed class TransformerTask : TrainingTask
{
    private const double CaptionDropout = 0.1, LaterStart = 0.25;
    private const double SigmaMean = 0.4, SigmaDeviation = 1.0;
    private const int ValidationClips = 64, SampleClips = 8, SampleSteps = 12;
    private const double SampleGuidance = 3, SampleShift = 2;

    private readonly TransformerParts parts;
    private readonly ClipSource source;
    private readonly IReadOnlyList<LatentSet> sets;
    private readonly LatentSet validation;
    private readonly double[] shares;
    private readonly int tokensPerStep;

    /// <param name="parts">What is trained.</param>
    /// <param name="source">Where captions come from.</param>
    /// <param name="sets">Encoded clips; each clip is drawn equally often, whatever its shape.</param>
    /// <param name="validation">Encoded clips that are never trained on.</param>
    /// <param name="tokensPerStep">Latent tokens in a batch.</param>
    public TransformerTask(TransformerParts parts, ClipSource source, IReadOnlyList<LatentSet> sets, LatentSet validation, int tokensPerStep)
    {
        (this.parts, this.source, this.sets, this.validation, this.tokensPerStep) = (parts, source, sets, validation, tokensPerStep);
        // Batches of large clips hold fewer of them, so they are drawn more often.
        shares = [.. sets.Select(s => s.Seeds.Length / (double)BatchOf(s))];
        Parameters = parts.TransformerWeights.Named().Select(p => new KeyValuePair<string, Tensor>($"transformer.{p.Key}", p.Value))
            .Concat(parts.TextWeights.Named().Select(p => new KeyValuePair<string, Tensor>($"text_encoder.{p.Key}", p.Value)))
            .ToDictionary();
    }

    public override IReadOnlyDictionary<string, Tensor> Parameters { get; }

    public override Tensor Loss(long step, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var random = new Rng(parts.Seed, (ulong)step);
        var set = sets[Pick(ref random)];
        var count = BatchOf(set);
        var rows = new long[count];
        for (var i = 0; i < count; i++) rows[i] = random.Below(set.Seeds.Length);
        return FlowLoss(set, rows, ref random, dropout: CaptionDropout);
    }

    public override (double Loss, string Detail) Validate()
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var random = new Rng(0);
        var rows = Enumerable.Range(0, Math.Min(ValidationClips, validation.Seeds.Length)).Select(i => (long)i).ToArray();
        return (FlowLoss(validation, rows, ref random, dropout: 0).ToDouble(), "");
    }

    /// <summary>Held-out captions as videos, a row each, and the captions in a text file beside the picture.</summary>
    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var captions = validation.Seeds.Take(SampleClips).Select(seed => source.Caption(seed, validation.Shape, 0)).ToArray();
        var noise = randn([captions.Length, .. validation.Latents.shape[1..]]);
        using var text = parts.Transformer.Embed(Context(captions), parts.TextLength);
        using var none = parts.Transformer.Embed(Context([.. captions.Select(_ => "")]), parts.TextLength);
        var tokens = Tokens(validation);
        Tensor Velocity(TextContext context, Tensor latents, Level level) => parts.Transformer.Forward(new TransformerInput
        {
            HiddenStates = latents,
            Timestep = full([captions.Length, tokens], level.Timestep),
            Context = context,
        });
        var run = new SamplerRun(
            Schedule.Create(new ScheduleOptions { Spacing = Spacing.Flow, Steps = SampleSteps, Shift = SampleShift }),
            Samplers.Euler,
            (latents, level) =>
            {
                var without = Velocity(none, latents, level);
                return without + (SampleGuidance * (Velocity(text, latents, level) - without));
            },
            _ => throw new InvalidOperationException("Euler draws no noise"));
        var end = run.Run(new SamplerState(0, noise), SampleSteps);
        SampleSheet.Write(path, parts.Vae.Decode(parts.Vae.Denormalise(end.Latents)));
        File.WriteAllLines(Path.ChangeExtension(path, ".txt"), captions);
    }

    public override void Save(string folder) => parts.Save(folder);

    public override void Dispose()
    {
        foreach (var set in sets) set.Latents.Dispose();
        validation.Latents.Dispose();
        parts.TransformerWeights.Dispose();
        parts.TextWeights.Dispose();
    }

    /// <summary>The text context <c>[B, L, D]</c> of captions: real rows from the encoder, zeros behind them.</summary>
    internal Tensor Context(IReadOnlyList<string> captions)
    {
        var padded = captions.Select(c => parts.Tokenizer.EncodePadded(c, parts.TextLength)).ToArray();
        var ids = tensor(padded.SelectMany(p => p.Ids.Select(i => (long)i)).ToArray(), [captions.Count, parts.TextLength]);
        var mask = tensor(padded.SelectMany(p => p.Mask.Select(m => (long)m)).ToArray(), [captions.Count, parts.TextLength]);
        return parts.Text.Forward(ids, mask) * mask.unsqueeze(-1).to(ScalarType.Float32);
    }

    private static Tensor Spread(Tensor grid, (int Frames, int Rows, int Columns) patch) =>
        grid.repeat_interleave(patch.Frames, 2).repeat_interleave(patch.Rows, 3).repeat_interleave(patch.Columns, 4);

    private int BatchOf(LatentSet set) => (int)Math.Max(1, tokensPerStep / Tokens(set));

    private long Tokens(LatentSet set)
    {
        var (s, patch) = (set.Latents.shape, parts.Transformer.Config.PatchSize);
        return s[2] * s[3] * s[4] / (patch.Frames * patch.Rows * patch.Columns);
    }

    private int Pick(ref Rng random)
    {
        var at = random.Uniform() * shares.Sum();
        for (var i = 0; i < shares.Length; i++)
        {
            if ((at -= shares[i]) < 0) return i;
        }
        return shares.Length - 1;
    }

    private Tensor FlowLoss(LatentSet set, long[] rows, ref Rng random, double dropout)
    {
        var clean = set.Latents.index_select(0, tensor(rows)).to(ScalarType.Float32);     // [B, C, T, h, w]
        // What a sliding window sees: a crop that begins inside a clip, behind a known prefix.
        var later = clean.shape[2] > 3 && random.Uniform() < LaterStart ? 1 + random.Below((int)clean.shape[2] - 2) : 0;
        if (later > 0) clean = clean.narrow(2, later, clean.shape[2] - later);
        // Known and unknown are a matter of tokens: the grid of patches.
        var patch = parts.Transformer.Config.PatchSize;
        var (batch, frames, height, width) = (rows.Length, (int)clean.shape[2] / patch.Frames, (int)clean.shape[3] / patch.Rows, (int)clean.shape[4] / patch.Columns);
        var (captions, known, sigma) = (new string[batch], new float[batch * frames * height * width], new float[batch]);
        for (var i = 0; i < batch; i++)
        {
            captions[i] = random.Uniform() < dropout ? "" : source.Caption(set.Seeds[rows[i]], set.Shape, random.NextBits());
            var task = later > 0 ? KnownTask.Prefix : KnownMasks.DrawTask(ref random, frames);
            KnownMasks.Draw(ref random, task, frames, height, width).CopyTo(known, i * frames * height * width);
            sigma[i] = (float)(1 / (1 + Math.Exp(-(SigmaMean + (SigmaDeviation * random.Normal())))));
        }
        var unknown = 1 - tensor(known, [batch, 1, frames, height, width]);
        var tokenLevel = tensor(sigma, [batch, 1, 1, 1, 1]) * unknown;                    // sigma of each token, 0 where known
        unknown = Spread(unknown, patch);                                                 // [B, 1, T, h, w]
        var level = Spread(tokenLevel, patch);
        var noise = randn_like(clean);
        var noised = clean + (level * (noise - clean));
        var output = parts.Transformer.Forward(new TransformerInput
        {
            HiddenStates = noised,
            Timestep = (tokenLevel * 1000).flatten(1),
            Text = Context(captions),
            TextLength = parts.TextLength,
        });
        return ((output - (noise - clean)).square() * unknown).sum() / (unknown.sum() * clean.shape[1]);
    }
}
