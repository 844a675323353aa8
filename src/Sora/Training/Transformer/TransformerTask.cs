using System.Globalization;
using Sora.Diffusion;
using Sora.Models.Mini;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
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

    /// <summary>Learns alongside what is where in the clips; null: nothing does.</summary>
    public SceneReader? Reader { get; init; }

    /// <summary>The guidance scale at which the network answers in one pass, or learns to; null: it isn't guided.</summary>
    public double? Guidance { get; init; }

    /// <summary>The fixed parts whose guided passes are to be learned; null: learn from the clips themselves.</summary>
    public TransformerParts? Teacher { get; init; }

    /// <summary>Writes the parts to a model folder.</summary>
    public Action<string> Save { get; init; } = _ => { };
}

/// <summary>
/// Training of text encoder and transformer by flow matching (Lipman et al. 2023; Liu et al. 2023): the network sees
/// x = (1 - sigma) x0 + sigma noise and learns noise - x0, with sigma logit-normal (Esser et al. 2024). Known tokens
/// of a random task are given as they are, at timestep 0, and do not count in the loss. A network with scene channels makes
/// what the source says of its clips along with them, from noise of the same level, with nothing of it known: joint diffusion of
/// a picture and what it means (Kouzelis et al. 2025, "Boosting generative image modeling via joint image-feature synthesis"),
/// in which the meaning is settled first because its numbers are the larger ones.
/// </summary>
internal sealed class TransformerTask : TrainingTask
{
    private const ulong CaptionStream = 0x63_61_70_74;
    private const double CaptionDropout = 0.1,
        LaterStart = 0.12;

    /// <summary>
    /// Weight of the error of a scene's channel of unit variance; that of a channel of latents is 1. The others count as if they
    /// had it, for they are large so as to be settled first, not to be right first; small ones nearly so.
    /// </summary>
    private const double SceneWeight = 0.8,
        SmallVariance = 1.0 / 3;

    /// <summary>
    /// Extra weight of the error of latents where there are things: they are a tenth of a clip and most of what its caption
    /// mentions, and much of the rest, the grain of the ground, can't be predicted.
    /// </summary>
    private const double ThingWeight = 4;

    /// <summary>Share of the clips whose scene is pure noise, whatever the latents' noise: that is how editing a clip begins.</summary>
    private const double SceneCovered = 0.1;

    // Which object is where is settled at a hundred times as much noise as signal, colours at ten times, as the first principal
    // components of latents are four times as large as the mean channel, and edges at as much of both.
    private const double SigmaMean = 1.7,
        SigmaDeviation = 1.7;

    /// <summary>Captions per batch whose contents the text encoder has to predict, and the weight of its error.</summary>
    private const int CaptionsRead = 32;
    private const double CaptionShare = 1;

    /// <summary>The caption of a pass without one.</summary>
    private static readonly string[] NoCaption = [""];

    private const int ValidationClips = 64,
        SampleClips = 8,
        SampleSteps = 12;

    private readonly TransformerParts parts;
    private readonly ClipSource source;
    private readonly IReadOnlyList<LatentSet> sets;
    private readonly LatentSet validation;
    private readonly LatentMix mix;

    /// <summary>Weight of the error of each of a scene's channels, <c>[1, channels, 1, 1, 1]</c>; null: there is none.</summary>
    private readonly Tensor? sceneWeights;

    /// <param name="parts">What is trained.</param>
    /// <param name="source">Where captions come from.</param>
    /// <param name="sets">Encoded clips; each clip is drawn equally often, whatever its shape.</param>
    /// <param name="validation">Encoded clips that are never trained on.</param>
    /// <param name="tokensPerStep">Latent tokens in a batch.</param>
    public TransformerTask(
        TransformerParts parts,
        ClipSource source,
        IReadOnlyList<LatentSet> sets,
        LatentSet validation,
        int tokensPerStep
    )
    {
        (this.parts, this.source, this.sets, this.validation) = (parts, source, sets, validation);
        mix = new LatentMix(sets, Tokens, tokensPerStep);
        if (SceneChannels > 0)
        {
            var variances = parts.Preconditioning is { } known
                ? known.Later.TakeLast(SceneChannels)
                : Enumerable.Repeat(1.0, SceneChannels);
            sceneWeights = tensor(
                    variances.Select(v => (float)(SceneWeight / Math.Max(SmallVariance, v))).ToArray(),
                    [1, SceneChannels, 1, 1, 1]
                )
                .DetachFromDisposeScope();
        }
        Parameters = parts
            .TransformerWeights.Named()
            .Select(p => new KeyValuePair<string, Tensor>($"transformer.{p.Key}", p.Value))
            .Concat(parts.TextWeights.Named().Select(p => new KeyValuePair<string, Tensor>($"text_encoder.{p.Key}", p.Value)))
            .Concat(parts.Reader?.Weights.Named().Select(p => new KeyValuePair<string, Tensor>($"reader.{p.Key}", p.Value)) ?? [])
            .ToDictionary();
    }

    public override IReadOnlyDictionary<string, Tensor> Parameters { get; }

    public override IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var random = new Rng(parts.Seed, (ulong)step);
        var set = mix.Draw(ref random);
        var rows = new long[mix.BatchOf(set)];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = set.Pick(source, ref random);
        var batch = Draw(set, rows, ref random, CaptionDropout);
        count = Math.Min(count, rows.Length);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => new Func<Tensor>(() =>
                    FlowLoss(batch with { Step = step }, rows.Length * i / count, rows.Length * (i + 1) / count).Sum()
                )),
        ];
    }

    public override (double Loss, string Detail) Validate()
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var random = new Rng(0);
        var rows = Enumerable.Range(0, Math.Min(ValidationClips, validation.Seeds.Length)).Select(i => (long)i).ToArray();
        var error = FlowLoss(Draw(validation, rows, ref random, dropout: 0), 0, rows.Length);
        return (
            error.Video.ToDouble(),
            error.Scene is { } scene ? string.Create(CultureInfo.InvariantCulture, $" and {scene.ToDouble():F4} of scenes") : ""
        );
    }

    /// <summary>Held-out captions as videos, a row each, and the captions in a text file beside the picture.</summary>
    public override void Sample(string path)
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var captions = validation.Seeds.Take(SampleClips).Select(seed => source.Caption(seed, validation.Shape, 0)).ToArray();
        var video = validation.Latents.shape[1];
        var noise = randn([captions.Length, video + SceneChannels, .. validation.Latents.shape[2..]]);
        using var text = parts.Transformer.Embed(Context(parts, captions), parts.TextLength);
        using var none = parts.Transformer.Embed(Context(parts, [.. captions.Select(_ => "")]), parts.TextLength);
        Tensor Answer(TextContext context, Tensor latents, NoiseLevel level)
        {
            var output = parts.Transformer.Forward(
                new TransformerInput
                {
                    HiddenStates = SceneChannels == 0 ? latents : TransformerInput.OfScene(latents, full([1, 1, 1, 1, 1], level.Sigma)),
                    Timestep = full([captions.Length], level.Timestep),
                    Context = context,
                }
            );
            return Velocity(output, latents, full([1], (float)level.Sigma));
        }
        var run = new SamplerRun(
            Schedule.Create(
                new ScheduleOptions
                {
                    Spacing = Spacing.Flow,
                    Steps = SampleSteps,
                    Shift = MiniPreset.FlowShift,
                }
            ),
            Samplers.Euler,
            (latents, level) =>
            {
                var with = Answer(text, latents, level);
                return parts.Guidance is not null
                    ? with
                    : Samplers.Guided(Answer(none, latents, level), with, MiniPreset.Guidance, SceneChannels);
            },
            _ => throw new InvalidOperationException("Euler draws no noise")
        );
        var end = run.Run(new SamplerState(0, noise), SampleSteps);
        SampleSheet.Write(path, parts.Vae.Decode(parts.Vae.Denormalise(end.Latents.narrow(1, 0, video))));
        File.WriteAllLines(Path.ChangeExtension(path, ".txt"), captions);
    }

    public override void Save(string folder) => parts.Save(folder);

    public override void Dispose()
    {
        foreach (var set in sets)
            set.Latents.Dispose();
        validation.Latents.Dispose();
        sceneWeights?.Dispose();
        parts.Reader?.Weights.Dispose();
        foreach (var one in parts.Teacher is { } teacher ? [parts, teacher] : new[] { parts })
        {
            one.TransformerWeights.Dispose();
            one.TextWeights.Dispose();
        }
    }

    private static Tensor Context(TransformerParts of, IReadOnlyList<string> captions) =>
        of.Text.Encode(of.Tokenizer, captions, of.TextLength);

    private int SceneChannels => parts.Transformer.Config.SceneChannels;

    private static Tensor Spread(Tensor grid, (int Frames, int Rows, int Columns) patch) =>
        grid.repeat_interleave(patch.Frames, 2).repeat_interleave(patch.Rows, 3).repeat_interleave(patch.Columns, 4);

    private long Tokens(LatentSet set)
    {
        var (s, patch) = (set.Latents.shape, parts.Transformer.Config.PatchSize);
        return s[2] * s[3] * s[4] / (patch.Frames * patch.Rows * patch.Columns);
    }

    /// <summary>Draws a batch: what is known of each clip, its noise and noise level, and which caption it gets.</summary>
    private FlowBatch Draw(LatentSet set, long[] rows, ref Rng random, double dropout)
    {
        var clean = set.Latents.index_select(0, tensor(rows)).to(ScalarType.Float32); // [B, C, T, h, w]
        // What a sliding window sees: a crop that begins inside a clip, after a known prefix.
        var later = clean.shape[2] > 3 && random.Uniform() < LaterStart ? 1 + random.Below((int)clean.shape[2] - 2) : 0;
        if (later > 0)
            clean = clean.narrow(2, later, clean.shape[2] - later);
        // Known and unknown are a matter of tokens: the grid of patches.
        var patch = parts.Transformer.Config.PatchSize;
        var (batch, frames, height, width) = (
            rows.Length,
            (int)clean.shape[2] / patch.Frames,
            (int)clean.shape[3] / patch.Rows,
            (int)clean.shape[4] / patch.Columns
        );
        var (captions, known, sigma, sceneSigma) = (
            new Func<string>[batch],
            new float[batch * frames * height * width],
            new float[batch],
            new float[batch]
        );
        for (var i = 0; i < batch; i++)
        {
            var (seed, variant) = (set.Seeds[rows[i]], random.NextBits());
            captions[i] = random.Uniform() < dropout ? () => "" : () => source.Caption(seed, set.Shape, variant);
            var task = later > 0 ? KnownTask.Prefix : KnownMasks.DrawTask(ref random, frames);
            KnownMasks.Draw(ref random, task, frames, height, width).CopyTo(known, i * frames * height * width);
            sigma[i] = (float)(1 / (1 + Math.Exp(-(SigmaMean + (SigmaDeviation * random.Normal())))));
            sceneSigma[i] = SceneChannels > 0 && (source.Descriptors == 0 || random.Uniform() < SceneCovered) ? 1 : sigma[i];
        }
        var shape = clean.shape;
        return new FlowBatch(
            clean,
            randn([batch, shape[1] + SceneChannels, .. shape[2..]]),
            1 - tensor(known, [batch, 1, frames, height, width]),
            captions
        )
        {
            Sigma = tensor(sigma, [batch, 1, 1, 1, 1]),
            SceneSigma = tensor(sceneSigma, [batch, 1, 1, 1, 1]),
            Scenes = source.Descriptors > 0 ? new(set.Shape, [.. rows.Select(row => set.Seeds[row])], later) : null,
        };
    }

    /// <summary>The share in a batch's loss of its clips <paramref name="from"/> to <paramref name="to"/> - 1.</summary>
    private FlowError FlowLoss(FlowBatch batch, int from, int to)
    {
        var (patch, video, clips) = (parts.Transformer.Config.PatchSize, batch.Clean.shape[1], batch.Captions.Length);
        var reader = batch.Step is null ? null : parts.Reader;
        var described =
            batch.Scenes is { } scenes && (batch.Step is not null || SceneChannels > 0) ? Described(scenes, from, to, batch.Clean) : null;
        Tensor Own(Tensor whole) => whole.narrow(0, from, to - from);
        var unknown = Spread(Own(batch.Unknown), patch);
        var noised = NoisedClips.Of(
            Own(batch.Clean),
            SceneChannels > 0 ? described : null,
            Own(batch.Noise),
            Own(batch.Sigma) * unknown,
            Own(batch.SceneSigma)
        );
        var captions = batch.Captions[from..to].Select(c => c()).ToArray();
        var times = new TokenTimes(Own(batch.Sigma), Own(batch.Unknown));
        Tensor? misread = null;
        void Read(int block, Tensor tokens)
        {
            if (described is not null && block == reader?.Block)
                misread = Misread(reader, tokens, described, clips, batch.Step!.Value).DetachFromDisposeScope();
        }
        var (output, target, gain) = (Predict(parts, noised, times, captions, Read), noised.Velocity, 1.0);
        if (parts.Guidance is { } scale)
        {
            if (parts.Teacher is { } teacher)
            {
                target = Guided(teacher, noised, times, captions, scale);
            }
            else
            {
                output = Unguided(output, noised, times, scale);
                // The answer enters this error divided by the scale: multiplied by it, the error moves the network as an
                // unguided one does.
                if (batch.Step is not null)
                    gain = scale;
            }
        }
        var missed = (output - target).square();
        if (reader is { ReadsText: true } && batch.Scenes is not null)
        {
            var text = MisreadText(reader, batch.Scenes.Shape, batch.Step!.Value, CaptionsRead * from / clips, CaptionsRead * to / clips);
            misread = misread is null ? text : misread + text;
        }
        var elements = patch.Frames * patch.Rows * patch.Columns * video;
        var counts = batch.Step is null || described is null ? unknown : unknown * (1 + (ThingWeight * source.Presence(described)));
        var error = new FlowError(
            (missed.narrow(1, 0, video) * counts).sum() * (SceneChannels == 0 ? gain : Math.Sqrt(gain)) / (batch.Unknown.sum() * elements),
            null,
            misread
        );
        return SceneChannels == 0 || described is null
            ? error
            : error with
            {
                Scene = (missed.narrow(1, video, SceneChannels) * sceneWeights!).sum() * gain / (batch.Unknown.numel() * elements),
            };
    }

    /// <summary>
    /// The error of predicting from tokens <c>[B, L, dim]</c> what is where; each clip of a batch counts by its tokens, as in
    /// the other part of the loss.
    /// </summary>
    private Tensor Misread(SceneReader reader, Tensor tokens, Tensor described, int clips, long step)
    {
        using var scope = NewDisposeScope();
        var patch = parts.Transformer.Config.PatchSize;
        var rows = nn.functional.avg_pool3d(described, [patch.Frames, patch.Rows, patch.Columns]).flatten(2).transpose(1, 2);
        var missed = (reader.Read(tokens, step) - rows).square();
        if (sceneWeights is not null)
            missed *= sceneWeights.view(-1);
        return (missed.sum() * (reader.Share / (clips * tokens.shape[1]))).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The error of predicting from a caption's marks what it mentions, the part of captions <paramref name="from"/> to
    /// <paramref name="to"/> - 1. They aren't the batch's: more of them cost next to nothing.
    /// </summary>
    private Tensor MisreadText(SceneReader reader, ClipShape shape, long step, int from, int to)
    {
        var (count, things, numbers) = (to - from, source.Marks.Count, source.ThingDescriptors);
        var (captions, wanted) = (new string[count], new float[count * things * numbers]);
        for (var i = 0; i < count; i++)
        {
            var random = new Rng(parts.Seed ^ CaptionStream, ((ulong)step * CaptionsRead) + (ulong)(from + i));
            var seed = random.NextBits();
            captions[i] = source.Caption(seed, shape, random.NextBits());
            source.DescribeThings(seed, shape, wanted.AsSpan(i * things * numbers, things * numbers));
        }
        var read = reader.ReadText(Context(parts, captions).narrow(1, 0, things));
        return (read - tensor(wanted, [count, things, numbers])).square().sum() * (CaptionShare / (CaptionsRead * things));
    }

    /// <summary>What is where in clips of a batch, <c>[B, descriptors, T, h, w]</c>.</summary>
    private Tensor Described(FlowScenes scenes, int from, int to, Tensor clean)
    {
        var grid = new LatentGrid((int)clean.shape[2] + scenes.Later, (int)clean.shape[3], (int)clean.shape[4]);
        return source.DescribeAll(scenes.Seeds.AsSpan(from, to - from), scenes.Shape, grid).narrow(2, scenes.Later, clean.shape[2]);
    }

    private Tensor Velocity(Tensor output, Tensor x, Tensor sigma) => parts.Preconditioning?.Velocity(output, x, sigma) ?? output;

    /// <summary>The velocity that a network predicts for clips with noise, by a caption for each or one for all.</summary>
    private Tensor Predict(
        TransformerParts of,
        NoisedClips noised,
        TokenTimes times,
        IReadOnlyList<string> captions,
        Action<int, Tensor>? afterBlock = null
    )
    {
        var output = of.Transformer.Forward(
            new TransformerInput
            {
                AfterBlock = afterBlock,
                HiddenStates = noised.Hidden,
                Timestep = times.Timestep,
                TimestepIndex = times.Index,
                Text = Context(of, captions),
                TextLength = of.TextLength,
            }
        );
        return Velocity(output, noised.State, noised.Level);
    }

    /// <summary>
    /// What classifier-free guidance makes of a teacher's two passes (Meng et al. 2023, "On distillation of guided diffusion
    /// models"): the student learns it as one pass. Without a caption there is nothing to guide to.
    /// </summary>
    private Tensor Guided(TransformerParts teacher, NoisedClips noised, TokenTimes times, IReadOnlyList<string> captions, double scale)
    {
        using var noGrad = no_grad();
        return Samplers.Guided(Predict(teacher, noised, times, NoCaption), Predict(teacher, noised, times, captions), scale, SceneChannels);
    }

    /// <summary>
    /// What a network that answers guided would say unguided: its answer, moved back towards what it says without a caption (Chen et
    /// al. 2025, "Visual generation without guidance"). Its error on the clips is that of the answer at the guidance scale, so one
    /// that has learned guidance keeps learning from clips, without a teacher. Without a caption both are the same.
    /// </summary>
    private Tensor Unguided(Tensor guided, NoisedClips noised, TokenTimes times, double scale)
    {
        Tensor without;
        using (no_grad())
            without = Predict(parts, noised, times, NoCaption);
        return Samplers.Guided(without, guided, 1 / scale, SceneChannels);
    }

    /// <summary>The timesteps of a batch, those of its clips and the 0 of what is known, and which of them each token has.</summary>
    /// <param name="sigma">Of each clip, <c>[B, 1, 1, 1, 1]</c>.</param>
    /// <param name="unknown">Ones and zeros, <c>[B, 1, T', h', w']</c>.</param>
    private sealed class TokenTimes(Tensor sigma, Tensor unknown)
    {
        public Tensor Timestep { get; } = cat([sigma.flatten() * 1000, zeros([1])]);

        public Tensor Index { get; } = where(unknown.flatten(1) > 0.5, arange(sigma.shape[0], int64).unsqueeze(1), tensor(sigma.shape[0]));
    }

    /// <summary>
    /// A batch as it was drawn: latents <c>[B, C, T, h, w]</c>, tokens <c>[B, 1, T', h', w']</c>, and captions, made on demand.
    /// </summary>
    private sealed record FlowBatch(Tensor Clean, Tensor Noise, Tensor Unknown, Func<string>[] Captions)
    {
        /// <summary>Noise level of each clip's latents, <c>[B, 1, 1, 1, 1]</c>.</summary>
        public required Tensor Sigma { get; init; }

        /// <summary>Noise level of what each clip shows, <c>[B, 1, 1, 1, 1]</c>.</summary>
        public required Tensor SceneSigma { get; init; }

        /// <summary>Where to look up what the clips show; null: unknown.</summary>
        public FlowScenes? Scenes { get; init; }

        /// <summary>The update that it is for; null: none, and all that is unknown counts alike.</summary>
        public long? Step { get; init; }
    }

    /// <summary>Shape and seeds of a batch's whole clips, and how many latent frames of theirs come before it.</summary>
    private sealed record FlowScenes(ClipShape Shape, ulong[] Seeds, int Later);

    /// <summary>Squared errors of a batch: of its latents, of its scene, and of what the reader makes of the scene.</summary>
    private sealed record FlowError(Tensor Video, Tensor? Scene, Tensor? Misread)
    {
        /// <summary>What to minimise; the parts are disposed.</summary>
        public Tensor Sum()
        {
            using var misread = Misread;
            var sum = Scene is null ? Video : Video + Scene;
            return misread is null ? sum : sum + misread;
        }
    }
}
