using Sora.Diffusion;
using Sora.Models;

namespace Sora.Pipelines;

/// <summary>
/// How many video frames <see cref="ClipJoiner"/> samples at once, as long as no window is shorter: what it makes, and
/// what it sees on either side. The plan of a run counts them.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="settings">The joins' settings.</param>
public sealed class JoinLengths(VideoModel model, SamplingSettings settings)
{
    private readonly LatentGeometry geometry = model.Geometry;

    private long Overlap => geometry.LatentFrames(settings.Overlap);

    /// <summary>Frames after a clip of this many.</summary>
    public int After(int clip, int frames) => geometry.VideoFrames(geometry.LatentFrames(clip) + geometry.AddedLatentFrames(frames));

    /// <summary>Frames before a clip of this many.</summary>
    public int Before(int clip, int frames) => geometry.VideoFrames(geometry.AddedLatentFrames(frames) + 1 + Following(clip));

    /// <summary>Frames from the end of a clip of this many to its start.</summary>
    public int Loop(int clip, int frames) =>
        geometry.VideoFrames(Math.Min(geometry.LatentFrames(clip), Overlap) + geometry.AddedLatentFrames(frames) + Following(clip));

    /// <summary>Frames from the end of a clip of this many to the start of another one.</summary>
    public int Between(int first, int second, int frames) =>
        geometry.VideoFrames(Math.Min(geometry.LatentFrames(first), 1 + Overlap) + geometry.AddedLatentFrames(frames) + Following(second));

    /// <summary>Latent frames seen of a clip that follows; a hint stands for its first frame.</summary>
    private long Following(int clip) => Math.Min(geometry.LatentFrames(clip) - 1, Overlap);
}
