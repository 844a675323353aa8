using System.Globalization;
using Sora.Tensors;

namespace Sora.Nn;

/// <summary>
/// How much of a transformer or text encoder stays in memory, ready to
/// compute, between runs. The result is the same, bit for bit.
/// </summary>
/// <param name="Blocks">
/// Blocks that stay, however they are stored; the others are read from their files, and widened, each time they run, the
/// next one while one computes. Null: all of them, except weights in compact formats, which stay as stored.
/// </param>
public readonly record struct Offload(int? Blocks)
{
    private const string Prefix = "blocks=";

    /// <summary>What fits into memory is not read twice.</summary>
    public static Offload None { get; }

    /// <summary>One block after another: the least memory.</summary>
    public static Offload Sequential { get; } = new(0);

    /// <summary>Reads <c>none</c>, <c>sequential</c> or <c>blocks=N</c>.</summary>
    /// <exception cref="SoraException">It is none of these.</exception>
    public static Offload Parse(string text)
    {
        if (text == "none")
            return None;
        if (text == "sequential")
            return Sequential;
        return
            text.StartsWith(Prefix, StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var blocks)
            ? new(blocks)
            : throw SoraException.Usage($"'{text}' is not one of none, sequential, blocks=N", "blocks=10 keeps ten blocks in memory");
    }

    /// <summary>Blocks that stay for a part with these weights; null: all of them.</summary>
    public int? Kept(TensorSource weights) => Blocks ?? (weights.IsCompact ? 0 : null);
}
