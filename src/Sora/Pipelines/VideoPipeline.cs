using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Pipelines.Blending;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// From text, and what is known, to a clip: the text encoder, then the encoders that the known part needs, then the
/// transformer are loaded, used and freed in turn. What several runs share is computed once.
/// </summary>
public sealed class VideoPipeline : IDisposable
{
    private readonly ModelFolder model;
    private readonly Precision precision;
    private readonly Reporter reporter;
    private readonly CancellationToken cancel;
    private readonly DenoisingModel denoising;
    private readonly Dictionary<(string Prompt, string? Negative, int Length), PromptEmbeds> texts = [];
    private readonly Lazy<string> fingerprint;

    /// <summary>A block VAE, small enough to stay for all windows of a video.</summary>
    private readonly Lazy<FrameCodec> codec;


    /// <summary>Opens nothing yet.</summary>
    public VideoPipeline(ModelFolder model, Precision precision, Reporter reporter, CancellationToken cancel)
    {
        (this.model, this.precision, this.reporter, this.cancel) = (model, precision, reporter, cancel);
        denoising = new DenoisingModel(model, precision, cancel);
        fingerprint = new Lazy<string>(model.VaeFingerprint);
        codec = new Lazy<FrameCodec>(() => FrameCodec.Open(model, precision.Device));
        Defaults = ModelDefaults.Of(model);
    }

    /// <summary>What runs of this model start from.</summary>
    public ModelDefaults Defaults { get; }

    /// <summary>The model.</summary>
    public ModelFolder Model => model;

    /// <summary>Where the model computes.</summary>
    internal Device Device => precision.Device;

    /// <summary>The conditioning of a run that knows nothing.</summary>
    internal EncodedConditioning Unconditioned => new ConditioningEncoder(model, precision, Defaults.Settings).Empty;

    /// <summary>Samples a clip; one longer than the window in several windows.</summary>
    /// <param name="settings">All that it depends on, checked by <see cref="VideoSize"/>.</param>
    /// <param name="conditioning">What is known.</param>
    /// <param name="noise">Noise to start from, in the shape of the latents; null for that of the seed.</param>
    /// <param name="options">Where to stop, and what carries the result.</param>
    /// <returns>A finished clip, or an unfinished one where <paramref name="options"/> stop it.</returns>
    public Clip Generate(SamplingSettings settings, Conditioning conditioning, HostTensor? noise = null, RunOptions? options = null)
    {
        options ??= new();
        var isLong = SlidingWindows.Needed(model, settings);
        var ability = Abilities.Needed(conditioning, settings);
        Ability[] needed = isLong ? [ability, Ability.Extend] : [ability];
        // What is refused is so before anything is said of how the rest is done.
        foreach (var one in needed) Abilities.Require(model, one);
        if (ConditioningEncoder.ModeOf(model) == ConditioningMode.MaskChannels) MaskChannels.RequirePictures(model, conditioning);
        if (isLong) RequireWindows(settings, conditioning, noise is not null, options);
        foreach (var one in needed) Abilities.Tell(model, one, reporter);
        return Make(settings, conditioning, noise, options);
    }

    /// <summary>As <see cref="Generate"/>, for a caller that has asked whether the model can.</summary>
    internal Clip Make(SamplingSettings settings, Conditioning conditioning, HostTensor? noise, RunOptions options)
    {
        using var scope = NewDisposeScope();
        var clip = options.Carrier ?? new Clip { Info = Info(settings) };
        var shape = settings.LatentShape(model.Vae.Geometry);
        shape[2] += conditioning.Control?.References.Count ?? 0;
        var given = noise is null ? null : GivenNoise(noise, shape);
        if (!SlidingWindows.Needed(model, settings)) return Run(clip, Begin(settings, conditioning, given), options);
        var (blended, stills) = Blend(settings, conditioning);
        var windows = new SlidingWindows(this, settings, conditioning.Control);
        return Run(clip, windows, (windows.Video(blended, given) with { Stills = stills }, null), options);
    }

    /// <summary>Says once if the model only approximates what is asked of it.</summary>
    /// <exception cref="SoraException">It can't do it.</exception>
    internal void Require(Ability ability)
    {
        Abilities.Require(model, ability);
        Abilities.Tell(model, ability, reporter);
    }

    /// <summary>Normalised latents as clips hold them.</summary>
    public HostTensor ToRaw(Tensor normalised)
    {
        using var scope = NewDisposeScope();
        return TensorIO.ToHost(model.Vae.Denormalise(normalised).cpu());
    }

    /// <summary>A clip's latents as the sampler takes them.</summary>
    /// <exception cref="SoraException">They are of another VAE.</exception>
    public Tensor Normalised(Clip clip)
    {
        using var scope = NewDisposeScope();
        RequireVae(clip);
        var latents = TensorIO.ToTensor(clip.FinishedLatents).to(float32).to(precision.Device);
        if (!Weights.IsFinite(latents)) throw SoraException.Failed($"{clip.Origin}: its latents contain NaN or infinity");
        return (clip.Info.Space == LatentSpace.Raw ? model.Vae.Normalise(latents) : latents).MoveToOuterDisposeScope();
    }

    /// <summary>A clip's latents as clips hold them, float32.</summary>
    public Tensor Raw(Clip clip)
    {
        using var scope = NewDisposeScope();
        var latents = TensorIO.ToTensor(clip.FinishedLatents).to(float32);
        return (clip.Info.Space == LatentSpace.Raw ? latents : model.Vae.Denormalise(latents)).MoveToOuterDisposeScope();
    }

    /// <summary>Goes on with an unfinished clip.</summary>
    /// <exception cref="SoraException">It isn't one, is of another model, or has come further than it is to go.</exception>
    public Clip Resume(Clip clip, RunOptions? options = null)
    {
        using var scope = NewDisposeScope();
        RequireVae(clip);
        options ??= new();
        var unfinished = SamplingCheckpoint.FromClip(clip, Unconditioned, precision.Device);
        var behind = (unfinished.Place?.Behind ?? 0) * StepsOf(unfinished.Settings) + Steps(unfinished.Settings, unfinished.State.Call);
        if (options.Until <= behind)
            throw SoraException.Usage($"{clip.Origin}: {behind} steps are already done, so --until {options.Until} is too early", "give a later step, or leave --until out");
        var stripped = SamplingCheckpoint.Strip(clip);
        if (unfinished.Place is null) return Run(stripped, unfinished, options);
        RequireWindows(unfinished.Settings, Conditioning.Nothing, false, options);
        return Run(stripped, new SlidingWindows(this, unfinished.Settings), (unfinished.Conditioning, unfinished), options);
    }

    /// <summary>Frees the transformer, and the VAE that joins were looked at with.</summary>
    public void Dispose()
    {
        denoising.Dispose();
        if (codec.IsValueCreated) codec.Value.Dispose();
        foreach (var text in texts.Values)
        {
            text.Prompt.Dispose();
            text.Negative?.Dispose();
        }
    }

    /// <summary>A run in one piece, before its first model call.</summary>
    /// <param name="settings">All that it depends on.</param>
    /// <param name="conditioning">What is known.</param>
    /// <param name="noise">Noise to start from; null for that of the seed.</param>
    internal SamplingCheckpoint Begin(SamplingSettings settings, Conditioning conditioning, Tensor? noise)
    {
        // Pictures are encoded with nothing else in memory.
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var shape = settings.LatentShape(model.Vae.Geometry);
        shape[2] += conditioning.Control?.References.Count ?? 0;
        var start = noise ?? SeededNoise(settings, 0, shape);
        var encoded = new ConditioningEncoder(model, precision, settings).Encode(conditioning, start);
        var first = 0;
        if (conditioning.Known is { } known && settings.Strength < 1)
        {
            first = schedule.FirstCall(settings.Strength, settings.ChooseSampler(Defaults.Scheduler).CallsPerStep);
            start = first < schedule.Calls ? Samplers.Noised(known, start, schedule.Sigmas[first]) : known;
        }
        return new SamplingCheckpoint(settings, encoded, new SamplerState(first, start));
    }

    /// <summary>Takes a run in one piece as far as the options say.</summary>
    internal SamplingCheckpoint Advance(SamplingCheckpoint at, RunOptions options, Action<SamplingCheckpoint>? after)
    {
        var (settings, encoded, _) = at;
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var sampler = settings.ChooseSampler(Defaults.Scheduler);
        var last = LastCall(settings, schedule, sampler, options);
        denoising.RequireFinite(settings, schedule.Timesteps.Take(last).Skip(at.State.Call));
        var state = WithScene(at, schedule);
        var noiseShape = state.Latents.shape;
        using var cache = settings.Cache is { } threshold ? new StepCache(threshold, schedule.Calls, at.Cache) : null;
        SamplingCheckpoint Now(SamplerState now) => at with
        {
            State = now, Cache = cache?.State, Estimate = now.Estimate is { } estimate ? encoded.Finish(estimate) : null,
        };
        var run = new SamplerRun(
            schedule, sampler.Step, denoising.Denoiser(settings, encoded, Text(settings), cache),
            call => SeededNoise(settings, (uint)call + 1, noiseShape));
        var (behind, all) = at.Place is { } place ? (place.Behind * schedule.Calls, place.All * schedule.Calls) : (-state.Call, schedule.Calls - state.Call);
        var end = run.Run(state, last, now =>
        {
            using var scope = NewDisposeScope();
            reporter.Progress("sampling", behind + now.Call, all);
            RequireFinite(now, schedule);
            if (now.Estimate is { } estimate) options.Preview?.Invoke(model.Vae.Denormalise(encoded.Finish(estimate)));
            after?.Invoke(Now(now));
        }, cancel);
        if (cache is not null) reporter.Note(cache.Report(end.Call));
        // The cache's own tensors go with it.
        return Now(end) with { Cache = cache?.State is { } known ? known with { Input = known.Input.alias(), Answer = known.Answer.alias() } : null };
    }

    /// <summary>
    /// The state of a run with what says what is where, where the model makes that and the state doesn't have it yet: noise at
    /// the start of a schedule, and further on what the network reads from the latents, with as much noise as they have.
    /// </summary>
    private SamplerState WithScene(SamplingCheckpoint at, Schedule schedule)
    {
        var (settings, encoded, state) = at;
        var (shape, video) = (state.Latents.shape, (long)model.Vae.ZDim);
        if (encoded.SceneChannels == 0 || shape[1] > video) return state;
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var noise = SeededNoise(settings, 0, [1, video + encoded.SceneChannels, .. shape[2..]]).narrow(1, video, encoded.SceneChannels);
        var scene = noise;
        if (state.Call > 0 && state.Call < schedule.Calls)
        {
            var level = new NoiseLevel(state.Call, schedule.Sigmas[state.Call], schedule.Timesteps[state.Call]) { SceneSigma = 1 };
            var velocity = denoising.Denoiser(settings, encoded, Text(settings))(cat([state.Latents, noise], 1), level);
            scene = Samplers.Noised(noise - velocity.narrow(1, video, encoded.SceneChannels), noise, level.Sigma);
        }
        return state with { Latents = cat([state.Latents, scene], 1).MoveToOuterDisposeScope() };
    }

    /// <summary>The video's latents once no more steps follow: what was made has the colours of what is known beside it.</summary>
    internal Tensor RestoreKnown(EncodedConditioning encoded, Tensor latents)
    {
        using var scope = NewDisposeScope();
        var whole = encoded.Finish(latents);
        var meets = encoded is { Mask: not null, Known: not null, References: 0 } && ColourMatching.Applies(encoded.Mask);
        return (meets ? MatchColours(whole, encoded.Mask!) : whole).MoveToOuterDisposeScope();
    }

    /// <summary>Model calls of a run in one piece, or of a window.</summary>
    internal int CallsOf(SamplingSettings settings) => settings.MakeSchedule(Defaults.Scheduler).Calls;

    /// <summary>Steps of a run in one piece, or of a window.</summary>
    internal int StepsOf(SamplingSettings settings) => Steps(settings, CallsOf(settings));

    /// <summary>Steps that so many model calls are, the last of which may be begun only.</summary>
    private int Steps(SamplingSettings settings, int calls)
    {
        var each = settings.ChooseSampler(Defaults.Scheduler).CallsPerStep;
        return (calls + each - 1) / each;
    }

    private Clip Run(Clip clip, SamplingCheckpoint at, RunOptions options)
    {
        var schedule = at.Settings.MakeSchedule(Defaults.Scheduler);
        Clip Stopped(SamplingCheckpoint now) => now.ToClip(clip, model.Vae, schedule);
        var end = Advance(at, options, options.Checkpoint is { } keep ? now => keep(Stopped(now)) : null);
        return end.State.Call < schedule.Calls ? Stopped(end) : clip with { Latents = ToLatents(RestoreKnown(at.Conditioning, end.State.Latents), at.Conditioning) };
    }

    /// <summary>Takes a video that is made in windows as far as the options say.</summary>
    private Clip Run(Clip clip, SlidingWindows windows, (EncodedConditioning Video, SamplingCheckpoint? Stopped) from, RunOptions options)
    {
        var unfinished = windows.Run(from.Video, from.Stopped, options, now => now.ToClip(clip, model.Vae, now.Settings.MakeSchedule(Defaults.Scheduler)));
        return unfinished ?? clip with { Latents = ToLatents(from.Video.Known!, from.Video) };
    }

    private Tensor MatchColours(Tensor latents, Tensor mask)
    {
        if (!model.Vae.IsBlock) return ColourMatching.Match(new LatentColours(latents), mask);
        return ColourMatching.Match(new VideoColours(codec.Value, model.Vae, latents), mask);
    }

    /// <summary>Normalised latents as clips hold them: what stays bit for bit as it was, and frames of stills as they are shown.</summary>
    private HostTensor ToLatents(Tensor normalised, EncodedConditioning encoded)
    {
        var raw = ToRaw(normalised);
        if (encoded.Exact is { } exact) raw = Region.Keep(TensorIO.ToHost(exact.cpu()), raw, encoded.Mask!);
        if (encoded.Stills.Count == 0) return raw;
        using var vae = FrameCodec.Open(model, precision.Device);
        return TensorIO.ToHost(new LatentRefiner(vae, cancel).Pin(TensorIO.ToTensor(raw), encoded.Mask, encoded.Stills));
    }

    /// <summary>Windows come one after the other, what stops between them doesn't hold everything, and they are made of latents.</summary>
    private void RequireWindows(SamplingSettings settings, Conditioning conditioning, bool isNoiseGiven, RunOptions options)
    {
        var windows = $"{settings.Frames} frames are generated in windows of {settings.Window}{(settings.Later.Count > 0 ? ", one for each prompt" : "")}";
        var hint = settings.Later.Count > 0 ? "leave --prompt-at out" : $"--window {settings.Frames} generates them in one piece, if they fit in memory";
        if (options.Expert is not null)
            throw SoraException.Usage($"{windows}, and each window needs the finished one before it, from both experts", hint);
        if (conditioning.Control is not null && (isNoiseGiven || options is { Until: not null } or { Checkpoint: not null }))
            throw SoraException.Usage($"{windows}, which with a control video or references take no --noise and save no state", hint);
        if (conditioning.Stills.Count > 0 && ConditioningEncoder.ModeOf(model) is (ConditioningMode.MaskChannels or ConditioningMode.Control))
            throw SoraException.Usage($"{windows}, but {model.Name} takes pictures in one piece only", hint);
    }

    /// <summary>Pictures as latents at their places, for windows, which are made of latents.</summary>
    private (Conditioning Blended, IReadOnlyList<Still> Stills) Blend(SamplingSettings settings, Conditioning conditioning)
    {
        if (conditioning.Stills.Count == 0) return (conditioning, []);
        var encoded = new ConditioningEncoder(model, precision, settings).Encode(conditioning, zeros(1));
        return (conditioning with { Stills = [], Known = encoded.Known, Mask = encoded.Mask, Hints = encoded.Hints }, encoded.Stills);
    }

    /// <summary>One number is read back after every call; without it a run that is lost would go on to a black video.</summary>
    private void RequireFinite(SamplerState now, Schedule schedule)
    {
        if (Weights.IsFinite(now.Latents)) return;
        throw SoraException.Failed(
            $"the latents contain NaN or infinity after model call {now.Call} of {schedule.Calls}",
            precision.Type == float16 ? "f16 only goes up to 65504: use --dtype bf16 or f32" : "the weights, or a LoRA that is too strong, overflow this type: try --dtype f32, or other files");
    }

    /// <summary>Asks that a clip's latents are of this model's VAE, as far as it says.</summary>
    /// <exception cref="SoraException">They aren't.</exception>
    internal void RequireVae(Clip clip)
    {
        if (clip.Info.Vae is { } vae && vae != fingerprint.Value)
            throw SoraException.Failed($"{clip.Origin}: made with another model ({clip.Info.Model ?? "unnamed"})", "pass that one with --model");
    }

    private int LastCall(SamplingSettings settings, Schedule schedule, Sampler sampler, RunOptions options)
    {
        // Heun's pairs end in an even number of calls less one: the step before the last call of a pair is not a whole one.
        var until = options.Until is { } steps ? Math.Min(steps * sampler.CallsPerStep, schedule.Calls) : schedule.Calls;
        if (options.Expert is not 0) return until;
        var low = schedule.Timesteps.TakeWhile(t => DenoisingModel.Of(model, settings, t) == 0).Count();
        return Math.Min(until, low);
    }

    private PromptEmbeds Text(SamplingSettings settings)
    {
        var negative = settings.Guidance > 1 ? settings.Negative : null;
        var key = (settings.Prompt, negative, settings.TextLength);
        if (texts.TryGetValue(key, out var known)) return known;
        var rows = PromptEmbeds.Encode(model, settings, precision, reporter);
        rows.Prompt.DetachFromDisposeScope();
        rows.Negative?.DetachFromDisposeScope();
        return texts[key] = rows;
    }

    private Tensor SeededNoise(SamplingSettings settings, uint stream, long[] shape)
    {
        var sizes = ((int)shape[1], (int)shape[2], (int)shape[3], (int)shape[4]);
        var values = Noise.Normal((ulong)settings.Seed, stream, sizes, settings.FirstLatent);
        return tensor(values, shape).to(precision.Device);
    }

    private Tensor GivenNoise(HostTensor noise, long[] shape)
    {
        if (!noise.Shape.AsSpan().SequenceEqual(shape))
            throw SoraException.Failed(
                $"the given noise is {Shapes.Text(noise.Shape)}; this video's latents are {Shapes.Text(shape)}",
                "noise must be [1, channels, latent frames, rows, columns], as for the latents of the video");
        var start = TensorIO.ToTensor(noise).to(float32);
        return Weights.IsFinite(start) ? start.to(precision.Device) : throw SoraException.Failed("the given noise contains NaN or infinity");
    }

    private ClipInfo Info(SamplingSettings settings) => new()
    {
        Model = model.Reference,
        Vae = fingerprint.Value,
        Width = settings.Width,
        Height = settings.Height,
        Frames = settings.Frames,
        Fps = settings.Fps,
        Seed = settings.Seed,
        Prompt = settings.Prompt,
    };
}
