using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Wan;

/// <summary>
/// Embedded text, <c>[B, n, dim]</c>. Every zero row of the padding embeds to the same row, so the last one stands for
/// all m of them: softmax then needs log m added to its score, which <c>Bias</c>, <c>[1, n]</c>, does. Null: every row
/// stands for itself.
/// </summary>
internal readonly record struct ContextRows(Tensor Rows, Tensor? Bias);

/// <summary>What the timestep changes in a block (DiT, arXiv:2212.09748, adaLN-Zero), in the order of <c>scale_shift_table</c>.</summary>
internal enum Modulation
{
    ShiftMsa,
    ScaleMsa,
    GateMsa,
    ShiftMlp,
    ScaleMlp,
    GateMlp,
}

/// <summary>
/// The embedded timestep of every token. There are only a few different ones (known tokens and the others, for each
/// clip), so each is embedded once. The caller knows them: finding them here would stall a GPU in every step.
/// </summary>
/// <param name="Embedding">Of each different timestep, float32: <c>[D, 1, dim]</c>.</param>
/// <param name="Projection">Shift, scale and gate of both halves of a block, float32: <c>[D, 6, dim]</c>.</param>
/// <param name="Index">Which of them a token has, <c>[B, L]</c>; null: D = B, all tokens of a clip the same.</param>
internal sealed record TimeEmbedding(Tensor Embedding, Tensor Projection, Tensor? Index)
{
    /// <summary>One modulation of a block: <c>[B, 1, dim]</c> or <c>[B, L, dim]</c>.</summary>
    /// <param name="table">The block's own part, <c>[1, 6, dim]</c>.</param>
    /// <param name="which">Which of the six.</param>
    public Tensor Of(Tensor table, Modulation which) => Spread(table.narrow(1, (long)which, 1), Projection.narrow(1, (long)which, 1));

    /// <summary>Shift and scale of the head, from its table <c>[1, 2, dim]</c>: each <c>[B, 1, dim]</c> or <c>[B, L, dim]</c>.</summary>
    public (Tensor Shift, Tensor Scale) OfHead(Tensor table) =>
        (Spread(table.narrow(1, 0, 1), Embedding), Spread(table.narrow(1, 1, 1), Embedding));

    private Tensor Spread(Tensor own, Tensor timed)
    {
        using var scope = NewDisposeScope();
        var vectors = own.add(timed); // [D, 1, dim]
        if (Index is null)
            return vectors.MoveToOuterDisposeScope();
        return vectors.squeeze(1).index_select(0, Index.flatten()).view(Index.shape[0], Index.shape[1], -1).MoveToOuterDisposeScope();
    }
}

/// <summary>Embeds timestep, text and image.</summary>
internal sealed class ConditionEmbedder
{
    private readonly WanTransformerConfig config;
    private readonly Linear time1,
        time2,
        timeProj,
        text1,
        text2;
    private readonly ImageEmbedder? image;

    public ConditionEmbedder(WanTransformerConfig config, Weights weights)
    {
        this.config = config;
        time1 = new(weights.Full.Scope("time_embedder.linear_1"), config.FreqDim, config.Dim);
        time2 = new(weights.Full.Scope("time_embedder.linear_2"), config.Dim, config.Dim);
        timeProj = new(weights.Scope("time_proj"), config.Dim, 6 * config.Dim);
        text1 = new(weights.Scope("text_embedder.linear_1"), config.TextDim, config.Dim);
        text2 = new(weights.Scope("text_embedder.linear_2"), config.Dim, config.Dim);
        image = config.ImageDim is null ? null : new ImageEmbedder(config, weights.Scope("image_embedder"));
    }

    /// <param name="timestep"><c>[B]</c> or <c>[D]</c>.</param>
    /// <param name="index"><c>[B, L]</c>, or null.</param>
    /// <param name="dtype">Of the model.</param>
    /// <param name="trace">Of the transformer.</param>
    public TimeEmbedding EmbedTime(Tensor timestep, Tensor? index, ScalarType dtype, Trace trace)
    {
        var half = config.FreqDim / 2;
        var frequencies = arange(half, float32, timestep.device).mul(-Math.Log(10000) / half).exp(); // [freqDim / 2]
        var angles = outer(timestep.to(float32), frequencies); // [D, freqDim / 2]
        var sinusoid = cat([angles.cos(), angles.sin()], 1); // [D, freqDim]
        trace.Show("time_sinusoid", sinusoid);
        var embedding = time2.Forward(time1.Forward(sinusoid).silu()).to(dtype); // [D, dim]
        trace.Show("temb", embedding);
        var projection = timeProj.Forward(embedding.silu()); // [D, 6 dim]
        trace.Show("timestep_proj", projection);
        return new(embedding.to(float32).unsqueeze(1), projection.to(float32).view(-1, 6, config.Dim), index);
    }

    /// <param name="text"><c>[B, n, text_dim]</c>.</param>
    /// <param name="length">Rows in all; those after the n given are zeros.</param>
    public ContextRows EmbedText(Tensor text, long length)
    {
        var padding = length - text.shape[1];
        if (padding < 0)
            throw new ArgumentException($"{text.shape[1]} rows of text, more than the {length} in all");
        if (padding > 0)
            text = cat([text, zeros([text.shape[0], 1, text.shape[2]], text.dtype, text.device)], 1); // [B, n + 1, text_dim]
        var rows = text2.Forward(text1.ForwardGelu(text)); // [B, n or n + 1, dim]
        if (padding == 0)
            return new(rows, null);
        // Half precision is too coarse for the logarithm: there, all the rows stand for themselves.
        if (rows.dtype != float32)
            return new(cat([rows, rows.narrow(1, text.shape[1] - 1, 1).expand(-1, padding - 1, -1)], 1), null);
        var bias = zeros([1, text.shape[1]], rows.dtype, rows.device);
        bias.narrow(1, text.shape[1] - 1, 1).fill_(Math.Log(padding));
        return new(rows, bias);
    }

    /// <param name="rows"><c>[B, n, image_dim]</c>, or <c>[2 B, n, image_dim]</c> for first and last frame.</param>
    /// <param name="batch">B.</param>
    /// <param name="trace">Of the image embedder.</param>
    public Tensor EmbedImage(Tensor rows, long batch, Trace trace) =>
        (image ?? throw new ArgumentException("this transformer takes no image")).Forward(rows, batch, trace);
}

/// <summary>Rows of the image encoder to context rows.</summary>
internal sealed class ImageEmbedder
{
    // Not the transformer's epsilon: these two are plain layer norms.
    private const double Eps = 1e-5;

    private readonly long imageDim,
        dim;
    private readonly Tensor? positions;
    private readonly (Tensor Weight, Tensor Bias) norm1,
        norm2;
    private readonly Linear first,
        second;

    public ImageEmbedder(WanTransformerConfig config, Weights weights)
    {
        (imageDim, dim) = (config.ImageDim!.Value, config.Dim);
        positions = config.PosEmbedSeqLen is { } length ? weights.Get("pos_embed", Init.Zeros, 1, length, imageDim) : null;
        norm1 = Norm(weights.Full.Scope("norm1"), imageDim);
        first = new(weights.Scope("ff.net.0.proj"), imageDim, imageDim);
        second = new(weights.Scope("ff.net.2"), imageDim, dim);
        norm2 = Norm(weights.Full.Scope("norm2"), dim);
    }

    public Tensor Forward(Tensor rows, long batch, Trace trace)
    {
        // First and last image come as two entries of the batch, and become one row of tokens.
        if (positions is not null)
            rows = rows.reshape(batch, -1, imageDim).add(positions); // [B, 2 n, image_dim]
        var y = functional.layer_norm(rows.to(float32), [imageDim], norm1.Weight, norm1.Bias, Eps).to(rows.dtype);
        trace.Show("norm1", y);
        y = second.Forward(first.Forward(y).gelu()); // [B, n or 2 n, dim]
        trace.Show("ff", y);
        y = functional.layer_norm(y.to(float32), [dim], norm2.Weight, norm2.Bias, Eps).to(rows.dtype);
        trace.Show("", y);
        return y;
    }

    private static (Tensor Weight, Tensor Bias) Norm(Weights weights, long width) =>
        (weights.Get("weight", Init.Ones, width), weights.Get("bias", Init.Zeros, width));
}

/// <summary>Latent video to tokens and back.</summary>
internal static class TokenPatches
{
    /// <summary>Tokens along each axis.</summary>
    public static (long Frames, long Rows, long Columns) Grid(WanTransformerConfig config, Tensor latents)
    {
        var (pt, ph, pw) = config.PatchSize;
        var (frames, rows, columns) = (latents.shape[2], latents.shape[3], latents.shape[4]);
        if (frames % pt != 0 || rows % ph != 0 || columns % pw != 0)
            throw new ArgumentException($"latents of {frames}x{rows}x{columns} don't divide into patches of {pt}x{ph}x{pw}");
        return (frames / pt, rows / ph, columns / pw);
    }

    /// <summary><c>[B, C, T, h, w]</c> to <c>[B, L, C pt ph pw]</c>, channel slowest inside a token.</summary>
    public static Tensor Fold(WanTransformerConfig config, Tensor latents)
    {
        var (pt, ph, pw) = config.PatchSize;
        var (batch, channels) = (latents.shape[0], latents.shape[1]); // B, C
        var (frames, rows, columns) = Grid(config, latents);
        using var scope = NewDisposeScope();
        return latents
            .reshape(batch, channels, frames, pt, rows, ph, columns, pw) // [B, C, T/pt, pt, h/ph, ph, w/pw, pw]
            .permute(0, 2, 4, 6, 1, 3, 5, 7) // [B, T/pt, h/ph, w/pw, C, pt, ph, pw]
            .reshape(batch, frames * rows * columns, channels * pt * ph * pw) // [B, L, C pt ph pw]
            .MoveToOuterDisposeScope();
    }

    /// <summary><c>[B, L, pt ph pw C]</c>, channel fastest, to <c>[B, C, T, h, w]</c>.</summary>
    public static Tensor Unfold(WanTransformerConfig config, Tensor tokens, (long Frames, long Rows, long Columns) grid)
    {
        var (pt, ph, pw) = config.PatchSize;
        var batch = tokens.shape[0];
        using var scope = NewDisposeScope();
        return tokens
            .reshape(batch, grid.Frames, grid.Rows, grid.Columns, pt, ph, pw, config.OutChannels) // [B, T/pt, h/ph, w/pw, pt, ph, pw, C]
            .permute(0, 7, 1, 4, 2, 5, 3, 6) // [B, C, T/pt, pt, h/ph, ph, w/pw, pw]
            .reshape(batch, config.OutChannels, grid.Frames * pt, grid.Rows * ph, grid.Columns * pw) // [B, C, T, h, w]
            .MoveToOuterDisposeScope();
    }
}

/// <summary>The patch embedding: a convolution whose kernel is its stride, so a linear layer of folded patches.</summary>
internal sealed class PatchEmbedding
{
    private readonly Tensor weight,
        bias;

    public PatchEmbedding(WanTransformerConfig config, Weights weights, long channels)
    {
        var (pt, ph, pw) = config.PatchSize;
        var fanIn = channels * pt * ph * pw;
        weight = weights.Get("weight", Init.FanIn(fanIn), config.Dim, channels, pt, ph, pw);
        bias = weights.Get("bias", Init.FanIn(fanIn), config.Dim);
    }

    /// <summary>The type that the transformer computes in.</summary>
    public ScalarType DType => weight.dtype;

    /// <param name="patches">Of <see cref="TokenPatches.Fold"/>.</param>
    public Tensor Forward(Tensor patches) => Functional.Linear(patches, weight.flatten(1), bias); // [B, L, dim]
}
