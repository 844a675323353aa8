using System.Globalization;
using System.Text.Json;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models.Wan;
using Sora.Planning;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// A run between two model calls: settings, what is known, and the sampler's state. As a clip file it holds no
/// <c>latent_tensor</c> but tensors <c>noise_*</c>, so that nothing takes it for a video; its <c>noise_estimate</c> is the
/// current estimate in raw latents, which a decoder can show. Going on from it is bit-identical to not having stopped.
/// </summary>
/// <param name="Settings">All that the run depends on.</param>
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

    /// <summary>What the video looks like so far, normalised latents [1, C, T, h, w]; null before the first call. Nothing goes on from it.</summary>
    public Tensor? Estimate { get; init; }

    /// <summary>
    /// Which of the video's windows the run is in: settings and conditioning are those of the whole video then, with what earlier
    /// windows made among what is known, and the state is that of the window. Null: the run is in one piece.
    /// </summary>
    public WindowPlace? Place { get; init; }

    /// <summary>What the run's cache knows; null: it has none, or was not asked yet.</summary>
    public CacheState? Cache { get; init; }

    /// <summary>What is stored besides settings and tensors.</summary>
    private sealed record Progress(int Call, int Calls, int Order, float Sigma, int References, IReadOnlyList<double>? ControlScale, CacheProgress? Cache, WindowPlace? Place);

    /// <summary>The run as a clip, with the tensors that <paramref name="clip"/> has already.</summary>
    public Clip ToClip(Clip clip, CausalVaeConfig vae, Schedule schedule)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, HostTensor>(clip.Tensors) { [Latents] = TensorIO.ToHost(State.Latents) };
        if (State.Previous is { } previous) tensors[Previous] = TensorIO.ToHost(previous);
        for (var k = 0; k < State.Predictions.Count; k++) tensors[$"{Prediction}{k}"] = TensorIO.ToHost(State.Predictions[k]);
        if (Cache is { } cache) (tensors[CacheInput], tensors[CacheAnswer]) = (TensorIO.ToHost(cache.Input), TensorIO.ToHost(cache.Answer));
        foreach (var (name, tensor) in Conditioning.Tensors()) tensors[Clip.NoisePrefix + name] = TensorIO.ToHost(tensor);
        foreach (var still in Conditioning.Stills)
            tensors[$"{Shown}{still.Frame}"] = new HostTensor(DType.U8, [still.Picture.Height, still.Picture.Width, Image.Channels], still.Picture.Pixels);
        if (Estimate is { } estimate) tensors[Clip.EstimateName] = TensorIO.ToHost(vae.Denormalise(estimate));
        var progress = new Progress(State.Call, schedule.Calls, State.Order, schedule.Sigmas[State.Call], Conditioning.References, Conditioning.ControlScale, Cache?.Progress, Place);
        return (clip with { Latents = null, Tensors = tensors })
            .WithMetadata(SettingsKey, Settings.ToJson())
            .WithMetadata(ProgressKey, JsonSerializer.Serialize(progress));
    }

    /// <summary>The run that a clip holds.</summary>
    /// <exception cref="SoraException">It holds none, or one of another kind of model.</exception>
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
        var encoded = empty with
        {
            Known = Get(Clip.NoisePrefix + "known"),
            Mask = Get(Clip.NoisePrefix + "mask"),
            Exact = Get(Clip.NoisePrefix + "exact"),
            Hints = Get(Clip.NoisePrefix + "hints"),
            Stills = [.. Stills(clip)],
            Noise = Get(Clip.NoisePrefix + "start"),
            Channels = Get(Clip.NoisePrefix + "channels"),
            Image = Get(Clip.NoisePrefix + "image"),
            Control = Get(Clip.NoisePrefix + "control"),
            References = progress.References,
            ControlScale = progress.ControlScale,
        };
        var cache = progress.Cache is { } numbers && Get(CacheInput) is { } input && Get(CacheAnswer) is { } answer ? new CacheState(input, answer, numbers) : null;
        return new SamplingCheckpoint(settings, encoded, state) { Cache = cache, Place = progress.Place };
    }

    /// <summary>What the run that a clip holds depends on, and what is left of it, for a plan.</summary>
    /// <exception cref="SoraException">It holds none.</exception>
    public static (SamplingSettings Settings, Given Given) Planned(Clip clip)
    {
        var (settings, progress) = Read(clip);
        var isWhole = progress.Place is null;
        return (settings, new Given { Behind = isWhole ? progress.Call : 0, Latents = !isWhole, Others = Stills(clip).Any() });
    }

    /// <summary>How far the run of an unfinished clip got, such as <c>4 of 12 model calls of window 2 of 5</c>; null where the clip doesn't say.</summary>
    public static string? HowFar(Clip clip) => clip.Metadata.TryGetValue(ProgressKey, out var text) && JsonSerializer.Deserialize<Progress>(text) is { } progress
        ? $"{progress.Call} of {progress.Calls} model calls{(progress.Place is { } place ? $" of window {place.Behind + 1} of {place.All}" : "")}"
        : null;

    /// <summary>A clip without what an unfinished run added.</summary>
    public static Clip Strip(Clip clip) => clip.WithoutNoise() with
    {
        Metadata = clip.Metadata.Where(entry => entry.Key is not (SettingsKey or ProgressKey)).ToDictionary(),
    };

    private static (SamplingSettings Settings, Progress Progress) Read(Clip clip)
    {
        if (!clip.IsUnfinished || !clip.Metadata.TryGetValue(SettingsKey, out var json) || !clip.Metadata.TryGetValue(ProgressKey, out var text))
            throw SoraException.Failed($"{clip.Origin}: nothing to resume: it is not an unfinished clip", "sora generate --until N makes one");
        return (SamplingSettings.Parse(json, clip.Origin), JsonSerializer.Deserialize<Progress>(text)!);
    }

    private static IEnumerable<Still> Stills(Clip clip) =>
        from tensor in clip.Tensors
        where tensor.Key.StartsWith(Shown, StringComparison.Ordinal)
        let frame = int.Parse(tensor.Key.AsSpan(Shown.Length), CultureInfo.InvariantCulture)
        orderby frame
        select new Still(frame, new Image((int)tensor.Value.Shape[1], (int)tensor.Value.Shape[0], tensor.Value.Data), Fit.Stretch);
}
