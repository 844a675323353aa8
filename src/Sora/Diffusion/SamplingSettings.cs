using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sora.Diffusion;

/// <summary>A prompt that takes over at a frame.</summary>
/// <param name="Frame">Video frame.</param>
/// <param name="Prompt">What the video shows from there on.</param>
public sealed record TimedPrompt(int Frame, string Prompt);

/// <summary>
/// Everything that a sampling run depends on besides the model and what is known of the video. It is stored with an
/// unfinished run, and spells out every default.
/// </summary>
public sealed record SamplingSettings
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>What the video shows.</summary>
    public string Prompt { get; init; } = "";

    /// <summary>What guidance steers away from.</summary>
    public string Negative { get; init; } = "";

    /// <summary>Rows of text that the transformer attends to; the rest of them are zeros.</summary>
    public int TextLength { get; init; } = 512;

    /// <summary>Of the frames, in pixels.</summary>
    public int Width { get; init; }

    /// <summary>Of the frames, in pixels.</summary>
    public int Height { get; init; }

    /// <summary>Video frames.</summary>
    public int Frames { get; init; }

    /// <summary>Frames a second.</summary>
    public double Fps { get; init; } = 16;

    /// <summary>Seed of the noise.</summary>
    public long Seed { get; init; }

    /// <summary>Name of the sampler; null for the model's.</summary>
    public string? Sampler { get; init; }

    /// <summary>Order of a multistep sampler; null for the model's.</summary>
    public int? Order { get; init; }

    /// <summary>Steps of the schedule.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Shift of the schedule towards noise.</summary>
    public double Shift { get; init; } = 1;

    /// <summary>Custom noise levels, before the shift.</summary>
    public IReadOnlyList<double>? Sigmas { get; init; }

    /// <summary>UniPC's table as diffusers had it up to 0.36.</summary>
    public bool OriginalSchedule { get; init; }

    /// <summary>Scale of guidance; up to 1 there is none.</summary>
    public double Guidance { get; init; } = 5;

    /// <summary>Scale of guidance of the expert for low noise; null for the same.</summary>
    public double? Guidance2 { get; init; }

    /// <summary>Part of 1000 from which on timesteps belong to the expert for high noise; null for the model's.</summary>
    public double? Boundary { get; init; }

    /// <summary>Threshold of the <see cref="StepCache"/>; null: every call is the network's.</summary>
    public double? Cache { get; init; }

    /// <summary>How much of the schedule runs where the known latents are only a start: 1 is all of it.</summary>
    public double Strength { get; init; } = 1;

    /// <summary>Video frames that are made in one piece; longer videos are made in sliding windows.</summary>
    public int Window { get; init; } = 81;

    /// <summary>Video frames that a window sees of the one before.</summary>
    public int Overlap { get; init; } = 33;

    /// <summary>Where the first latent frame of this run is in the whole video.</summary>
    public int FirstLatent { get; init; }

    /// <summary>Prompts that take over from a video frame on, for windows that begin there or later.</summary>
    public IReadOnlyList<TimedPrompt> Later { get; init; } = [];

    /// <summary>The sampler that these settings ask for.</summary>
    /// <exception cref="SoraException">There is no such sampler.</exception>
    public Sampler ChooseSampler(SchedulerConfig config) => Diffusion.Sampler.Create(Sampler, Order, config);

    /// <summary>The noise levels that these settings ask for.</summary>
    /// <exception cref="SoraException">There is no such schedule.</exception>
    public Schedule MakeSchedule(SchedulerConfig config)
    {
        var (spacing, own) = (ChooseSampler(config).Spacing, config.For(Sampler));
        if (OriginalSchedule && spacing != Spacing.UniPc)
            throw SoraException.Usage(
                $"the original schedule is for unipc, not for {Sampler ?? config.Sampler}",
                "leave --schedule out, or choose --sampler unipc"
            );
        return Schedule.Create(
            new ScheduleOptions
            {
                Spacing = OriginalSchedule ? Spacing.Original : spacing,
                Steps = Steps,
                Shift = Shift,
                Sigmas = Sigmas,
                Terminal = own.Terminal,
                Respacing = own.Respacing,
                EndAtSigmaMin = own.EndAtSigmaMin,
            }
        );
    }

    /// <summary>As JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Format);

    /// <summary>From JSON.</summary>
    /// <exception cref="SoraException">It isn't what <see cref="ToJson"/> writes.</exception>
    public static SamplingSettings Parse(string json, string origin)
    {
        try
        {
            return JsonSerializer.Deserialize<SamplingSettings>(json, Format) ?? throw new JsonException("null");
        }
        catch (JsonException fault)
        {
            throw SoraException.Failed(
                $"{origin}: the sampling settings can't be read",
                "it was made by another version; start over",
                fault
            );
        }
    }
}
