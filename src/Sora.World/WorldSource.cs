using Sora.Training;

namespace Sora.World;

/// <summary>The synthetic world as a source of training clips: the scene of a seed, its picture, its captions.</summary>
public sealed class WorldSource : ClipSource
{
    private const ulong CaptionStream = 0x77_6f_72_64;

    /// <summary>Frames a second of its clips.</summary>
    public const double Fps = SceneOptions.DefaultFps;

    /// <inheritdoc/>
    public override IEnumerable<string> Words => Captions.Vocabulary.Concat(Captions.Marks);

    /// <inheritdoc/>
    public override void Draw(ulong seed, ClipShape shape, Span<byte> rgb)
    {
        var clip = RenderedClip.Allocate(shape.Width, shape.Height, shape.Frames);
        Renderer.Render(SceneOf(seed, shape), clip, Fps, threads: 1);
        clip.Rgb.CopyTo(rgb);
    }

    /// <inheritdoc/>
    public override string Caption(ulong seed, ClipShape shape, ulong variant) =>
        Captions.Write(SceneOf(seed, shape), new Rng(variant, CaptionStream), CaptionStyle.Mixed);

    /// <inheritdoc/>
    public override int Descriptors => SceneMap.Channels;

    /// <inheritdoc/>
    public override void Describe(ulong seed, ClipShape shape, LatentGrid grid, Span<float> descriptors) =>
        SceneMap.Draw(SceneOf(seed, shape), shape, grid, Fps, descriptors);

    /// <inheritdoc/>
    public override bool KnowsDepth => true;

    /// <inheritdoc/>
    public override void Measure(ulong seed, ClipShape shape, Span<float> depth) =>
        Renderer.Measure(SceneOf(seed, shape), shape.Width, shape.Height, Fps, depth[..(shape.Bytes / 3)]);

    internal override (int First, int Count, float Whole) Taken => SceneMap.Taken;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Marks { get; } = [.. Enumerable.Range(1, SceneMap.Objects).Select(i => $"<object{i}>")];

    /// <inheritdoc/>
    public override int Things(ulong seed, ClipShape shape) => SceneOf(seed, shape).Objects.Count;

    /// <inheritdoc/>
    public override int ThingDescriptors => SceneMap.ObjectNumbers;

    /// <inheritdoc/>
    public override void DescribeThings(ulong seed, ClipShape shape, Span<float> descriptors) =>
        SceneMap.Name(SceneOf(seed, shape), descriptors);

    private static Scene SceneOf(ulong seed, ClipShape shape) =>
        SceneSampler.Draw(new Rng(seed), new SceneOptions { Frames = shape.Frames, Aspect = shape.Width / (double)shape.Height });
}
