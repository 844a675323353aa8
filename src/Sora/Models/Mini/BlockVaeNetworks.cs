using Sora.Kernels;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Mini;

/// <summary>
/// The sizes of a block, in folded pixels: the first frame's are 4x4 of them, the others' 4x4 of four frames. Blocks to
/// channels and back.
/// </summary>
internal static class Blocks
{
    public const int Side = 4,
        Frames = 4;

    /// <summary><c>[B, C, T, 4 h, 4 w]</c> to <c>[B, 16 C, 1, h, w]</c> for a single frame, else <c>[B, 64 C, T / 4, h, w]</c>.</summary>
    public static Tensor Fold(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = Patches.Fold(x, Side); // [B, 16 C, T, h, w]
        if (y.shape[2] == 1)
            return y.MoveToOuterDisposeScope();
        return y.unflatten(2, -1, Frames).transpose(2, 3).flatten(1, 2).MoveToOuterDisposeScope(); // [B, 64 C, T / 4, h, w]
    }

    /// <summary>What <see cref="Fold"/> undoes; <paramref name="first"/> says which of the two it was.</summary>
    public static Tensor Unfold(Tensor y, bool first)
    {
        using var scope = NewDisposeScope();
        return Patches.Unfold(first ? y : SpreadFrames(y), Side).MoveToOuterDisposeScope();
    }

    /// <summary><c>[B, 4 C, T, H, W]</c> to <c>[B, C, 4 T, H, W]</c>.</summary>
    public static Tensor SpreadFrames(Tensor y)
    {
        using var scope = NewDisposeScope();
        return y.unflatten(1, -1, Frames).transpose(2, 3).flatten(2, 3).contiguous().MoveToOuterDisposeScope();
    }
}

/// <summary>
/// A linear transform of blocks to their latents: principal components (Karhunen-Loève), which no other linear codec of
/// as many numbers beats. Blocks do not see each other.
/// </summary>
internal sealed class BlockEncoderNetwork(CausalVaeConfig config, Weights root) : IVaeNetwork
{
    private const double LogVariance = -30;
    private readonly PointConv first = new(root.Scope("encoder.first"), config.InChannels * Blocks.Side * Blocks.Side, config.ZDim);
    private readonly PointConv later = new(
        root.Scope("encoder.later"),
        config.InChannels * Blocks.Side * Blocks.Side * Blocks.Frames,
        config.ZDim
    );

    public bool Trains => false;

    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace)
    {
        using var scope = NewDisposeScope();
        var mean = (memory.IsFirstChunk ? first : later).Forward(Blocks.Fold(x)); // [B, z, t, h, w]
        memory.EndChunk();
        return cat([mean, full_like(mean, LogVariance)], 1).MoveToOuterDisposeScope(); // [B, 2 z, t, h, w]
    }
}

/// <summary>
/// The inverse transform, and a convolutional network that adds what it misses: it sees a group's latents and those
/// before, on a grid of folded pixels, and knows what edges are like across blocks.
/// </summary>
internal sealed class BlockDecoderNetwork : IVaeNetwork
{
    private readonly PointConv first,
        later,
        inFirst,
        inLater;
    private readonly FrameBlock[] blocks;
    private readonly FrameNorm norm;
    private readonly (Tensor Weight, Tensor Bias) outFirst,
        outLater;

    public BlockDecoderNetwork(CausalVaeConfig config, Weights root)
    {
        var weights = root.Scope("decoder");
        var (width, cell) = (config.DecoderBaseDim ?? config.BaseDim, Blocks.Side * Blocks.Side);
        first = new(weights.Scope("first"), config.ZDim, config.OutChannels * cell);
        later = new(weights.Scope("later"), config.ZDim, config.OutChannels * cell * Blocks.Frames);
        var refiner = weights.Scope("refiner");
        inFirst = new(refiner.Scope("in_first"), config.ZDim, width * cell);
        inLater = new(refiner.Scope("in_later"), 2 * config.ZDim, width * cell);
        blocks = [.. Enumerable.Range(0, config.NumResBlocks).Select(i => new FrameBlock(refiner.Scope("blocks", i), width))];
        norm = new(refiner.Scope("norm_out"), width);
        outFirst = Last(refiner.Scope("out_first"), width, config.OutChannels);
        outLater = Last(refiner.Scope("out_later"), width, config.OutChannels * Blocks.Frames);
    }

    public bool Trains => outLater.Weight.requires_grad;

    public Tensor Forward(Tensor latents, StreamMemory memory, Trace trace)
    {
        using var scope = NewDisposeScope();
        var (isFirst, frames) = (memory.IsFirstChunk, latents.shape[2]); // t
        var y = Blocks.Unfold((isFirst ? first : later).Forward(latents), isFirst); // [B, C, T, 4 h, 4 w]
        var before = isFirst ? null : cat([memory.Of(this)!, latents.narrow(2, 0, frames - 1)], 2); // [B, z, t, h, w]
        memory.Keep(this, latents.narrow(2, frames - 1, 1));
        memory.EndChunk();

        var x = before is null ? inFirst.Forward(latents) : inLater.Forward(cat([latents, before], 1)); // [B, 16 width, t, h, w]
        x = Patches.Unfold(x, Blocks.Side); // [B, width, t, 4 h, 4 w]
        x = x.transpose(1, 2).flatten(0, 1); // [B t, width, 4 h, 4 w]
        foreach (var block in blocks)
            x = block.Forward(x);
        var (weight, bias) = isFirst ? outFirst : outLater;
        x = Functional.Conv2d(norm.Forward(x).silu(), weight, bias, padding: [1, 1]); // [B t, C or 4 C, 4 h, 4 w]
        x = x.unflatten(0, latents.shape[0], frames).transpose(1, 2); // [B, C or 4 C, t, 4 h, 4 w]
        return y.add(isFirst ? x : Blocks.SpreadFrames(x)).MoveToOuterDisposeScope();
    }

    /// <summary>Zeros, so that an untrained refiner leaves the linear codec as it is.</summary>
    private static (Tensor Weight, Tensor Bias) Last(Weights weights, long inputs, long outputs) =>
        (weights.Get("weight", Init.Zeros, outputs, inputs, 3, 3), weights.Get("bias", Init.Zeros, outputs));
}
