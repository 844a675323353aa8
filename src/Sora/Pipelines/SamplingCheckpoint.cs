using System.Globalization;
using System.Text.Json;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// A run between two model calls: settings, what is known, and the sampler's state. As a clip file it holds no
/// <c>latent_tensor</c>, only tensors <c>noise_*</c>, so that nothing takes it for a video; its <c>noise_estimate</c> is
/// the current estimate in raw latents, which a decoder can show. Resuming from it is bit-identical to not having
/// stopped.
/// </summary>
/// <param name="Settings">Everything that the run depends on.</param>
/// <param name="Conditioning">What is known, for the network.</param>
/// <param name="State">Where the sampler stands.</param>
public sealed record SamplingCheckpoint(SamplingSettings Settings, EncodedConditioning Conditioning, SamplerState State)
{
    private const string SettingsKey = "sampling";
    private const string ProgressKey = "sampling_progress";
    private const string Latents = Clip.NoisePrefix + "latents";
    private const string Previous = Clip.NoisePrefix + "previous";
    private const string Prediction = Clip.NoisePrefix + "prediction_";
    private const string Shown = Clip.NoisePrefix + "still_";
    private const string CacheInput = Clip.NoisePrefix + "cache_input";
    private const string CacheAnswer = Clip.NoisePrefix + "cache_answer";

    /// <summary>
    /// What the video looks like so far, normalised latents [1, C, T, h,
    /// w]; null before the first call. Resuming ignores it.
    /// </summary>
    public Tensor? Estimate { get; init; }

    /// <summary>
    /// Which of the video's windows the run is in: settings and conditioning are then those of the whole video, with what
    /// earlier windows made among what is known, and the state is the window's. Null: the run is in one piece.
    /// </summary>
    public WindowPlace? Place { get; init; }

    /// <summary>What the run's cache knows; null: there is none, or it wasn't used yet.</summary>
    public CacheState? Cache { get; init; }

    /// <summary>What is stored besides settings and tensors.</summary>
    private sealed record Progress(
        int Call,
        int Calls,
        int Order,
        float Sigma,
        int References,
        IReadOnlyList<double>? ControlScale,
        CacheProgress? Cache,
        WindowPlace? Place
    );

    /// <summary>The run as a clip, with the tensors that <paramref name="clip"/> already has.</summary>
    public Clip ToClip(Clip clip, VideoModel model, Schedule schedule)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, HostTensor>(clip.Tensors) { [Latents] = TensorIO.ToHost(State.Latents) };
        if (State.Previous is { } previous)
            tensors[Previous] = TensorIO.ToHost(previous);
        for (var k = 0; k < State.Predictions.Count; k++)
            tensors[$"{Prediction}{k}"] = TensorIO.ToHost(State.Predictions[k]);
        if (Cache is { } cache)
            (tensors[CacheInput], tensors[CacheAnswer]) = (TensorIO.ToHost(cache.Input), TensorIO.ToHost(cache.Answer));
        foreach (var (name, tensor) in Conditioning.Tensors())
            tensors[Clip.NoisePrefix + name] = TensorIO.ToHost(tensor);
        foreach (var still in Conditioning.Stills)
            tensors[$"{Shown}{still.Frame}"] = new HostTensor(
                DType.U8,
                [still.Picture.Height, still.Picture.Width, Image.Channels],
                still.Picture.Pixels
            );
        if (Estimate is { } estimate)
            tensors[Clip.EstimateName] = TensorIO.ToHost(model.Denormalise(estimate));
        var progress = new Progress(
            State.Call,
            schedule.Calls,
            State.Order,
            schedule.Sigmas[State.Call],
            Conditioning.References,
            Conditioning.ControlScale,
            Cache?.Progress,
            Place
        );
        return (clip with { Latents = null, Tensors = tensors })
            .WithMetadata(SettingsKey, Settings.ToJson())
            .WithMetadata(ProgressKey, JsonSerializer.Serialize(progress));
    }

    /// <summary>The run that a clip holds.</summary>
    /// <exception cref="SoraException">It holds none, or one for another kind of model.</exception>
    public static SamplingCheckpoint FromClip(Clip clip, EncodedConditioning empty, Device device)
    {
        var (settings, progress) = Read(clip);
        Tensor? Get(string name) => clip.Tensors.TryGetValue(name, out var host) ? TensorIO.ToTensor(host).to(device) : null;
        var state = new SamplerState(progress.Call, Get(Latents) ?? throw SoraException.Failed($"{clip.Origin}: {Latents} is missing"))
        {
            Order = progress.Order,
            Previous = Get(Previous),
            Predictions = [.. Enumerable.Range(0, 3).Select(k => Get($"{Prediction}{k}")).OfType<Tensor>()],
        };
        var conditions = clip.Tensors.Keys.Where(IsCondition).ToDictionary(name => name[Clip.NoisePrefix.Length..], name => Get(name)!);
        var encoded = empty.With(conditions) with
        {
            Stills = [.. Stills(clip)],
            References = progress.References,
            ControlScale = progress.ControlScale,
        };
        var cache =
            progress.Cache is { } numbers && Get(CacheInput) is { } input && Get(CacheAnswer) is { } answer
                ? new CacheState(input, answer, numbers)
                : null;
        return new SamplingCheckpoint(settings, encoded, state) { Cache = cache, Place = progress.Place };
    }

    /// <summary>The rest of the run that a clip holds, for a plan.</summary>
    /// <exception cref="SoraException">It holds none.</exception>
    public static GenerationRequest Rest(Clip clip)
    {
        var (settings, progress) = Read(clip);
        var isWhole = progress.Place is null;
        return new GenerationRequest(settings)
        {
            CallsDone = isWhole ? progress.Call : 0,
            KnowsLatents = !isWhole,
            Conditioning = new Conditioning { Stills = [.. Stills(clip)] },
        };
    }

    /// <summary>
    /// How far the run of an unfinished clip got, such as <c>4 of 12 model calls
    /// of window 2 of 5</c>; null where the clip doesn't say.
    /// </summary>
    public static string? HowFar(Clip clip) =>
        clip.Metadata.TryGetValue(ProgressKey, out var text) && JsonSerializer.Deserialize<Progress>(text) is { } progress
            ? $"{progress.Call} of {progress.Calls} model calls"
                + (progress.Place is { } place ? $" of window {place.Behind + 1} of {place.All}" : "")
            : null;

    /// <summary>A clip without what an unfinished run added.</summary>
    public static Clip Strip(Clip clip) =>
        clip.WithoutNoise() with
        {
            Metadata = clip.Metadata.Where(entry => entry.Key is not (SettingsKey or ProgressKey)).ToDictionary(),
        };

    private static (SamplingSettings Settings, Progress Progress) Read(Clip clip)
    {
        if (
            !clip.IsUnfinished
            || !clip.Metadata.TryGetValue(SettingsKey, out var json)
            || !clip.Metadata.TryGetValue(ProgressKey, out var text)
        )
            throw SoraException.Failed(
                $"{clip.Origin}: nothing to resume: it is not an unfinished clip",
                "sora generate --until N makes one"
            );
        return (SamplingSettings.Parse(json, clip.Origin), JsonSerializer.Deserialize<Progress>(text)!);
    }

    /// <summary>Whether a tensor is what is known, and not the sampler's state.</summary>
    private static bool IsCondition(string name) =>
        name.StartsWith(Clip.NoisePrefix, StringComparison.Ordinal)
        && name is not (Latents or Previous or CacheInput or CacheAnswer or Clip.EstimateName)
        && !name.StartsWith(Prediction, StringComparison.Ordinal)
        && !name.StartsWith(Shown, StringComparison.Ordinal);

    private static IEnumerable<Still> Stills(Clip clip) =>
        from tensor in clip.Tensors
        where tensor.Key.StartsWith(Shown, StringComparison.Ordinal)
        let frame = int.Parse(tensor.Key.AsSpan(Shown.Length), CultureInfo.InvariantCulture)
        orderby frame
        select new Still(frame, new Image((int)tensor.Value.Shape[1], (int)tensor.Value.Shape[0], tensor.Value.Data), Fit.Stretch);
}
