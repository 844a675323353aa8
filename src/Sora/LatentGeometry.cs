namespace Sora;

/// <summary>
/// How video frames map to latents. The first latent frame is <see cref="FirstFrames"/> video frames, and every later one
/// <see cref="TemporalFactor"/> of them; each latent is a square of <see cref="SpatialFactor"/> pixels.
/// </summary>
/// <param name="Channels">Channels of the latents.</param>
/// <param name="TemporalFactor">Video frames of a latent frame after the first.</param>
/// <param name="SpatialFactor">Pixels a side of a latent.</param>
/// <param name="FirstFrames">Video frames of the first latent frame: one in causal VAEs, otherwise as many as the others have.</param>
public readonly record struct LatentGeometry(int Channels, int TemporalFactor, int SpatialFactor, int FirstFrames = 1)
{
    /// <summary>The frame counts it allows, such as <c>1+4n</c>; clips state it.</summary>
    public string FrameGrid => FirstFrames == TemporalFactor ? $"{TemporalFactor}n" : $"{FirstFrames}+{TemporalFactor}n";

    /// <summary>Latent frames that fit into this many video frames, at least one.</summary>
    public int LatentFrames(int frames) => Math.Max(0, frames - FirstFrames) / TemporalFactor + 1;

    /// <summary>Video frames of this many latent frames; 0 of none.</summary>
    public int VideoFrames(long latentFrames) =>
        latentFrames == 0 ? 0 : (int)Math.Min(int.MaxValue, (latentFrames - 1) * TemporalFactor + FirstFrames);

    /// <summary>The latent frame that a video frame belongs to.</summary>
    public int LatentFrameOf(int frame) => AddedLatentFrames(frame - FirstFrames + 1);

    /// <summary>Latent frames that are added to a clip to make it this many video frames longer, or more.</summary>
    public int AddedLatentFrames(int frames) => (int)((Math.Max(0L, frames) + TemporalFactor - 1) / TemporalFactor);

    /// <summary>
    /// The largest number of video frames, at most <paramref name="frames"/>, that fills whole latent frames; those of
    /// one latent frame where there are fewer.
    /// </summary>
    public int WholeFrames(int frames) => VideoFrames(LatentFrames(frames));

    /// <summary>Frame size in pixels for latents of this many rows and columns.</summary>
    public FrameSize PixelSize(long rows, long columns) => new((int)columns * SpatialFactor, (int)rows * SpatialFactor);

    /// <summary>Size and number of the frames of latents <c>[1, C, T, h, w]</c>.</summary>
    public (FrameSize Size, int Frames) VideoOf(ReadOnlySpan<long> shape) => (PixelSize(shape[3], shape[4]), VideoFrames(shape[2]));

    /// <summary>The shape [1, C, T, h, w] of a video's latents.</summary>
    public long[] Shape(int frames, int height, int width) =>
        [1, Channels, LatentFrames(frames), height / SpatialFactor, width / SpatialFactor];
}
