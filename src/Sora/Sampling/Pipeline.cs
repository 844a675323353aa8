using Sora.Clips;
using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>How a run is watched and where it stops.</summary>
public sealed record RunOptions
{
    /// <summary>Steps after which to stop with an unfinished clip; null runs to the end.</summary>
    public int? Until { get; init; }

    /// <summary>Only the steps of one expert: 0 for high noise, 1 for low noise; null for both.</summary>
    public int? Expert { get; init; }

    /// <summary>Sees the unfinished clip after every model call.</summary>
    public Action<Clip>? Checkpoint { get; init; }

    /// <summary>Sees the current estimate after every model call: raw latents [1, C, T, h, w], in windows those of the window.</summary>
    public Action<Tensor>? Preview { get; init; }
}

/// <summary>
/// From text, and what is known, to a clip: the text encoder, then the encoders that the known part needs, then the
/// transformer are loaded, used and freed in turn. What several runs share is computed once.
/// </summary>
public sealed class Pipeline : IDisposable
{
    private readonly ModelFolder model;
    private readonly Precision precision;
    private readonly Reporter reporter;
    private readonly CancellationToken cancel;
    private readonly Experts experts;
    private readonly Dictionary<(string Prompt, string? Negative, int Length), TextRows> texts = [];
    private readonly Lazy<string> fingerprint;

    /// <summary>Opens nothing yet.</summary>
    public Pipeline(ModelFolder model, Precision precision, Reporter reporter, CancellationToken cancel)
    {
        (this.model, this.precision, this.reporter, this.cancel) = (model, precision, reporter, cancel);
        experts = new Experts(model, precision, cancel);
        fingerprint = new Lazy<string>(model.VaeFingerprint);
        Defaults = ModelDefaults.Of(model);
    }

    /// <summary>What runs of this model start from.</summary>
    public ModelDefaults Defaults { get; }

    /// <summary>The model.</summary>
    public ModelFolder Model => model;

    /// <summary>Where the model computes.</summary>
    internal Device Device => precision.Device;

    /// <summary>Samples a clip; one longer than the window in several windows.</summary>
    /// <param name="settings">All that it depends on, checked by <see cref="VideoSize"/>.</param>
    /// <param name="conditioning">What is known.</param>
    /// <param name="noise">Noise to start from, in the shape of the latents; null for that of the seed.</param>
    /// <param name="options">Where to stop.</param>
    /// <returns>A finished clip, or an unfinished one where <paramref name="options"/> stop it.</returns>
    public Clip Generate(SamplingSettings settings, Conditioning conditioning, HostTensor? noise = null, RunOptions? options = null)
    {
        using var scope = NewDisposeScope();
        Require(Abilities.Needed(conditioning, settings));
        if (Windows.Needed(model, settings)) Require(Ability.Extend);
        var clip = new Clip { Info = Info(settings) };
        if (Windows.Needed(model, settings))
        {
            if (noise is not null || options is { Until: not null } or { Expert: not null } or { Checkpoint: not null })
                throw SoraException.Usage(
                    $"{settings.Frames} frames are made in windows of {settings.Window}{(settings.Later.Count > 0 ? ", one for each prompt" : "")}, which have no single state or noise",
                    settings.Later.Count > 0 ? "leave --prompt-at out" : $"--window {settings.Frames} makes them in one piece, if they fit into memory");
            var (blended, stills) = Blend(settings, conditioning);
            return clip with { Latents = Shown(new Windows(this, settings, options?.Preview).Fill(blended), blended.Mask, stills) };
        }
        return Run(clip, Begin(settings, conditioning, noise), options ?? new());
    }

    /// <summary>Says once if the model only approximates what is asked of it.</summary>
    /// <exception cref="SoraException">It can't do it.</exception>
    internal void Require(Ability ability) => Abilities.Require(model, ability, reporter);

    /// <summary>Samples latents in one piece.</summary>
    /// <returns>Normalised [1, C, T, h, w].</returns>
    internal Tensor Sample(SamplingSettings settings, Conditioning conditioning, Action<Tensor>? preview = null)
    {
        using var scope = NewDisposeScope();
        var begun = Begin(settings, conditioning, null);
        using var cache = CacheOf(begun);
        var end = Advance(begun, new RunOptions { Preview = preview }, cache, null);
        return begun.Guide.Finish(end.Latents).MoveToOuterDisposeScope();
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
        if (!Weights.IsFinite(latents)) throw SoraException.Failed($"{clip.Origin}: its latents hold values that are no numbers");
        return (clip.Info.Space == LatentSpace.Raw ? model.Vae.Normalise(latents) : latents).MoveToOuterDisposeScope();
    }

    /// <summary>Goes on with an unfinished clip.</summary>
    public Clip Resume(Clip clip, RunOptions? options = null)
    {
        using var scope = NewDisposeScope();
        RequireVae(clip);
        var empty = new GuideBuilder(model, precision, Defaults.Settings).Empty;
        var unfinished = Unfinished.FromClip(clip, empty, precision.Device);
        return Run(Unfinished.Strip(clip), unfinished, options ?? new());
    }

    /// <summary>Frees the transformer.</summary>
    public void Dispose()
    {
        experts.Dispose();
        foreach (var text in texts.Values)
        {
            text.Prompt.Dispose();
            text.Negative?.Dispose();
        }
    }

    private Unfinished Begin(SamplingSettings settings, Conditioning conditioning, HostTensor? noise)
    {
        // Pictures are encoded with nothing else in memory.
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var shape = settings.LatentShape(model.Vae);
        shape[2] += conditioning.Control?.References.Count ?? 0;
        var start = noise is null ? SeededNoise(settings, 0, shape) : GivenNoise(noise, shape);
        var guide = new GuideBuilder(model, precision, settings).Build(conditioning, start);
        var first = 0;
        if (conditioning.Known is { } known && settings.Strength < 1)
        {
            first = schedule.FirstCall(settings.Strength, settings.ChooseSampler(Defaults.Scheduler).CallsPerStep);
            start = first < schedule.Calls ? Samplers.Noised(known, start, schedule.Sigmas[first]) : known;
        }
        return new Unfinished(settings, guide, new SamplerState(first, start));
    }

    private Clip Run(Clip clip, Unfinished at, RunOptions options)
    {
        var schedule = at.Settings.MakeSchedule(Defaults.Scheduler);
        using var cache = CacheOf(at);
        Clip Stopped(SamplerState now) => (at with { State = now, Cache = cache?.State }).ToClip(clip, model.Vae, schedule);
        var end = Advance(at, options, cache, now => options.Checkpoint?.Invoke(Stopped(now)));
        return end.Call < schedule.Calls
            ? Stopped(end)
            : clip with { Latents = Shown(at.Guide.Finish(end.Latents), at.Guide.Mask, at.Guide.Stills) };
    }

    /// <summary>Normalised latents as clips hold them, in which the frames of stills show them.</summary>
    private HostTensor Shown(Tensor normalised, Tensor? known, IReadOnlyList<Still> stills)
    {
        if (stills.Count == 0) return ToRaw(normalised);
        using var codec = FrameCodec.Open(model, precision.Device);
        return TensorIO.ToHost(new Refinement(codec, cancel).Pin(model.Vae.Denormalise(normalised).cpu(), known, stills));
    }

    private StepCache? CacheOf(Unfinished at) =>
        at.Settings.Cache is { } threshold ? new StepCache(threshold, at.Settings.MakeSchedule(Defaults.Scheduler).Calls, at.Cache) : null;

    private SamplerState Advance(Unfinished at, RunOptions options, StepCache? cache, Action<SamplerState>? after)
    {
        var (settings, guide, state) = at;
        var schedule = settings.MakeSchedule(Defaults.Scheduler);
        var sampler = settings.ChooseSampler(Defaults.Scheduler);
        var noiseShape = state.Latents.shape;
        var run = new SamplerRun(
            schedule, sampler.Step, experts.Denoiser(settings, guide, Text(settings), cache),
            call => SeededNoise(settings, (uint)call + 1, noiseShape));
        var end = run.Run(state, LastCall(settings, schedule, sampler, options), now =>
        {
            reporter.Progress("sampling", now.Call - state.Call, schedule.Calls - state.Call);
            RequireNumbers(now, schedule);
            if (now.Estimate is { } estimate) options.Preview?.Invoke(model.Vae.Denormalise(guide.Finish(estimate)));
            after?.Invoke(now);
        }, cancel);
        if (cache is not null) reporter.Note(cache.Report(end.Call));
        return end;
    }

    /// <summary>Pictures as latents at their places, for windows, which are made of latents.</summary>
    private (Conditioning Blended, IReadOnlyList<Still> Stills) Blend(SamplingSettings settings, Conditioning conditioning)
    {
        if (conditioning.Stills.Count == 0) return (conditioning, []);
        if (GuideBuilder.FamilyOf(model) is Family.MaskChannels or Family.Control)
            throw SoraException.Usage(
                $"{model.Name} takes pictures in one piece only, and {settings.Frames} frames are more than a window",
                $"--window {settings.Frames}, or fewer frames");
        var guide = new GuideBuilder(model, precision, settings).Build(conditioning, zeros(1));
        return (conditioning with { Stills = [], Known = guide.Known, Mask = guide.Mask, Hints = guide.Hints }, guide.Stills);
    }

    /// <summary>One number is read back after every call; without it a run that is lost would go on to a black video.</summary>
    private void RequireNumbers(SamplerState now, Schedule schedule)
    {
        if (Weights.IsFinite(now.Latents)) return;
        throw SoraException.Failed(
            $"after model call {now.Call} of {schedule.Calls} the latents hold values that are no numbers",
            precision.Type == float16 ? "f16 holds numbers up to 65504 only: --dtype bf16 or f32" : "weights, or a LoRA that acts too strongly, are beyond what the type holds: --dtype f32, or other files");
    }

    private void RequireVae(Clip clip)
    {
        if (clip.Info.Vae is { } vae && vae != fingerprint.Value)
            throw SoraException.Failed($"{clip.Origin}: made with another model ({clip.Info.Model ?? "unnamed"})", "name that one with --model");
    }

    private int LastCall(SamplingSettings settings, Schedule schedule, Sampler sampler, RunOptions options)
    {
        // Heun's pairs end in an even number of calls less one: the step before the last call of a pair is not a whole one.
        var until = options.Until is { } steps ? Math.Min(steps * sampler.CallsPerStep, schedule.Calls) : schedule.Calls;
        if (options.Expert is not 0) return until;
        var low = schedule.Timesteps.TakeWhile(t => Experts.Of(model, settings, t) == 0).Count();
        return Math.Min(until, low);
    }

    private TextRows Text(SamplingSettings settings)
    {
        var negative = settings.Guidance > 1 ? settings.Negative : null;
        var key = (settings.Prompt, negative, settings.TextLength);
        if (texts.TryGetValue(key, out var known)) return known;
        var rows = TextRows.Encode(model, settings, precision, reporter);
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
                "noise is [1, channels, latent frames, rows, columns]; --size and --frames decide the shape");
        var start = TensorIO.ToTensor(noise).to(float32);
        return Weights.IsFinite(start) ? start.to(precision.Device) : throw SoraException.Failed("the given noise holds values that are no numbers");
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
