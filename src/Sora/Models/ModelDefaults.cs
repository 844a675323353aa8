using System.Text.Json;
using System.Text.Json.Nodes;
using Sora.Diffusion;

namespace Sora.Models;

/// <summary>
/// What a model does where the user says nothing. A model sets its own in <c>model_index.json</c>, under <c>"_sora"</c>,
/// which diffusers ignores:
/// <code>"_sora": {"steps": 8, "guidance": 1, "shift": 2, "fps": 16, "size": "128x128", "frames": 33, "text_length": 64}</code>
/// (other keys: <c>negative</c>, <c>sampler</c>, <c>guidance_2</c>, <c>window</c>, <c>overlap</c>). What it leaves out
/// comes from the table of checkpoints, the shift from the scheduler's configuration; a user's own table overrides all of
/// them.
/// </summary>
public sealed record ModelDefaults
{
    /// <summary>What runs of the model start from.</summary>
    public required SamplingSettings Settings { get; init; }

    /// <summary>The model's scheduler.</summary>
    public required SchedulerConfig Scheduler { get; init; }

    /// <summary>Reads the model's own defaults.</summary>
    /// <exception cref="SoraException">A file can't be read, or a key has a wrong value.</exception>
    public static ModelDefaults Of(VideoModel model)
    {
        var scheduler = model.SchedulerPath is { } path ? SchedulerConfig.Read(path) : new SchedulerConfig();
        var settings = model.Published;
        if (model.Known is { IsUsers: false } known)
            settings = With(settings, known.Defaults, known.Origin);
        if (model.SchedulerPath is not null)
            settings = settings with { Shift = scheduler.Shift };
        settings = With(settings, model.OwnDefaults.Defaults, model.OwnDefaults.Origin);
        if (model.Known is { IsUsers: true } own)
            settings = With(settings, own.Defaults, own.Origin);
        return new ModelDefaults { Settings = settings, Scheduler = scheduler };
    }

    private static SamplingSettings With(SamplingSettings settings, JsonObject defaults, string path)
    {
        foreach (var (key, value) in defaults)
            settings = With(settings, key, value, path);
        return settings;
    }

    private static SamplingSettings With(SamplingSettings settings, string key, JsonNode? value, string path)
    {
        try
        {
            return (key, value) switch
            {
                (_, null) => settings,
                ("steps", _) => settings with { Steps = value.GetValue<int>() },
                ("guidance", _) => settings with { Guidance = value.GetValue<double>() },
                ("guidance_2", _) => settings with { Guidance2 = value.GetValue<double>() },
                ("shift", _) => settings with { Shift = value.GetValue<double>() },
                ("fps", _) => settings with { Fps = value.GetValue<double>() },
                ("window", _) => settings with { Window = value.GetValue<int>() },
                ("overlap", _) => settings with { Overlap = value.GetValue<int>() },
                ("frames", _) => settings with { Frames = value.GetValue<int>() },
                ("text_length", _) => settings with { TextLength = value.GetValue<int>() },
                ("negative", _) => settings with { Negative = value.GetValue<string>() },
                ("sampler", _) => settings with { Sampler = value.GetValue<string>() },
                ("size", _) when FrameSize.Parse(value.GetValue<string>()) is var size => settings with
                {
                    Width = size.Width,
                    Height = size.Height,
                },
                _ => throw SoraException.Failed($"{path}: unknown default '{key}'", "update sora"),
            };
        }
        catch (Exception fault) when (fault is InvalidOperationException or FormatException or JsonException)
        {
            throw SoraException.Failed($"{path}: the default '{key}' can't be {value?.ToJsonString()}", null, fault);
        }
    }
}
