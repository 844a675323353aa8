using Sora.Models;

namespace Sora.Sampling;

/// <summary>
/// How many video frames <see cref="Joins"/> samples at once, as long as no window is shorter: what is made, and what it sees
/// on either side. The plan of a run counts them.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="settings">Of the joins.</param>
public sealed class JoinLengths(ModelFolder model, SamplingSettings settings)
{
    private readonly int group = model.Vae.TemporalFactor;

    private long Overlap => Windows.Latents(settings.Overlap, group);

    /// <summary>Frames behind a clip of so many.</summary>
    public int After(int clip, int frames) => Video(Latents(clip) + Groups(frames));

    /// <summary>Frames before a clip of so many.</summary>
    public int Before(int clip, int frames) => Video(Groups(frames) + 1 + Following(clip));

    /// <summary>Frames from the end of a clip of so many to its start.</summary>
    public int Loop(int clip, int frames) => Video(Math.Min(Latents(clip), Overlap) + Groups(frames) + Following(clip));

    /// <summary>Frames from the end of a clip of so many to the start of another one.</summary>
    public int Between(int first, int second, int frames) => Video(Math.Min(Latents(first), 1 + Overlap) + Groups(frames) + Following(second));

    /// <summary>Latent frames that are seen of a clip that follows, whose first frame is told by a hint.</summary>
    private long Following(int clip) => Math.Min(Latents(clip) - 1, Overlap);

    private long Latents(int frames) => Windows.Latents(frames, group);

    private long Groups(int frames) => ((long)frames + group - 1) / group;

    private int Video(long latents) => (int)Math.Min(int.MaxValue, ((latents - 1) * group) + 1);
}
