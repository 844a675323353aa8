using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// The weights of a transformer for more heads and a width in proportion, so that it keeps what it knows (Chen et al.
/// 2016, "Net2Net: accelerating learning via knowledge transfer"). A network can't draw well what is wider than its own tokens
/// (Zheng et al. 2025, "Diffusion transformers with representation autoencoders"), and a few channels are left to think with where
/// latents and scene take nearly all of them. New parts read what is there with random weights and are written nowhere, so the
/// answer stays what it was but for what the norms make of the added width: layer norms of tokens whose mean is near zero and
/// RMS norms of queries and keys see the root of the ratio of widths, and what follows them is divided by it.
/// </summary>
internal static class WiderTransformer
{
    /// <summary>
    /// Size of new weights relative to the old ones of their tensor where they read new channels, and where they make queries and
    /// keys, which are normalised together with the old ones.
    /// </summary>
    private const double Quiet = 0.1;

    /// <summary>What a block multiplies its new channels by before it adds them: not zero, for they have to learn.</summary>
    private const double Gate = 0.5;

    /// <summary>Tensors that read tokens, and that read something that stays as wide as it was or is given nothing new.</summary>
    private static readonly string[] Readers =
        ["attn1.to_q.weight", "attn1.to_k.weight", "attn1.to_v.weight", "attn2.to_q.weight", "ffn.net.0.proj.weight"],
        OtherReaders =

        [
            "attn2.to_k.weight",
            "attn2.to_v.weight",
            "time_embedder.linear_1.weight",
            "text_embedder.linear_1.weight",
            "text_embedder.linear_2.weight",
        ];

    /// <summary>The sizes with so many heads.</summary>
    public static WanTransformerConfig Sizes(WanTransformerConfig narrow, int heads) =>
        narrow with
        {
            NumAttentionHeads = heads,
            FfnDim = narrow.FfnDim * heads / narrow.NumAttentionHeads,
        };

    /// <summary>Weights of these sizes for so many heads, in memory; the same seed gives the same numbers.</summary>
    public static TensorSet Widen(TensorSource narrow, WanTransformerConfig sizes, int heads, ulong seed)
    {
        var wide = Sizes(sizes, heads);
        using var scope = NewDisposeScope();
        using var shapes = Weights.Meta();
        using var built = new WanTransformer(wide, shapes);
        using var generator = new Generator(seed);
        var ratio = Math.Sqrt(wide.Dim / (double)sizes.Dim);
        var tensors = shapes
            .Named()
            .OrderBy(p => p.Key, StringComparer.Ordinal)
            .Select(p =>
                KeyValuePair.Create(
                    p.Key,
                    TensorIO.ToHost(Wide(p.Key, TensorIO.Load(narrow, p.Key, float32), p.Value.shape, ratio, generator))
                )
            )
            .ToList();
        return new TensorSet(tensors, origin: narrow.Origin);
    }

    private static Tensor Wide(string name, Tensor old, long[] shape, double ratio, Generator generator)
    {
        if (name.Contains("norm") && !name.EndsWith("bias"))
            return Ops.Padded(old / ratio, shape, 1 / ratio);
        // Shift, scale and gate of both halves of a block lie one after the other.
        if (name.Contains("time_proj"))
        {
            long[] inner = [6, shape[0] / 6, .. shape[1..]];
            var vectors = old.view([6, old.shape[0] / 6, .. old.shape[1..]]).clone();
            foreach (var scale in (long[])[1, 4])
                vectors.select(0, scale).div_(ratio);
            return Ops.Padded(vectors, inner).view(shape);
        }
        if (name.EndsWith("scale_shift_table"))
        {
            var table = Ops.Padded(old, shape);
            for (var i = 0L; i < shape[1]; i++)
            {
                var vector = table.select(1, i);
                if (i % 3 == 1)
                    vector.add_(1).div_(ratio).sub_(1);
                if (i % 3 == 2)
                    vector.narrow(1, old.shape[2], shape[2] - old.shape[2]).fill_(Gate);
            }
            return table;
        }
        var reads = Readers.Any(name.EndsWith);
        if (!reads && !OtherReaders.Any(name.EndsWith))
            return Ops.Padded(old, shape);
        var size = old.square().mean().sqrt().ToDouble();
        var wide = randn(shape, generator: generator) * size;
        if (name.EndsWith("to_q.weight") || name.EndsWith("to_k.weight"))
            wide.mul_(Quiet);
        wide.narrow(1, old.shape[1], shape[1] - old.shape[1]).mul_(reads ? Quiet : 0);
        wide.narrow(0, 0, old.shape[0]).narrow(1, 0, old.shape[1]).copy_(old);
        return wide;
    }
}
