using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models;

/// <summary>
/// x / max(||x||, 1e-12) * sqrt(C) * gamma over the channels of each place.
/// </summary>
internal sealed class ChannelNorm
{
    private readonly Tensor gamma;
    private readonly double root;

    /// <param name="weights">Holds <c>gamma</c>.</param>
    /// <param name="channels">C.</param>
    /// <param name="axes">Axes behind the channels as the file has them: 3 for video, 2 for images.</param>
    public ChannelNorm(Weights weights, int channels, int axes = 3)
    {
        gamma = weights.Get("gamma", Init.Ones, [channels, .. Enumerable.Repeat(1L, axes)]);
        root = Math.Sqrt(channels);
    }

    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var scale = gamma.mul(root).view(-1, 1, 1, 1);
        // The square of a half overflows.
        var wide = x.dtype == float32 ? x : x.to(float32);
        var length = linalg.vector_norm(wide, 2, [1], keepdim: true).clamp_min(1e-12).to(x.dtype);
        var y = x.div(length);
        return (Ops.Frozen(y, scale) ? y.mul_(scale) : y.mul(scale)).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// A convolution that looks two frames back in time and none ahead; zeros around each frame. With a kernel of 1
/// in space it sees time only.
/// </summary>
internal sealed class CausalConv
{
    private readonly Tensor weight;
    private readonly Tensor bias;
    private readonly long[] padding;

    public CausalConv(Weights weights, long inputs, long outputs, long space = 3)
    {
        var fanIn = inputs * 3 * space * space;
        weight = weights.Get("weight", Init.FanIn(fanIn), outputs, inputs, 3, space, space);
        bias = weights.Get("bias", Init.FanIn(fanIn), outputs);
        padding = [0, space / 2, space / 2];
    }

    public bool Trains => weight.requires_grad;

    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    /// <param name="memory">Gives the two frames before, and keeps the last two of this chunk.</param>
    /// <returns><c>[B, C_out, T, H, W]</c>.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory)
    {
        using var scope = NewDisposeScope();
        if (memory.IsFirstChunk && x.shape[2] == 1)
        {
            // With nothing but zeros before, only the last tap of time counts.
            memory.Keep(this, x);
            var frame = functional.conv2d(x.squeeze(2), weight.select(2, 2), bias, padding: padding[1..]);
            return frame.unsqueeze(2).MoveToOuterDisposeScope();
        }
        return functional.conv3d(memory.Extend(this, x), weight, bias, padding: padding).MoveToOuterDisposeScope();
    }
}

/// <summary>A 1x1x1 convolution: a linear map of the channels.</summary>
internal sealed class PointConv
{
    private readonly Tensor weight;
    private readonly Tensor bias;

    public PointConv(Weights weights, long inputs, long outputs)
    {
        weight = weights.Get("weight", Init.FanIn(inputs), outputs, inputs, 1, 1, 1);
        bias = weights.Get("bias", Init.FanIn(inputs), outputs);
    }

    public Tensor Forward(Tensor x) => functional.conv3d(x, weight, bias);
}

/// <summary>Norm, SiLU, causal convolution.</summary>
internal sealed class NormConv(ChannelNorm norm, CausalConv conv)
{
    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace = default)
    {
        using var scope = NewDisposeScope();
        var y = norm.Forward(x);
        trace.Show("", y);
        y = Ops.Frozen(y) ? y.silu_() : y.silu();
        return conv.Forward(y, memory).MoveToOuterDisposeScope();
    }
}

/// <summary>Two times norm, SiLU, causal convolution, added to the input.</summary>
internal sealed class ResidualBlock
{
    private readonly NormConv first;
    private readonly NormConv second;
    private readonly PointConv? shortcut;

    public ResidualBlock(Weights weights, int inputs, int outputs)
    {
        first = new(new(weights.Scope("norm1"), inputs), new(weights.Scope("conv1"), inputs, outputs));
        second = new(new(weights.Scope("norm2"), outputs), new(weights.Scope("conv2"), outputs, outputs));
        shortcut = inputs == outputs ? null : new PointConv(weights.Scope("conv_shortcut"), inputs, outputs);
    }

    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace = default)
    {
        using var scope = NewDisposeScope();
        var y = first.Forward(x, memory, trace.Of("norm1"));
        y = second.Forward(y, memory);
        return Ops.AddInto(y, shortcut?.Forward(x) ?? x).MoveToOuterDisposeScope();
    }
}

/// <summary>Attention of each frame to itself, one head as wide as the channels.</summary>
internal sealed class FrameAttention
{
    private readonly ChannelNorm norm;
    private readonly (Tensor Weight, Tensor Bias) qkv;
    private readonly (Tensor Weight, Tensor Bias) proj;

    public FrameAttention(Weights weights, int channels)
    {
        norm = new(weights.Scope("norm"), channels, axes: 2);
        qkv = Linear(weights.Scope("to_qkv"), channels, 3 * channels);
        proj = Linear(weights.Scope("proj"), channels, channels);
    }

    public Tensor Forward(Tensor x)
    {
        var (batch, channels, frames, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]);
        using var scope = NewDisposeScope();
        var places = norm.Forward(x).permute(0, 2, 3, 4, 1).reshape(batch * frames, 1, height * width, channels);
        var parts = functional.linear(places, qkv.Weight.flatten(1), qkv.Bias).chunk(3, -1); // each [B T, 1, H W, C]
        var seen = functional.scaled_dot_product_attention(parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous());
        var y = functional.linear(seen, proj.Weight.flatten(1), proj.Bias)
            .view(batch, frames, height, width, channels).permute(0, 4, 1, 2, 3); // [B, C, T, H, W]
        return x.add(y).MoveToOuterDisposeScope();
    }

    private static (Tensor Weight, Tensor Bias) Linear(Weights weights, long inputs, long outputs) =>
        (weights.Get("weight", Init.FanIn(inputs), outputs, inputs, 1, 1), weights.Get("bias", Init.FanIn(inputs), outputs));
}

/// <summary>Halves space, and time as well if asked to.</summary>
internal sealed class DownStep
{
    private readonly Tensor weight;
    private readonly Tensor bias;
    private readonly (Tensor Weight, Tensor Bias)? time;

    public DownStep(Weights weights, long channels, bool halvesTime)
    {
        weight = weights.Get("resample.1.weight", Init.FanIn(channels * 9), channels, channels, 3, 3);
        bias = weights.Get("resample.1.bias", Init.FanIn(channels * 9), channels);
        if (halvesTime)
            time = (weights.Get("time_conv.weight", Init.FanIn(channels * 3), channels, channels, 3, 1, 1),
                weights.Get("time_conv.bias", Init.FanIn(channels * 3), channels));
    }

    /// <returns><c>[B, C, T or T/2, H/2, W/2]</c>; the first chunk's only frame stays.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory)
    {
        using var scope = NewDisposeScope();
        var y = HalveSpace(x);
        if (time is not { } conv) return y.MoveToOuterDisposeScope();

        var before = memory.Of(this)?.alias();
        memory.Keep(this, y.narrow(2, y.shape[2] - 1, 1));
        if (before is not null) y = functional.conv3d(cat([before, y], 2), conv.Weight, conv.Bias, strides: [2, 1, 1]);
        return y.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// 3x3, stride 2, with zeros at the right and bottom only: as with two zeros all around, without the first
    /// row and column, which saves a padded copy.
    /// </summary>
    private Tensor HalveSpace(Tensor x)
    {
        var y = functional.conv3d(x, weight.unsqueeze(2), bias, strides: [1, 2, 2], padding: [0, 2, 2]);
        return y.narrow(3, 1, x.shape[3] / 2).narrow(4, 1, x.shape[4] / 2).contiguous();
    }
}

/// <summary>Doubles space, and time as well if asked to.</summary>
internal sealed class UpStep
{
    private readonly Tensor weight;
    private readonly Tensor bias;
    private readonly CausalConv? time;

    public UpStep(Weights weights, long inputs, long outputs, bool doublesTime)
    {
        weight = weights.Get("resample.1.weight", Init.FanIn(inputs * 9), outputs, inputs, 3, 3);
        bias = weights.Get("resample.1.bias", Init.FanIn(inputs * 9), outputs);
        time = doublesTime ? new CausalConv(weights.Scope("time_conv"), inputs, 2 * inputs, space: 1) : null;
    }

    /// <returns><c>[B, C_out, T or 2 T, 2 H, 2 W]</c>; the first chunk's only frame stays one, and isn't remembered.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory)
    {
        using var scope = NewDisposeScope();
        if (time is not null && !memory.IsFirstChunk)
        {
            var (batch, channels, frames, rows, columns) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]);
            x = time.Forward(x, memory).view(batch, 2, channels, frames, rows, columns)
                .permute(0, 2, 3, 1, 4, 5).reshape(batch, channels, 2 * frames, rows, columns); // both of a frame, then the next
        }
        var large = functional.interpolate(x, [x.shape[2], 2 * x.shape[3], 2 * x.shape[4]]);
        return functional.conv3d(large, weight.unsqueeze(2), bias, padding: [0, 1, 1]).MoveToOuterDisposeScope();
    }
}

/// <summary>Shortcuts of the 2.2 kind around a stage: they have no weights.</summary>
internal static class Shortcuts
{
    /// <summary>
    /// Moves each cell of <paramref name="time"/> x <paramref name="space"/> x <paramref name="space"/> into the
    /// channels and averages neighbouring channels down to <paramref name="outputs"/>. Where time doesn't divide,
    /// zero frames go in front and count.
    /// </summary>
    public static Tensor Average(Tensor x, long outputs, long time, long space)
    {
        using var scope = NewDisposeScope();
        if (x.shape[2] % time != 0)
            x = functional.pad(x, [0, 0, 0, 0, time - x.shape[2] % time, 0]);
        var (batch, channels, frames, rows, columns) = (x.shape[0], x.shape[1], x.shape[2] / time, x.shape[3] / space, x.shape[4] / space);
        var group = channels * time * space * space / outputs;
        return x.view(batch, channels, frames, time, rows, space, columns, space)
            .permute(0, 1, 3, 5, 7, 2, 4, 6)
            .reshape(batch, outputs, group, frames, rows, columns)
            .mean([2]).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Repeats channels and moves them to time and space: <c>[B, outputs, time T, space H, space W]</c>, without
    /// the first <c>time - 1</c> frames in the first chunk, which the main path doesn't double.
    /// </summary>
    public static Tensor Duplicate(Tensor x, long outputs, long time, long space, bool isFirstChunk)
    {
        var (batch, channels, frames, rows, columns) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]);
        var repeats = outputs * time * space * space / channels;
        using var scope = NewDisposeScope();
        var y = x.unsqueeze(2).expand(batch, channels, repeats, frames, rows, columns)
            .reshape(batch, outputs, time, space, space, frames, rows, columns)
            .permute(0, 1, 5, 2, 6, 3, 7, 4)
            .reshape(batch, outputs, frames * time, rows * space, columns * space);
        if (isFirstChunk) y = y.narrow(2, time - 1, y.shape[2] - (time - 1));
        return y.MoveToOuterDisposeScope();
    }
}
