using System.Text.RegularExpressions;
using Sora.Nn;
using Sora.Tensors;

namespace Sora.Models.Wan;

/// <summary>How much of a part's weights is in memory while it computes, from the headers of its files alone.</summary>
/// <param name="Elements">
/// Numbers that are ready to compute: what stays, plus, where blocks are streamed, the running one and the next.
/// </param>
/// <param name="Streamed">Bytes of the others, as stored in the files.</param>
internal sealed partial record ResidentWeights(long Elements, long Streamed)
{
    /// <summary>For the transformer; for the larger one where there are two experts, of which one is in memory at a time.</summary>
    public static ResidentWeights OfTransformer(ModelFolder model, Offload offload)
    {
        var first = Of(model, "transformer", offload);
        var second = model.Has("transformer_2") ? Of(model, "transformer_2", offload) : first;
        return first.Elements >= second.Elements ? first : second;
    }

    /// <summary>For a part that has blocks.</summary>
    public static ResidentWeights Of(ModelFolder model, string part, Offload offload)
    {
        using var weights = model.OpenWeights(part);
        var tensors = weights.Tensors.Values;
        // In the order in which they run: those of VACE come first.
        var blocks = tensors
            .Where(tensor => Block().IsMatch(tensor.Name))
            .GroupBy(tensor => Block().Match(tensor.Name).Value)
            .OrderBy(block => block.Key.StartsWith('b'))
            .ThenBy(block => int.Parse(block.Key.Split('.')[^2]));
        if (offload.Kept(weights) is not { } kept)
            return new(Count(tensors), 0);
        var streamed = blocks.Skip(kept).ToList();
        // Only the rows of an embedding that are needed are read.
        var away = streamed
            .SelectMany(block => block)
            .Concat(tensors.Where(tensor => tensor.Name is "shared.weight" or "encoder.embed_tokens.weight"))
            .ToList();
        // Keys and values of the text are computed before the passes, which don't read what those need.
        var running = streamed
            .Select(block => Count(block.Where(tensor => !CrossAttentionKeys().IsMatch(tensor.Name))))
            .OrderDescending()
            .Take(2)
            .Sum();
        return new(Count(tensors) - Count(away) + running, away.Sum(tensor => weights.Stored(tensor.Name).Bytes));
    }

    private static long Count(IEnumerable<TensorInfo> tensors) => tensors.Sum(tensor => tensor.Elements);

    [GeneratedRegex(@"^((vace_)?blocks|encoder\.block)\.\d+\.")]
    private static partial Regex Block();

    [GeneratedRegex(@"\.attn2\.(to_k|to_v|norm_k|add_k_proj|add_v_proj|norm_added_k)\.")]
    private static partial Regex CrossAttentionKeys();
}
