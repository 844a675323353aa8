using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Clips of one shape: RGB bytes <c>[B, F, H, W, 3]</c>.</summary>
internal sealed record ClipBatch(byte[] Rgb, ClipShape Shape, int Count)
{
    /// <summary>A caption of each clip, "" where it has none.</summary>
    public string[] Captions { get; init; } = [];

    /// <summary>The pixels as <c>[B, 3, F, H, W]</c> in [-1, 1].</summary>
    public Tensor Pixels() =>
        tensor(Rgb, [Count, Shape.Frames, Shape.Height, Shape.Width, 3], dtype: ScalarType.Byte)
            .to(ScalarType.Float32)
            .permute(0, 4, 1, 2, 3)
            .contiguous()
            .div_(127.5)
            .sub_(1);
}

/// <summary>The batches of a VAE's training: a step draws one shape, and clips of that shape, from its own seed.</summary>
internal sealed class ClipBatches : IDisposable
{
    private readonly Prefetch<ClipBatch> prefetch;
    private long next;

    /// <param name="source">Where clips come from.</param>
    /// <param name="shapes">Shapes and how many clips a batch of each has.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="firstStep">The step that <see cref="Take"/> is asked for first.</param>
    public ClipBatches(ClipSource source, IReadOnlyList<(ClipShape Shape, int Count)> shapes, ulong seed, long firstStep)
    {
        Shapes = [.. shapes.Select(s => s.Shape)];
        next = firstStep;
        prefetch = new Prefetch<ClipBatch>(
            firstStep,
            step =>
            {
                var random = new Rng(seed, (ulong)step);
                var (shape, count) = shapes[random.Below(shapes.Count)];
                return Draw(source, shape, random.NextBits(), count);
            }
        );
    }

    /// <summary>The shapes that are drawn.</summary>
    public IReadOnlyList<ClipShape> Shapes { get; }

    /// <summary>The batch of a step; steps are taken in order.</summary>
    public ClipBatch Take(long step, CancellationToken cancellation)
    {
        if (step != next++)
            throw new ArgumentOutOfRangeException(nameof(step), step, $"expected {next - 1}");
        return prefetch.Take(cancellation);
    }

    public void Dispose() => prefetch.Dispose();

    /// <summary>Draws <paramref name="count"/> clips; the clips of different seeds are independent.</summary>
    public static ClipBatch Draw(ClipSource source, ClipShape shape, ulong seed, int count)
    {
        var (rgb, captions) = (new byte[shape.Bytes * count], new string[count]);
        Parallel.For(
            0,
            count,
            i =>
            {
                var random = new Rng(seed, (ulong)i);
                var own = random.NextBits();
                source.Draw(own, shape, rgb.AsSpan(i * shape.Bytes, shape.Bytes));
                captions[i] = source.Caption(own, shape, random.NextBits());
            }
        );
        return new ClipBatch(rgb, shape, count) { Captions = captions };
    }
}
