using Sora.Diffusion;
using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Conditions;

/// <summary>A picture that a frame of the result shows.</summary>
/// <param name="Frame">Index of the video frame.</param>
/// <param name="Picture">The picture, of any size.</param>
/// <param name="Fit">How it is brought to the video's size.</param>
public sealed record Still(int Frame, Image Picture, Fit Fit);

/// <summary>
/// What is known of a video before it is made. Every verb is one of these: nothing is known to make a video from text,
/// frame 0 to animate a still, the old clip to extend it, what lies outside a region to change the inside, and a whole
/// clip up to a noise level to remake it. How the network is told is up to its <see cref="EncodedConditioning"/>.
/// </summary>
public sealed record Conditioning
{
    /// <summary>Nothing is known.</summary>
    public static readonly Conditioning Nothing = new();

    /// <summary>Normalised latents [1, C, T, h, w], or null.</summary>
    public Tensor? Known { get; init; }

    /// <summary>
    /// Where <see cref="Known"/> holds, [1, 1, T, h, w] of ones and zeros; null is nowhere. Elsewhere it is known only up
    /// to a noise level: the run starts from it with noise of <see cref="SamplingSettings.Strength"/>.
    /// </summary>
    public Tensor? Mask { get; init; }

    /// <summary>
    /// Raw latents [1, C, T, h, w] that the finished clip has, bit for bit, where
    /// <see cref="Mask"/> is 1; null: those of <see cref="Known"/>, rounded.
    /// </summary>
    public Tensor? Exact { get; init; }

    /// <summary>Where <see cref="Known"/> holds only roughly, as in <see cref="EncodedConditioning.Hints"/>; null is nowhere.</summary>
    public Tensor? Hints { get; init; }

    /// <summary>Pictures that frames show.</summary>
    public IReadOnlyList<Still> Stills { get; init; } = [];

    /// <summary>A control video and its references, for models that take them.</summary>
    public Control? Control { get; init; }
}

/// <summary>What a model that is controlled by a video (VACE) takes besides text.</summary>
public sealed record Control
{
    /// <summary>Frames of the control video; empty for none.</summary>
    public IReadOnlyList<Image> Video { get; init; } = [];

    /// <summary>A mask for each frame, white where the video is to be remade; empty: everywhere.</summary>
    public IReadOnlyList<Image> Mask { get; init; } = [];

    /// <summary>Pictures of what is to appear.</summary>
    public IReadOnlyList<Image> References { get; init; } = [];

    /// <summary>A factor for each control layer, or one for all.</summary>
    public IReadOnlyList<double> Scale { get; init; } = [1];

    /// <summary>Refuses a control video, or a mask of it, that is shorter than the video to make.</summary>
    internal void RequireLength(int frames)
    {
        if (Video.Count > 0 && Video.Count < frames)
            throw SoraException.Usage(
                $"the control video has {Video.Count} frames, but {frames} are to be generated",
                $"--frames {Video.Count}"
            );
        if (Mask.Count > 1 && Mask.Count < frames)
            throw SoraException.Usage(
                $"the mask has {Mask.Count} frames, but {frames} are to be generated",
                "a mask is one picture, or as long as the video"
            );
    }
}
