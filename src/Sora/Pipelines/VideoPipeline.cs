using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Text;
using Sora.Nn;
using Sora.Pipelines.Blending;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// From text, and what is known, to a clip in one piece: the text encoder, the encoders that the known part needs, and
/// the transformer are loaded, used and freed in turn. What several runs share is computed once.
/// </summary>
public sealed class VideoPipeline : IDisposable
{
    private readonly VideoModel model;
    private readonly Precision precision;
    private readonly CancellationToken cancel;
    private readonly DenoisingModel denoising;
    private readonly Dictionary<(string Prompt, string? Negative, int Length), PromptEmbeds> prompts = [];
    private readonly Lazy<string> fingerprint;

    /// <summary>A VAE that decodes groups is small enough to stay for all windows of a video.</summary>
    private readonly Lazy<FrameCodec> codec;

    /// <summary>Opens nothing yet.</summary>
    public VideoPipeline(VideoModel model, Precision precision, Reporter reporter, CancellationToken cancel)
    {
        (this.model, this.precision, Reporter, this.cancel) = (model, precision, reporter, cancel);
        denoising = new DenoisingModel(model, precision, cancel);
        fingerprint = new Lazy<string>(model.VaeFingerprint);
        codec = new Lazy<FrameCodec>(() => FrameCodec.Open(model, precision.Device));
        Defaults = ModelDefaults.Of(model);
    }

    /// <summary>What runs of this model start from.</summary>
    public ModelDefaults Defaults { get; }

    /// <summary>The model.</summary>
    public VideoModel Model => model;

    /// <summary>Where the model computes.</summary>
    internal Device Device => precision.Device;

    /// <summary>Told how far a run is.</summary>
    internal Reporter Reporter { get; }

    /// <summary>Samples a clip in one piece, or resumes where a run of it stopped.</summary>
    /// <param name="request">The run; its video isn't longer than a window.</param>
    /// <param name="stopped">Where it stopped; null at its start.</param>
    /// <returns>A finished clip, or an unfinished one where the options stop it.</returns>
    public Clip Run(GenerationRequest request, SamplingCheckpoint? stopped = null)
    {
        using var scope = NewDisposeScope();
        var (settings, options) = (request.Settings, request.Run);
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var clip = options.Carrier ?? NewClip(settings);
        Clip Unfinished(SamplingCheckpoint now) => now.ToClip(clip, model, schedule);

        // 1. The prompt, 2. what is known, 3. noise.
        var prompt = Prompt(settings);
        var start = stopped ?? Begin(settings, Known(request), request.Noise is null ? null : GivenNoise(request));

        // 4. The loop.
        var end = Advance(start, prompt, options, options.Checkpoint is { } keep ? now => keep(Unfinished(now)) : null);
        if (end.State.Call < schedule.Calls)
            return Unfinished(end);

        // 5. What is known as it was, 6. the clip.
        var latents = RestoreKnown(start.Conditioning, end.State.Latents);
        return clip with { Latents = ToLatents(latents, start.Conditioning) };
    }

    /// <summary>Normalised latents as clips hold them.</summary>
    public HostTensor ToRaw(Tensor normalised)
    {
        using var scope = NewDisposeScope();
        return TensorIO.ToHost(model.Denormalise(normalised).cpu());
    }

    /// <summary>A clip's latents as the sampler takes them.</summary>
    /// <exception cref="SoraException">They are from another VAE.</exception>
    public Tensor Normalised(Clip clip)
    {
        using var scope = NewDisposeScope();
        RequireVae(clip);
        var latents = TensorIO.ToTensor(clip.FinishedLatents).to(float32).to(precision.Device);
        if (!Weights.IsFinite(latents))
            throw SoraException.Failed($"{clip.Origin}: its latents contain NaN or infinity");
        return (clip.Info.Space == LatentSpace.Raw ? model.Normalise(latents) : latents).MoveToOuterDisposeScope();
    }

    /// <summary>A clip's latents as clips hold them, float32.</summary>
    public Tensor Raw(Clip clip)
    {
        using var scope = NewDisposeScope();
        var latents = TensorIO.ToTensor(clip.FinishedLatents).to(float32);
        return (clip.Info.Space == LatentSpace.Raw ? latents : model.Denormalise(latents)).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the transformer, and the VAE that joins were checked with.</summary>
    public void Dispose()
    {
        denoising.Dispose();
        if (codec.IsValueCreated)
            codec.Value.Dispose();
        foreach (var prompt in prompts.Values)
        {
            prompt.Prompt.Dispose();
            prompt.Negative?.Dispose();
        }
    }

    /// <summary>Checks that a clip's latents are from this model's VAE, if the clip says.</summary>
    /// <exception cref="SoraException">They aren't.</exception>
    internal void RequireVae(Clip clip)
    {
        if (clip.Info.Vae is { } vae && vae != fingerprint.Value)
            throw SoraException.Failed(
                $"{clip.Origin}: made with another model ({clip.Info.Model ?? "unnamed"})",
                "pass that one with --model"
            );
    }

    /// <summary>A clip without latents that says what the settings do.</summary>
    internal Clip NewClip(SamplingSettings settings) =>
        new()
        {
            Info = new ClipInfo
            {
                Model = model.Reference,
                Vae = fingerprint.Value,
                Width = settings.Width,
                Height = settings.Height,
                Frames = settings.Frames,
                FrameGrid = model.Geometry.FrameGrid,
                Fps = settings.Fps,
                Seed = settings.Seed,
                Prompt = settings.Prompt,
            },
        };

    /// <summary>The prompts of a run, encoded once for all runs that have them.</summary>
    internal PromptEmbeds Prompt(SamplingSettings settings)
    {
        var negative = settings.Guidance > 1 ? settings.Negative : null;
        var key = (settings.Prompt, negative, settings.TextLength);
        if (prompts.TryGetValue(key, out var known))
            return known;
        var rows = model.EncodePrompt(settings, precision, Reporter);
        rows.Prompt.DetachFromDisposeScope();
        rows.Negative?.DetachFromDisposeScope();
        return prompts[key] = rows;
    }

    /// <summary>What is known, with the latents of a clip that is remade.</summary>
    internal Conditioning Known(GenerationRequest request)
    {
        if (request.Edited is not { } edited)
            return request.Conditioning;
        var known = request.Conditioning with { Known = Normalised(edited.Clip) };
        if (edited.Region is not { } region)
            return known;
        return known with
        {
            Mask = region().Known(request.Settings, model.Geometry, model.TokenSize).to(precision.Device),
            Exact = Raw(edited.Clip),
        };
    }

    /// <summary>What is known, in the form that the network takes.</summary>
    internal EncodedConditioning Encode(SamplingSettings settings, Conditioning conditioning, Tensor noise) =>
        model.Encode(conditioning, settings, noise, precision);

    /// <summary>The noise that a request supplies.</summary>
    /// <exception cref="SoraException">It has another shape than the latents, or isn't finite.</exception>
    internal Tensor GivenNoise(GenerationRequest request)
    {
        var (noise, shape) = (request.Noise!, ShapeOf(request.Settings, request.Conditioning));
        if (!noise.Shape.AsSpan().SequenceEqual(shape))
        {
            throw SoraException.Failed(
                $"the given noise is {Shapes.Text(noise.Shape)}; this video's latents are {Shapes.Text(shape)}",
                "noise must be [1, channels, latent frames, rows, columns], as for the latents of the video"
            );
        }
        var start = TensorIO.ToTensor(noise).to(float32);
        return Weights.IsFinite(start)
            ? start.to(precision.Device)
            : throw SoraException.Failed("the given noise contains NaN or infinity");
    }

    /// <summary>A run before its first model call.</summary>
    /// <param name="settings">All that it depends on.</param>
    /// <param name="conditioning">What is known.</param>
    /// <param name="noise">Noise to start from; null: from the seed.</param>
    internal SamplingCheckpoint Begin(SamplingSettings settings, Conditioning conditioning, Tensor? noise)
    {
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var start = noise ?? SeededNoise(settings, 0, ShapeOf(settings, conditioning));
        var encoded = Encode(settings, conditioning, start);
        var first = 0;
        if (conditioning.Known is { } known && settings.Strength < 1)
        {
            first = schedule.FirstCall(settings.Strength, settings.ChooseSampler(Defaults.Scheduler).CallsPerStep);
            start = first < schedule.Calls ? Samplers.Noised(known, start, schedule.Sigmas[first]) : known;
        }
        return new SamplingCheckpoint(settings, encoded, new SamplerState(first, start));
    }

    /// <summary>Advances a run as far as the options say.</summary>
    internal SamplingCheckpoint Advance(SamplingCheckpoint at, PromptEmbeds prompt, RunOptions options, Action<SamplingCheckpoint>? after)
    {
        var (settings, encoded, _) = at;
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var sampler = settings.ChooseSampler(Defaults.Scheduler);
        var last = LastCall(settings, schedule, sampler, options);
        denoising.RequireFinite(settings, schedule.Timesteps.Take(last).Skip(at.State.Call));
        var state = WithAuxiliary(at, prompt, schedule);
        var noiseShape = state.Latents.shape;
        using var cache = settings.Cache is { } threshold ? new StepCache(threshold, schedule.Calls, at.Cache) : null;
        SamplingCheckpoint Now(SamplerState now) =>
            at with
            {
                State = now,
                Cache = cache?.State,
                Estimate = now.Estimate is { } estimate ? encoded.Finish(estimate) : null,
            };
        var run = new SamplerRun(
            schedule,
            sampler.Step,
            denoising.Denoiser(settings, encoded, prompt, cache),
            call => SeededNoise(settings, (uint)call + 1, noiseShape)
        );
        var (done, all) = at.Place is { } place
            ? (place.Behind * schedule.Calls, place.All * schedule.Calls)
            : (-state.Call, schedule.Calls - state.Call);
        var end = run.Run(
            state,
            last,
            now =>
            {
                using var scope = NewDisposeScope();
                Reporter.Progress("sampling", done + now.Call, all);
                RequireFinite(now, schedule);
                if (now.Estimate is { } estimate)
                    options.Preview?.Invoke(model.Denormalise(encoded.Finish(estimate)));
                after?.Invoke(Now(now));
            },
            cancel
        );
        if (cache is not null)
            Reporter.Note(cache.Report(end.Call));
        // The cache's own tensors are freed with it.
        return Now(end) with
        {
            Cache = cache?.State is { } known ? known with { Input = known.Input.alias(), Answer = known.Answer.alias() } : null,
        };
    }

    /// <summary>The video's latents once no more steps follow: what was made gets the colours of what is known next to it.</summary>
    internal Tensor RestoreKnown(EncodedConditioning encoded, Tensor latents)
    {
        using var scope = NewDisposeScope();
        var whole = encoded.Finish(latents);
        var meets = encoded is { Mask: not null, Known: not null, References: 0 } && ColourMatching.Applies(encoded.Mask);
        return (meets ? MatchColours(whole, encoded.Mask!) : whole).MoveToOuterDisposeScope();
    }

    /// <summary>Normalised latents as clips hold them: what stays bit for bit as it was, and frames of stills as they are shown.</summary>
    internal HostTensor ToLatents(Tensor normalised, EncodedConditioning encoded)
    {
        var raw = ToRaw(normalised);
        if (encoded.Exact is { } exact)
            raw = Region.Keep(TensorIO.ToHost(exact.cpu()), raw, encoded.Mask!);
        if (encoded.Stills.Count == 0)
            return raw;
        using var vae = FrameCodec.Open(model, precision.Device);
        return TensorIO.ToHost(new LatentRefiner(vae, cancel).Pin(TensorIO.ToTensor(raw), encoded.Mask, encoded.Stills));
    }

    /// <summary>Model calls of a run in one piece, or of a window.</summary>
    internal int CallsOf(SamplingSettings settings) => settings.MakeSchedule(Defaults.Scheduler).Calls;

    /// <summary>Steps of a run in one piece, or of a window.</summary>
    internal int StepsOf(SamplingSettings settings) => Steps(settings, CallsOf(settings));

    /// <summary>Steps in this many model calls; the last one may be only begun.</summary>
    internal int Steps(SamplingSettings settings, int calls)
    {
        var each = settings.ChooseSampler(Defaults.Scheduler).CallsPerStep;
        return (calls + each - 1) / each;
    }

    /// <summary>The shape [1, C, T, h, w] of the sampler's latents, references in front.</summary>
    private long[] ShapeOf(SamplingSettings settings, Conditioning conditioning)
    {
        var shape = model.LatentShape(settings);
        shape[2] += conditioning.Control?.References.Count ?? 0;
        return shape;
    }

    /// <summary>
    /// The state of a run with the auxiliary channels, where the model makes some and the state doesn't have them yet:
    /// noise at the start of a schedule, and later what the network reads from the latents, with as much noise as they
    /// have.
    /// </summary>
    private SamplerState WithAuxiliary(SamplingCheckpoint at, PromptEmbeds prompt, Schedule schedule)
    {
        var (settings, encoded, state) = at;
        var (shape, video, channels) = (state.Latents.shape, (long)model.Geometry.Channels, encoded.AuxiliaryChannels);
        if (channels == 0 || shape[1] > video)
            return state;
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var noise = SeededNoise(settings, 0, [1, video + channels, .. shape[2..]]).narrow(1, video, channels);
        var made = noise;
        if (state.Call > 0 && state.Call < schedule.Calls)
        {
            var level = new NoiseLevel(state.Call, schedule.Sigmas[state.Call], schedule.Timesteps[state.Call]) { AuxiliarySigma = 1 };
            var velocity = denoising.Denoiser(settings, encoded, prompt)(cat([state.Latents, noise], 1), level);
            made = Samplers.Noised(noise - velocity.narrow(1, video, channels), noise, level.Sigma);
        }
        return state with { Latents = cat([state.Latents, made], 1).MoveToOuterDisposeScope() };
    }

    private Tensor MatchColours(Tensor latents, Tensor mask)
    {
        if (!model.DecodesGroups)
            return ColourMatching.Match(new LatentColours(latents), mask);
        return ColourMatching.Match(new VideoColours(codec.Value, model, latents), mask);
    }

    /// <summary>One number is read back after every call; otherwise a lost run would go on to a black video.</summary>
    private void RequireFinite(SamplerState now, Schedule schedule)
    {
        if (Weights.IsFinite(now.Latents))
            return;
        throw SoraException.Failed(
            $"the latents contain NaN or infinity after model call {now.Call} of {schedule.Calls}",
            precision.Type == float16
                ? "f16 only goes up to 65504: use --dtype bf16 or f32"
                : "the weights, or a LoRA that is too strong, overflow this type: try --dtype f32, or other files"
        );
    }

    private int LastCall(SamplingSettings settings, Schedule schedule, Sampler sampler, RunOptions options)
    {
        // Heun's pairs end at an even number of calls less one: the step before the last call of a pair isn't a whole one.
        var until = options.Until is { } steps ? Math.Min(steps * sampler.CallsPerStep, schedule.Calls) : schedule.Calls;
        if (options.Expert is not 0)
            return until;
        var low = schedule.Timesteps.TakeWhile(t => model.ExpertOf(settings, t) == 0).Count();
        return Math.Min(until, low);
    }

    private Tensor SeededNoise(SamplingSettings settings, uint stream, long[] shape)
    {
        var sizes = ((int)shape[1], (int)shape[2], (int)shape[3], (int)shape[4]);
        var values = Noise.Normal((ulong)settings.Seed, stream, sizes, settings.FirstLatent);
        return tensor(values, shape).to(precision.Device);
    }
}
