using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Nn;

namespace Sora.Planning;

/// <summary>
/// What a run needs, from the configs and headers of a model alone. Stages free what they loaded, so the largest one
/// decides.
/// </summary>
/// <param name="Tokens">Tokens of the transformer.</param>
/// <param name="Stages">The stages in their order; decoding is another program's, but its need is listed here.</param>
public sealed record MemoryPlan(long Tokens, IReadOnlyList<StageCost> Stages)
{
    /// <summary>Whether it resumes an unfinished clip, of which nothing can change any more except how weights are held.</summary>
    public bool IsBegun { get; init; }

    /// <summary>The largest stage that runs in this program.</summary>
    public StageCost Largest => Stages.Where(stage => stage.Name != "decode").MaxBy(stage => stage.Peak)!;

    /// <summary>The plan of a run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="request">The run; its frames are those sampled at once.</param>
    /// <param name="calls">Model calls of the schedule; some may be done.</param>
    /// <param name="precision">Where and in which type the model computes, and how much of it stays in memory.</param>
    public static MemoryPlan Of(VideoModel model, GenerationRequest request, int calls, Precision precision) =>
        new(model.Tokens(request.Settings), model.Costs(request, calls, precision)) { IsBegun = request.CallsDone is not null };

    /// <summary>
    /// Refuses a run that doesn't fit into memory, before anything is loaded.
    /// </summary>
    /// <param name="free">What may be used.</param>
    /// <param name="smaller">The plan for other settings; true means streamed weights.</param>
    /// <param name="model">The model.</param>
    /// <param name="settings">What to make.</param>
    /// <param name="isOfClip">Whether it is made from a clip, whose size and length are fixed: only its windows can be shorter.</param>
    /// <exception cref="SoraException">It doesn't fit; the hint is the smallest change that does.</exception>
    public void Require(
        FreeMemory free,
        Func<SamplingSettings, bool, MemoryPlan> smaller,
        VideoModel model,
        SamplingSettings settings,
        bool isOfClip = false
    )
    {
        bool Fits(SamplingSettings other, bool streamed) => smaller(other, streamed).Largest.Needed <= free.Bytes;
        string? First(bool streamed) => SmallestChange(model, settings, isOfClip, other => Fits(other, streamed));
        free.Require(
            Largest,
            () =>
                Fits(settings, true) ? "--offload sequential fits"
                : (First(false) ?? (First(true) is { } change ? $"--offload sequential {change}" : null)) is not { } smallest
                    ? "the weights alone don't fit: use a smaller model"
                : IsBegun ? $"starting over, {smallest} fits"
                : $"{smallest} fits"
        );
    }

    /// <summary>The plan as lines of text.</summary>
    public IEnumerable<string> Lines() => Stages.Select(stage => stage.Line).Prepend($"{Tokens} tokens");

    /// <summary>The longest video, or window over a clip, that fits; where even the shortest doesn't, the largest size too.</summary>
    private static string? SmallestChange(VideoModel model, SamplingSettings settings, bool isOfClip, Func<SamplingSettings, bool> fits)
    {
        var (geometry, factor) = (model.Geometry, model.Geometry.TemporalFactor);
        // A window has a latent frame to see, and one to make.
        var (option, shortest) = isOfClip
            ? ("--window", Math.Min(settings.Frames, geometry.VideoFrames(2)))
            : ("--frames", geometry.VideoFrames(1));
        // Bisects how many groups of frames beyond the shortest video fit, from none to all.
        var (most, tooMany) = (-1, ((settings.Frames - shortest) / factor) + 1);
        while (tooMany - most > 1)
        {
            var middle = most + ((tooMany - most) / 2);
            if (fits(settings with { Frames = shortest + (middle * factor) }))
                most = middle;
            else
                tooMany = middle;
        }
        if (most >= 0)
            return $"{option} {shortest + (most * factor)}";
        foreach (var size in new FrameSize(settings.Width, settings.Height).Smaller().Select(less => VideoSize.Floor(model, less)))
        {
            if (!fits(settings with { Width = size.Width, Height = size.Height, Frames = shortest }))
                continue;
            return isOfClip
                ? $"--window {shortest} with a clip of {size} (sora decode | sora encode --size {size})"
                : $"--size {size} --frames {shortest}";
        }
        return null;
    }
}
