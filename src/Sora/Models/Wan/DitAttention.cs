using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// x / sqrt(mean(x^2) + eps) weight over the last axis, in float32 and
/// then in the weight's type, over all heads together.
/// </summary>
internal sealed class RmsNorm(Weights weights, long dim, double eps)
{
    private readonly Tensor weight = weights.Get("weight", Init.Ones, dim);

    /// <param name="x">May be overwritten.</param>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var wide = x.to(float32);
        var reciprocal = wide.square().mean([-1], keepdim: true).add_(eps).rsqrt_(); // [B, L, 1]
        if (!Ops.NeedsNoGradient(x, weight))
            return wide.mul(reciprocal).to(weight.dtype).mul(weight).MoveToOuterDisposeScope();
        wide.mul_(reciprocal);
        if (x.dtype != float32 || weight.dtype != float32)
            return wide.to(weight.dtype).mul_(weight).MoveToOuterDisposeScope();
        wide.mul_(weight);
        return x;
    }
}

/// <summary>Tokens attend to each other.</summary>
internal sealed class SelfAttention
{
    private readonly long heads;
    private readonly Linear toQ,
        toK,
        toV,
        toOut;
    private readonly RmsNorm normQ,
        normK;

    public SelfAttention(WanTransformerConfig config, Weights weights)
    {
        heads = config.NumAttentionHeads;
        toQ = new(weights.Scope("to_q"), config.Dim, config.Dim);
        toK = new(weights.Scope("to_k"), config.Dim, config.Dim);
        toV = new(weights.Scope("to_v"), config.Dim, config.Dim);
        toOut = new(weights.Scope("to_out", 0), config.Dim, config.Dim);
        normQ = new(weights.Scope("norm_q"), config.Dim, config.Eps);
        normK = new(weights.Scope("norm_k"), config.Dim, config.Eps);
    }

    /// <param name="x"><c>[B, L, dim]</c>.</param>
    /// <param name="rotary">Of <see cref="RotaryPositions.Table"/>.</param>
    /// <param name="trace">Of this attention.</param>
    public Tensor Forward(Tensor x, Tensor rotary, Trace trace)
    {
        using var scope = NewDisposeScope();
        var type = x.dtype;
        var q = toQ.Forward(x); // [B, L, dim]
        trace.Show("to_q", q);
        q = normQ.Forward(q);
        trace.Show("norm_q", q);
        var k = normK.Forward(toK.Forward(x)); // [B, L, dim]
        trace.Show("norm_k", k);
        q = RotaryPositions.Turn(Heads.Split(q, heads), rotary); // [B, L, heads, headDim]
        k = RotaryPositions.Turn(Heads.Split(k, heads), rotary); // [B, L, heads, headDim]
        // Norms in float32 give the softmax float32.
        var v = Heads.Split(toV.Forward(x), heads).to(q.dtype); // [B, L, heads, headDim]
        return toOut.Forward(Heads.Attend(q, k, v).to(type)).MoveToOuterDisposeScope(); // [B, L, dim]
    }
}

/// <summary>Tokens attend to the text, and in a softmax of its own to the image, where there is one.</summary>
internal sealed class CrossAttention
{
    private readonly long heads;
    private readonly Linear toQ,
        toOut;
    private readonly RmsNorm normQ;

    public CrossAttention(WanTransformerConfig config, Weights weights)
    {
        heads = config.NumAttentionHeads;
        toQ = new(weights.Scope("to_q"), config.Dim, config.Dim);
        toOut = new(weights.Scope("to_out", 0), config.Dim, config.Dim);
        normQ = new(weights.Scope("norm_q"), config.Dim, config.Eps);
    }

    /// <summary>Keys and values, <c>[B, n, heads, headDim]</c>, and what is added to the scores of the text.</summary>
    public sealed record Memory(Tensor K, Tensor V, Tensor? Bias, (Tensor K, Tensor V)? Image)
    {
        public void ForEach(Action<Tensor> action)
        {
            action(K);
            action(V);
            if (Bias is not null)
                action(Bias);
            if (Image is { } image)
            {
                action(image.K);
                action(image.V);
            }
        }
    }

    /// <param name="x"><c>[B, L, dim]</c>.</param>
    /// <param name="memory">Of <see cref="CrossAttentionKeys.Embed"/>.</param>
    public Tensor Forward(Tensor x, Memory memory)
    {
        using var scope = NewDisposeScope();
        var q = Heads.Split(normQ.Forward(toQ.Forward(x)), heads); // [B, L, heads, headDim]
        var y = Heads.Attend(q, memory.K, memory.V, memory.Bias); // [B, L, dim]
        if (memory.Image is { } image)
            y = Ops.AddInto(y, Heads.Attend(q, image.K, image.V));
        return toOut.Forward(y.to(x.dtype)).MoveToOuterDisposeScope(); // [B, L, dim]
    }
}

/// <summary>The other side of a block's cross attention: keys and values of text and image, computed once for all steps.</summary>
internal sealed class CrossAttentionKeys
{
    private readonly long heads;
    private readonly Linear toK,
        toV;
    private readonly RmsNorm normK;
    private readonly (Linear K, Linear V, RmsNorm NormK)? added;

    public CrossAttentionKeys(WanTransformerConfig config, Weights weights)
    {
        heads = config.NumAttentionHeads;
        toK = new(weights.Scope("to_k"), config.Dim, config.Dim);
        toV = new(weights.Scope("to_v"), config.Dim, config.Dim);
        normK = new(weights.Scope("norm_k"), config.Dim, config.Eps);
        if (config.AddedKvProjDim is { } imageDim)
            added = (
                new(weights.Scope("add_k_proj"), imageDim, config.Dim),
                new(weights.Scope("add_v_proj"), imageDim, config.Dim),
                new(weights.Scope("norm_added_k"), config.Dim, config.Eps)
            );
    }

    public CrossAttention.Memory Embed(ContextRows text, Tensor? image)
    {
        (Tensor, Tensor)? seen = null;
        if (image is not null)
        {
            var (toAddedK, toAddedV, normAddedK) = added ?? throw new ArgumentException("this transformer takes no image");
            seen = (Heads.Split(normAddedK.Forward(toAddedK.Forward(image)), heads), Heads.Split(toAddedV.Forward(image), heads));
        }
        return new(Heads.Split(normK.Forward(toK.Forward(text.Rows)), heads), Heads.Split(toV.Forward(text.Rows), heads), text.Bias, seen);
    }
}

/// <summary>Attention of heads.</summary>
internal static class Heads
{
    /// <summary><c>[B, L, dim]</c> to <c>[B, L, heads, dim / heads]</c>.</summary>
    public static Tensor Split(Tensor x, long heads) => x.view(x.shape[0], x.shape[1], heads, -1);

    /// <summary>softmax(q k' / sqrt(d) + bias) v for <c>[B, L, heads, d]</c>: <c>[B, L, heads d]</c>.</summary>
    public static Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor? bias = null)
    {
        using var scope = NewDisposeScope();
        // Keys and values of one text serve a whole batch.
        if (k.shape[0] != q.shape[0])
        {
            k = k.expand(q.shape[0], -1, -1, -1); // [B, n, heads, d]
            v = v.expand(q.shape[0], -1, -1, -1); // [B, n, heads, d]
        }
        var y = Functional.ScaledDotProductAttention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), bias);
        return y.transpose(1, 2).flatten(2).MoveToOuterDisposeScope(); // [B, heads, L, d] to [B, L, heads d]
    }
}
