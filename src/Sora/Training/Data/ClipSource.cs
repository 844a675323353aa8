using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Size of a training clip: width and height in pixels, and frames (1, or 1 + 4k).</summary>
public readonly record struct ClipShape(int Width, int Height, int Frames)
{
    /// <summary>Bytes of its RGB frames.</summary>
    public int Bytes => Width * Height * Frames * 3;

    /// <summary>Reads "64x64x9" (width x height x frames).</summary>
    /// <exception cref="SoraException">The text is not such a size, or frames are not 1 + 4k.</exception>
    public static ClipShape Parse(string text)
    {
        var parts = text.Split('x');
        if (
            parts.Length == 3
            && int.TryParse(parts[0], out var w)
            && int.TryParse(parts[1], out var h)
            && int.TryParse(parts[2], out var f)
            && w > 0
            && h > 0
            && f > 0
            && f % 4 == 1
        )
        {
            return new ClipShape(w, h, f);
        }
        throw SoraException.Usage($"'{text}' is not a clip size", "write WIDTHxHEIGHTxFRAMES with 1, 5, 9, 13 … frames, as in 64x64x9");
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Width}x{Height}x{Frames}";
}

/// <summary>
/// Where training clips come from. Every clip is a function of its seed, so that a run that is resumed sees what the
/// uninterrupted one would have seen, and nothing needs to be stored.
/// </summary>
public abstract class ClipSource
{
    /// <summary>Draws the clip of a seed: RGB bytes <c>[F, H, W, 3]</c> into <paramref name="rgb"/>. Called from many threads.</summary>
    public abstract void Draw(ulong seed, ClipShape shape, Span<byte> rgb);

    /// <summary>A caption of the clip of a seed and shape; variants differ in wording and detail.</summary>
    public abstract string Caption(ulong seed, ClipShape shape, ulong variant);

    /// <summary>Words that captions can contain.</summary>
    public abstract IEnumerable<string> Words { get; }

    /// <summary>How many numbers <see cref="Describe"/> has for each place; 0: the source doesn't know what its clips show.</summary>
    public virtual int Descriptors => 0;

    /// <summary>
    /// Says what is where in the clip of a seed, <c>[Descriptors, T, h, w]</c> on the grid of its latents. Called from many
    /// threads.
    /// </summary>
    /// <exception cref="NotSupportedException"><see cref="Descriptors"/> is 0.</exception>
    public virtual void Describe(ulong seed, ClipShape shape, LatentGrid grid, Span<float> descriptors) =>
        throw new NotSupportedException();

    /// <summary>The descriptors that say which part of a place things cover: the first, their count, and their sum for all of it.</summary>
    internal virtual (int First, int Count, float Whole) Taken => (0, 0, 1);

    /// <summary>A mark for each thing that a caption mentions, in order; none: the source doesn't know what captions mention.</summary>
    public virtual IReadOnlyList<string> Marks => [];

    /// <summary>How many things the captions of a seed mention; 0: the source doesn't know. Called from many threads.</summary>
    public virtual int Things(ulong seed, ClipShape shape) => 0;

    /// <summary>How many numbers <see cref="DescribeThings"/> has for each of <see cref="Marks"/>.</summary>
    public virtual int ThingDescriptors => 0;

    /// <summary>
    /// Describes the things that every caption of a seed mentions, <c>[Marks, ThingDescriptors]</c>; zeros where there are
    /// fewer. Called from many threads.
    /// </summary>
    /// <exception cref="NotSupportedException">There are no <see cref="Marks"/>.</exception>
    public virtual void DescribeThings(ulong seed, ClipShape shape, Span<float> descriptors) => throw new NotSupportedException();

    /// <summary>Whether the source knows how far away everything in its clips is.</summary>
    public virtual bool KnowsDepth => false;

    /// <summary>
    /// The distances along the optical axis in the clip of a seed, <c>[F, H, W]</c>, infinite in the sky, in the source's own unit.
    /// Called from many threads.
    /// </summary>
    /// <exception cref="NotSupportedException"><see cref="KnowsDepth"/> is false.</exception>
    public virtual void Measure(ulong seed, ClipShape shape, Span<float> depth) => throw new NotSupportedException();

    /// <summary>What <see cref="Describe"/> says of several clips, <c>[N, Descriptors, T, h, w]</c>.</summary>
    internal Tensor DescribeAll(ReadOnlySpan<ulong> seeds, ClipShape shape, LatentGrid grid)
    {
        var (size, all) = (Descriptors * grid.Places, new float[seeds.Length * Descriptors * grid.Places]);
        for (var i = 0; i < seeds.Length; i++)
            Describe(seeds[i], shape, grid, all.AsSpan(i * size, size));
        return tensor(all, [seeds.Length, Descriptors, grid.Frames, grid.Rows, grid.Columns]);
    }

    /// <summary>
    /// How much of each place things cover, <c>[N, 1, T, h, w]</c>: 0 for nothing, 1 from a quarter of the place on, because
    /// outlines matter as much as what is inside them.
    /// </summary>
    /// <param name="described">What is where, <c>[N, Descriptors, T, h, w]</c>.</param>
    internal Tensor Presence(Tensor described)
    {
        var (first, count, whole) = Taken;
        return (described.narrow(1, first, count).sum(1, keepdim: true) * (4 / whole)).clamp(0, 1);
    }
}

/// <summary>Latent frames, rows and columns of a clip.</summary>
public readonly record struct LatentGrid(int Frames, int Rows, int Columns)
{
    /// <summary>How many places it has.</summary>
    public int Places => Frames * Rows * Columns;
}

/// <summary>Draws from several sources, each with its share.</summary>
/// <param name="parts">The sources and their weights.</param>
public sealed class MixedSource(IReadOnlyList<(ClipSource Source, double Weight)> parts) : ClipSource
{
    /// <inheritdoc/>
    public override IEnumerable<string> Words => parts.SelectMany(p => p.Source.Words).Distinct();

    /// <inheritdoc/>
    public override void Draw(ulong seed, ClipShape shape, Span<byte> rgb) => Pick(seed).Draw(seed, shape, rgb);

    /// <inheritdoc/>
    public override string Caption(ulong seed, ClipShape shape, ulong variant) => Pick(seed).Caption(seed, shape, variant);

    private ClipSource Pick(ulong seed)
    {
        var at = new Rng(seed, 0x6d6978).Uniform() * parts.Sum(p => p.Weight);
        foreach (var (source, weight) in parts)
        {
            if ((at -= weight) < 0)
                return source;
        }
        return parts[^1].Source;
    }
}
