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

    /// <summary>How the transformer's answer becomes a velocity; null: it is one.</summary>
    public Preconditioning? Preconditioning { get; init; }

    /// <summary>Learns along what is where in the clips; null: nothing does.</summary>
    public SceneReader? Reader { get; init; }

    /// <summary>A model whose guided passes are what is to be learned; null: learn from the clips themselves.</summary>
    public GuidanceTeacher? Teacher { get; init; }

    /// <summary>Writes the parts to a model folder.</summary>
    public Action<string> Save { get; init; } = _ => { };
}

/// <summary>A model that stays as it is, and the guidance scale at which it is copied.</summary>
internal sealed record GuidanceTeacher(TransformerParts Parts, double Guidance);

/// <summary>
/// Says from the tokens in the middle of a transformer what is where in the clip, as its source describes it. The network
/// then has to settle early what its objects are, which shows little in the error of latents. That a network learns to draw
/// many times faster when its middle has to know what is drawn is from Yu et al. 2024, "Representation alignment for
/// generation"; there a pretrained encoder says it. It is left out of the finished model.
/// </summary>
internal sealed class SceneReader
{
    /// <summary>
    /// Updates in which a new reader of a network that is trained further learns alone: what it misses at first, and that is
    /// everything, would turn the network from what it knows.
    /// </summary>
    private const int UpdatesAlone = 250;

    private readonly Linear inner, outer;

    /// <param name="transformer">Sizes of the transformer.</param>
    /// <param name="weights">The reader's own.</param>
    /// <param name="descriptors">How many numbers a place is described by.</param>
    /// <param name="share">What its error counts beside that of the latents.</param>
    public SceneReader(WanTransformerConfig transformer, Weights weights, int descriptors, double share)
    {
        (Weights, Share, Block) = (weights, share, (transformer.NumLayers - 1) / 2);
        inner = new(weights.Scope("proj_in"), transformer.Dim, transformer.Dim);
        outer = new(weights.Scope("proj_out"), transformer.Dim, descriptors);
    }

    public Weights Weights { get; }

    public double Share { get; }

    /// <summary>The block whose tokens it reads.</summary>
    public int Block { get; }

    /// <summary>Whether the network is one that was trained before.</summary>
    public bool ComesLater { get; init; }

    /// <summary>What it reads in tokens <c>[B, L, dim]</c> in an update: <c>[B, L, descriptors]</c>.</summary>
    public Tensor Read(Tensor tokens, long step) => Read(ComesLater && step < UpdatesAlone ? tokens.detach() : tokens);

    private Tensor Read(Tensor tokens) => outer.Forward(nn.functional.silu(inner.Forward(nn.functional.layer_norm(tokens, [tokens.shape[^1]]))));
}

/// <summary>
/// Training of text encoder and transformer by flow matching (Lipman et al. 2023; Liu et al. 2023): the network sees
/// x = (1 - sigma) x0 + sigma noise and learns noise - x0, with sigma logit-normal (Esser et al. 2024). Known tokens
/// of a random task are given as they are, at timestep 0, and do not count in the loss.
/// </summary>
internal sealed class TransformerTask : TrainingTask
{
    private const double CaptionDropout = 0.1, LaterStart = 0.12;

    // The first principal components of latents are four times as large as the mean channel, and neighbouring tokens say
    // the same: where objects are is settled above sigma 0.85, which a third of the draws are for.
    private const double SigmaMean = 1.2, SigmaDeviation = 1.2;
    private const int ValidationClips = 64, SampleClips = 8, SampleSteps = 12;
    private const double SampleGuidance = 4, SampleShift = 8;

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
            .Concat(parts.Reader?.Weights.Named().Select(p => new KeyValuePair<string, Tensor>($"reader.{p.Key}", p.Value)) ?? [])
            .ToDictionary();
    }

    public override IReadOnlyDictionary<string, Tensor> Parameters { get; }

    public override IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var random = new Rng(parts.Seed, (ulong)step);
        var set = sets[Pick(ref random)];
        var rows = new long[BatchOf(set)];
        for (var i = 0; i < rows.Length; i++) rows[i] = random.Below(set.Seeds.Length);
        var batch = Draw(set, rows, ref random, CaptionDropout);
        if (parts.Reader is not null) batch = batch with { Scenes = new(set.Shape, [.. rows.Select(row => set.Seeds[row])], (int)(set.Latents.shape[2] - batch.Clean.shape[2]), step) };
        count = Math.Min(count, rows.Length);
        return [.. Enumerable.Range(0, count).Select(i => new Func<Tensor>(() => FlowLoss(batch, rows.Length * i / count, rows.Length * (i + 1) / count)))];
    }

    public override (double Loss, string Detail) Validate()
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var random = new Rng(0);
        var rows = Enumerable.Range(0, Math.Min(ValidationClips, validation.Seeds.Length)).Select(i => (long)i).ToArray();
        return (FlowLoss(Draw(validation, rows, ref random, dropout: 0), 0, rows.Length).ToDouble(), "");
    }

    /// <summary>Held-out captions as videos, a row each, and the captions in a text file beside the picture.</summary>
    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var captions = validation.Seeds.Take(SampleClips).Select(seed => source.Caption(seed, validation.Shape, 0)).ToArray();
        var noise = randn([captions.Length, .. validation.Latents.shape[1..]]);
        using var text = parts.Transformer.Embed(Context(parts, captions), parts.TextLength);
        using var none = parts.Transformer.Embed(Context(parts, [.. captions.Select(_ => "")]), parts.TextLength);
        Tensor Answer(TextContext context, Tensor latents, Level level)
        {
            var output = parts.Transformer.Forward(new TransformerInput
            {
                HiddenStates = latents,
                Timestep = full([captions.Length], level.Timestep),
                Context = context,
            });
            return Velocity(output, latents, full([1], (float)level.Sigma));
        }
        var run = new SamplerRun(
            Schedule.Create(new ScheduleOptions { Spacing = Spacing.Flow, Steps = SampleSteps, Shift = SampleShift }),
            Samplers.Euler,
            (latents, level) =>
            {
                var with = Answer(text, latents, level);
                return parts.Teacher is not null ? with : Samplers.Guided(Answer(none, latents, level), with, SampleGuidance);
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
        parts.Reader?.Weights.Dispose();
        foreach (var one in parts.Teacher is { } teacher ? [parts, teacher.Parts] : new[] { parts })
        {
            one.TransformerWeights.Dispose();
            one.TextWeights.Dispose();
        }
    }

    /// <summary>The text context <c>[B, L, D]</c> of captions: real rows from the encoder, zeros behind them.</summary>
    internal static Tensor Context(TransformerParts parts, IReadOnlyList<string> captions)
    {
        var padded = captions.Select(c => parts.Tokenizer.EncodePadded(c, parts.TextLength)).ToArray();
        var ids = tensor(padded.SelectMany(p => p.Ids.Select(i => (long)i)).ToArray(), [captions.Count, parts.TextLength]);
        var mask = tensor(padded.SelectMany(p => p.Mask.Select(m => (long)m)).ToArray(), [captions.Count, parts.TextLength]);
        return parts.Text.Forward(ids, mask) * mask.unsqueeze(-1).to(ScalarType.Float32);
    }

    private static Tensor Spread(Tensor grid, (int Frames, int Rows, int Columns) patch) =>
        grid.repeat_interleave(patch.Frames, 2).repeat_interleave(patch.Rows, 3).repeat_interleave(patch.Columns, 4);

    /// <summary>Clips in a batch: an even number, for two halves of it are worked on side by side.</summary>
    private int BatchOf(LatentSet set) => Math.Max(1, (int)Math.Round(tokensPerStep / (2.0 * Tokens(set))) * 2);

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

    /// <summary>Draws a batch: what is known of each clip, its noise and noise level, and which caption it gets.</summary>
    private FlowBatch Draw(LatentSet set, long[] rows, ref Rng random, double dropout)
    {
        var clean = set.Latents.index_select(0, tensor(rows)).to(ScalarType.Float32);     // [B, C, T, h, w]
        // What a sliding window sees: a crop that begins inside a clip, behind a known prefix.
        var later = clean.shape[2] > 3 && random.Uniform() < LaterStart ? 1 + random.Below((int)clean.shape[2] - 2) : 0;
        if (later > 0) clean = clean.narrow(2, later, clean.shape[2] - later);
        // Known and unknown are a matter of tokens: the grid of patches.
        var patch = parts.Transformer.Config.PatchSize;
        var (batch, frames, height, width) = (rows.Length, (int)clean.shape[2] / patch.Frames, (int)clean.shape[3] / patch.Rows, (int)clean.shape[4] / patch.Columns);
        var (captions, known, sigma) = (new Func<string>[batch], new float[batch * frames * height * width], new float[batch]);
        for (var i = 0; i < batch; i++)
        {
            var (seed, variant) = (set.Seeds[rows[i]], random.NextBits());
            captions[i] = random.Uniform() < dropout ? () => "" : () => source.Caption(seed, set.Shape, variant);
            var task = later > 0 ? KnownTask.Prefix : KnownMasks.DrawTask(ref random, frames);
            KnownMasks.Draw(ref random, task, frames, height, width).CopyTo(known, i * frames * height * width);
            sigma[i] = (float)(1 / (1 + Math.Exp(-(SigmaMean + (SigmaDeviation * random.Normal())))));
        }
        return new FlowBatch(clean, randn_like(clean), 1 - tensor(known, [batch, 1, frames, height, width]), tensor(sigma, [batch, 1, 1, 1, 1]), captions);
    }

    /// <summary>The share in a batch's loss of its clips <paramref name="from"/> to <paramref name="to"/> - 1.</summary>
    private Tensor FlowLoss(FlowBatch batch, int from, int to)
    {
        Tensor Own(Tensor whole) => whole.narrow(0, from, to - from);
        var patch = parts.Transformer.Config.PatchSize;
        var (clean, noise) = (Own(batch.Clean), Own(batch.Noise));
        var tokenLevel = Own(batch.Sigma) * Own(batch.Unknown);                           // sigma of each token, 0 where known
        var unknown = Spread(Own(batch.Unknown), patch);                                  // [B, 1, T, h, w]
        var level = Spread(tokenLevel, patch);
        var noised = clean + (level * (noise - clean));
        var captions = batch.Captions[from..to].Select(c => c()).ToArray();
        var times = new TokenTimes(Own(batch.Sigma), Own(batch.Unknown));
        Tensor? misread = null;
        void Read(int block, Tensor tokens)
        {
            if (batch.Scenes is null || block != parts.Reader!.Block) return;
            using var scope = NewDisposeScope();
            // Each clip counts by its tokens, as in the other part of the loss.
            misread = ((parts.Reader.Read(tokens, batch.Scenes.Step) - Described(batch.Scenes, from, to, clean)).square().sum() * (parts.Reader.Share / (batch.Sigma.shape[0] * tokens.shape[1]))).DetachFromDisposeScope();
        }
        var output = Velocity(Forward(parts, noised, times, captions, Read), noised, level);
        var target = parts.Teacher is { } teacher ? Velocity(Guided(teacher, noised, times, captions), noised, level) : noise - clean;
        var elements = batch.Unknown.sum() * (patch.Frames * patch.Rows * patch.Columns * clean.shape[1]);
        var loss = ((output - target).square() * unknown).sum() / elements;
        using (misread) return misread is null ? loss : loss + misread;
    }

    /// <summary>What is where in clips of a batch, a row for each token: <c>[B, L, descriptors]</c>.</summary>
    private Tensor Described(FlowScenes scenes, int from, int to, Tensor clean)
    {
        var patch = parts.Transformer.Config.PatchSize;
        var (grid, channels) = (new LatentGrid((int)clean.shape[2] + scenes.Later, (int)clean.shape[3], (int)clean.shape[4]), source.Descriptors);
        var (size, all) = (channels * grid.Places, new float[(to - from) * channels * grid.Places]);
        for (var i = from; i < to; i++) source.Describe(scenes.Seeds[i], scenes.Shape, grid, all.AsSpan((i - from) * size, size));
        var places = tensor(all, [to - from, channels, grid.Frames, grid.Rows, grid.Columns]).narrow(2, scenes.Later, clean.shape[2]);
        return nn.functional.avg_pool3d(places, [patch.Frames, patch.Rows, patch.Columns]).flatten(2).transpose(1, 2);
    }

    private Tensor Velocity(Tensor output, Tensor x, Tensor sigma) => parts.Preconditioning?.Velocity(output, x, sigma) ?? output;

    private static Tensor Forward(TransformerParts of, Tensor noised, TokenTimes times, IReadOnlyList<string> captions, Action<int, Tensor>? afterBlock = null) => of.Transformer.Forward(new TransformerInput
    {
        AfterBlock = afterBlock,
        HiddenStates = noised,
        Timestep = times.Timestep,
        TimestepIndex = times.Index,
        Text = Context(of, captions),
        TextLength = of.TextLength,
    });

    /// <summary>
    /// What classifier-free guidance makes of a teacher's two passes (Meng et al. 2023, "On distillation of guided diffusion
    /// models"): the student learns it as one pass. Without a caption there is nothing to guide to.
    /// </summary>
    private Tensor Guided(GuidanceTeacher teacher, Tensor noised, TokenTimes times, IReadOnlyList<string> captions)
    {
        using var noGrad = no_grad();
        var without = Forward(teacher.Parts, noised, times, [.. captions.Select(_ => "")]);
        var with = Forward(teacher.Parts, noised, times, captions);
        return Samplers.Guided(without, with, teacher.Guidance);
    }

    /// <summary>The timesteps of a batch, those of its clips and the 0 of what is known, and which of them each token has.</summary>
    /// <param name="sigma">Of each clip, <c>[B, 1, 1, 1, 1]</c>.</param>
    /// <param name="unknown">Ones and zeros, <c>[B, 1, T', h', w']</c>.</param>
    private sealed class TokenTimes(Tensor sigma, Tensor unknown)
    {
        public Tensor Timestep { get; } = cat([sigma.flatten() * 1000, zeros([1])]);

        public Tensor Index { get; } = where(unknown.flatten(1) > 0.5, arange(sigma.shape[0], int64).unsqueeze(1), tensor(sigma.shape[0]));
    }

    /// <summary>A batch as it was drawn: latents <c>[B, C, T, h, w]</c>, tokens <c>[B, 1, T', h', w']</c>, captions when they are asked for.</summary>
    private sealed record FlowBatch(Tensor Clean, Tensor Noise, Tensor Unknown, Tensor Sigma, Func<string>[] Captions)
    {
        /// <summary>Where what the clips show is known from, if that is to be learned.</summary>
        public FlowScenes? Scenes { get; init; }
    }

    /// <summary>Shape and seeds of a batch's whole clips, how many latent frames of theirs come before it, and the update it is for.</summary>
    private sealed record FlowScenes(ClipShape Shape, ulong[] Seeds, int Later, long Step);
}
