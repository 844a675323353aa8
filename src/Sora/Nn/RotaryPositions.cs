using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>
/// Rotary positions (https://arxiv.org/abs/2104.09864) on three axes: each head's first entries turn with time, the
/// next with the row, the last with the column, in neighbouring pairs.
/// </summary>
internal sealed class RotaryPositions(int headDim, double theta = 10000)
{
    // Training mixes a dozen sizes, cut to any number of frames; sampling uses one.
    private const int MaxTables = 256;

    private readonly Dictionary<(long, long, long, string), Tensor> tables = [];

    /// <summary>exp(i position frequency) of each pair for T x H x W tokens: complex <c>[T H W, 1, headDim / 2]</c>, kept.</summary>
    public Tensor Table(long frames, long rows, long columns, Device device)
    {
        var key = (frames, rows, columns, device.ToString());
        // Training runs the network on several threads; one of them may still use an evicted table, so that is left to
        // its finaliser.
        lock (tables)
        {
            if (tables.TryGetValue(key, out var table))
                return table;
            if (tables.Count == MaxTables)
                tables.Clear();
            return tables[key] = Build(frames, rows, columns, device).DetachFromDisposeScope();
        }
    }

    /// <summary>Turns the pairs of <paramref name="x"/>, <c>[B, L, heads, headDim]</c>, which may be overwritten.</summary>
    public static Tensor Turn(Tensor x, Tensor table)
    {
        using var scope = NewDisposeScope();
        var pairs = (x.dtype == float32 ? x : x.to(float32)).view(x.shape[0], x.shape[1], x.shape[2], x.shape[3] / 2, 2).view_as_complex();
        var turned = Ops.NeedsNoGradient(pairs) ? pairs.mul_(table) : pairs.mul(table);
        return turned.view_as_real().flatten(3).to(x.dtype).MoveToOuterDisposeScope();
    }

    private Tensor Build(long frames, long rows, long columns, Device device)
    {
        using var scope = NewDisposeScope();
        var space = headDim / 6 * 2;
        var time = headDim - 2 * space;

        // Angles in double, as in the original: [length, width / 2].
        Tensor Angles(long length, long width) =>
            outer(arange(length, float64, device), arange(0, width, 2, float64, device).div(width).mul(-Math.Log(theta)).exp());

        var angles = cat(
                [
                    Angles(frames, time).view(frames, 1, 1, -1).expand(frames, rows, columns, -1),
                    Angles(rows, space).view(1, rows, 1, -1).expand(frames, rows, columns, -1),
                    Angles(columns, space).view(1, 1, columns, -1).expand(frames, rows, columns, -1),
                ],
                3
            )
            .reshape(frames * rows * columns, 1, headDim / 2);
        return complex(angles.cos().to(float32), angles.sin().to(float32)).MoveToOuterDisposeScope();
    }
}
