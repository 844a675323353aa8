using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// Sizes of overlapping tiles in pixels: used where a frame is larger than <c>Min</c>, a tile begins at every
/// multiple of <c>Stride</c>, and the overlap is blended.
/// </summary>
public sealed record VaeTiling(int MinHeight = 256, int MinWidth = 256, int StrideHeight = 192, int StrideWidth = 192);

/// <summary>Tiles along one axis: sizes that go in, and sizes that come out.</summary>
internal readonly record struct TileAxis(long Size, long Tile, long Stride, long OutSize, long OutStride, long Blend)
{
    public int Count => (int)((Size + Stride - 1) / Stride);

    public Tensor Cut(Tensor x, int dim, int index) => x.narrow(dim, index * Stride, Math.Min(Tile, Size - index * Stride));

    public Tensor Crop(Tensor y, int dim) => y.narrow(dim, 0, Math.Min(OutStride, y.shape[dim]));
}

/// <summary>A stream through a network with a memory of its own for each tile; the overlaps are blended.</summary>
internal sealed class TiledStream : IDisposable
{
    private const int Height = 3,
        Width = 4;

    private readonly TileAxis rows,
        columns;
    private readonly StreamMemory[] memories;

    /// <summary>A single tile: the frame.</summary>
    public TiledStream() => memories = [new StreamMemory()];

    public TiledStream(TileAxis rows, TileAxis columns)
    {
        (this.rows, this.columns) = (rows, columns);
        memories = [.. Enumerable.Range(0, rows.Count * columns.Count).Select(_ => new StreamMemory())];
    }

    /// <param name="x">The next chunk, <c>[B, C, T, H, W]</c>.</param>
    /// <param name="network">What each tile goes through, with its memory.</param>
    public Tensor Forward(Tensor x, Func<Tensor, StreamMemory, Tensor> network)
    {
        if (columns.Size == 0)
            return network(x, memories[0]);
        using var scope = NewDisposeScope();
        var above = new Tensor[columns.Count];
        var joined = new List<Tensor>();
        for (var i = 0; i < rows.Count; i++)
        {
            var cropped = new List<Tensor>();
            for (var j = 0; j < columns.Count; j++)
            {
                var tile = network(columns.Cut(rows.Cut(x, Height, i), Width, j).contiguous(), memories[i * columns.Count + j]);
                // In place and in this order: a tile is blended with neighbours that are already blended.
                if (i > 0)
                    Blend(above[j], tile, Height, rows.Blend);
                if (j > 0)
                    Blend(above[j - 1], tile, Width, columns.Blend);
                above[j] = tile;
                cropped.Add(columns.Crop(rows.Crop(tile, Height), Width));
            }
            joined.Add(cat([.. cropped], Width));
        }
        var whole = cat([.. joined], Height);
        return whole
            .narrow(Height, 0, Math.Min(rows.OutSize, whole.shape[Height]))
            .narrow(Width, 0, Math.Min(columns.OutSize, whole.shape[Width]))
            .contiguous()
            .MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (var memory in memories)
            memory.Dispose();
    }

    /// <summary>The first n lines of <paramref name="tile"/> fade in from the last n of its neighbour.</summary>
    private static void Blend(Tensor neighbour, Tensor tile, int dim, long overlap)
    {
        var lines = Math.Min(overlap, Math.Min(neighbour.shape[dim], tile.shape[dim]));
        if (lines <= 0)
            return;
        using var scope = NewDisposeScope();
        var weight = arange(lines, tile.dtype, tile.device).div(lines).view(dim == Height ? [lines, 1] : [1, lines]);
        var edge = neighbour.narrow(dim, neighbour.shape[dim] - lines, lines);
        tile.narrow(dim, 0, lines).mul_(weight).add_(edge.mul(weight.mul(-1).add(1)));
    }
}
