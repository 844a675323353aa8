using Sora.Kernels;
using Sora.Nn;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Wan;

/// <summary>
/// x / max(||x||, 1e-12) * sqrt(C) * gamma over the channels of each place.
/// </summary>
internal sealed class ChannelNorm
{
    /// <summary>Numbers that fit a processor's second-level cache, along with a few others like them.</summary>
    private const long BandElements = 1 << 17;

    private readonly Tensor gamma;
    private readonly double root;

    /// <param name="weights">Holds <c>gamma</c>.</param>
    /// <param name="channels">C.</param>
    /// <param name="axes">Axes after the channels as the file has them: 3 for video, 2 for images.</param>
    public ChannelNorm(Weights weights, int channels, int axes = 3)
    {
        gamma = weights.Get("gamma", Init.Ones, [channels, .. Enumerable.Repeat(1L, axes)]);
        root = Math.Sqrt(channels);
    }

    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var scale = gamma.mul(root).view(-1, 1, 1, 1); // [C, 1, 1, 1]
        // Squares overflow in half precision. Clamping comes before the root, whose slope at zero is infinite.
        var wide = x.dtype == float32 ? x : x.to(float32);
        var y = x.mul(wide.square().sum(1, keepdim: true).clamp_min(1e-24).rsqrt().to(x.dtype));
        return (Ops.NeedsNoGradient(y, scale) ? y.mul_(scale) : y.mul(scale)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Writes SiLU of the norm of <paramref name="x"/> to <paramref name="target"/>: some rows of a frame at a time,
    /// which stay in cache, because a pass over memory costs a good part of a convolution. Not for gradients.
    /// </summary>
    public void Activate(Tensor x, Tensor target)
    {
        using var scope = NewDisposeScope();
        if (Functional.TryNormSilu(x, gamma.mul(root).flatten(), target))
            return;
        var scale = gamma.mul(root).view(-1, 1, 1); // [C, 1, 1]
        var (frames, height) = (x.shape[2], x.shape[3]); // T, H
        var rows = Math.Max(1, BandElements / (x.shape[0] * x.shape[1] * x.shape[4]));
        for (long frame = 0; frame < frames; frame++)
        for (long row = 0; row < height; row += rows)
        {
            using var band = NewDisposeScope();
            Tensor Band(Tensor all) => all.select(2, frame).narrow(2, row, Math.Min(rows, height - row)); // [B, C, rows, W]
            var (from, to) = (Band(x), Band(target));
            to.copy_(from);
            to.mul_(from.square().sum(1, keepdim: true).clamp_min_(1e-24).rsqrt_()).mul_(scale).silu_();
        }
    }
}

/// <summary>A 3x3x3 convolution that looks two frames back in time and none ahead; zeros around each frame.</summary>
internal sealed class CausalConv
{
    private readonly Tensor weight;
    private readonly Tensor bias;

    public CausalConv(Weights weights, long inputs, long outputs)
    {
        weight = weights.Get("weight", Init.FanIn(inputs * 27), outputs, inputs, 3, 3, 3);
        bias = weights.Get("bias", Init.FanIn(inputs * 27), outputs);
    }

    public bool Trains => weight.requires_grad;

    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    /// <param name="memory">Gives the two frames before, and keeps the last two of this chunk.</param>
    /// <param name="spends">Frees <paramref name="x"/> once it has been copied: at full size each tensor is gigabytes.</param>
    /// <returns><c>[B, C_out, T, H, W]</c>.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory, bool spends = false)
    {
        using var scope = NewDisposeScope();
        if (memory.IsFirstChunk && x.shape[2] == 1)
        {
            // With nothing but zeros before, only the last tap of time counts.
            memory.Keep(this, x);
            return Functional.Conv2d(x.squeeze(2), weight.select(2, 2), bias, padding: [1, 1]).unsqueeze(2).MoveToOuterDisposeScope();
        }
        var extended = memory.Extend(this, x); // [B, C, T + 2, H, W]
        if (spends)
            x.Dispose();
        return Convolve(extended).MoveToOuterDisposeScope();
    }

    /// <summary>Whether norm and convolution can be done in one pass.</summary>
    public bool Fuses(Tensor x) => x.device_type == DeviceType.CPU && x.dtype == float32 && Ops.NeedsNoGradient(x, weight);

    /// <summary>The same for SiLU of the norm of <paramref name="x"/>, without memory for these, where it fuses.</summary>
    public Tensor Forward(Tensor x, ChannelNorm norm, StreamMemory memory, bool spends)
    {
        using var scope = NewDisposeScope();
        var isFirst = memory.IsFirstChunk && x.shape[2] == 1;
        var y = isFirst ? empty(x.shape, x.dtype, x.device) : memory.Extend(this, x, target => norm.Activate(x, target));
        if (isFirst)
            norm.Activate(x, y);
        if (spends)
            x.Dispose();
        return (isFirst ? Forward(y, memory) : Convolve(y)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// libtorch on the CPU avoids its fast kernels when a batch of volumes has one entry, and takes several times as
    /// long. So one frame is convolved as an image with the channels of three, and a small clip as a batch of its halves.
    /// </summary>
    private Tensor Convolve(Tensor extended)
    {
        var (batch, channels, frames, height, width) = (
            extended.shape[0],
            extended.shape[1],
            extended.shape[2] - 2,
            extended.shape[3],
            extended.shape[4]
        );
        if (frames == 1)
            return Functional
                .Conv2d(extended.view(batch, channels * 3, height, width), weight.flatten(1, 2), bias, padding: [1, 1])
                .unsqueeze(2);
        if (
            batch > 1
            || frames % 2 != 0
            || extended.device_type != DeviceType.CPU
            || (Ops.NeedsNoGradient(extended, weight) && IsLarge(extended))
        )
            return Functional.Conv3d(extended, weight, bias, padding: [0, 1, 1]);
        var half = frames / 2;
        var halves = cat([extended.narrow(2, 0, half + 2), extended.narrow(2, half, half + 2)], 0); // [2, C, T/2 + 2, H, W]
        extended.Dispose();
        var convolved = Functional.Conv3d(halves, weight, bias, padding: [0, 1, 1]); // [2, C_out, T/2, H, W]
        halves.Dispose();
        return cat(convolved.split(1), 2); // [1, C_out, T, H, W]
    }

    /// <summary>Whether a clip is large enough for a kernel of our own.</summary>
    public static bool IsLarge(Tensor x) => x.shape[4] >= 32 && x.shape[2] * x.shape[3] * x.shape[4] >= 1 << 13;
}

/// <summary>A convolution over three frames, for each place separately: the last two before it, and its own.</summary>
internal sealed class TimeConv
{
    private readonly Tensor weight;
    private readonly Tensor bias;

    public TimeConv(Weights weights, long inputs, long outputs)
    {
        weight = weights.Get("weight", Init.FanIn(inputs * 3), outputs, inputs, 3, 1, 1);
        bias = weights.Get("bias", Init.FanIn(inputs * 3), outputs);
    }

    /// <param name="x"><c>[B, C, T, H, W]</c>, history in front.</param>
    /// <param name="stride">In time.</param>
    public Tensor Forward(Tensor x, long stride)
    {
        using var scope = NewDisposeScope();
        // An image whose rows are frames and whose columns are places.
        var y = Functional.Conv2d(x.flatten(3), weight.squeeze(4), bias, stride: [stride, 1]); // [B, C', T', H W]
        return y.unflatten(3, x.shape[3], x.shape[4]).MoveToOuterDisposeScope(); // [B, C', T', H, W]
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

    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return Functional.Conv2d(x.flatten(2, 3), weight.squeeze(2), bias).unflatten(2, x.shape[2], x.shape[3]).MoveToOuterDisposeScope();
    }
}

/// <summary>A convolution of each frame separately.</summary>
internal static class FrameConv
{
    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    /// <param name="conv">From a chunk of frames <c>[B T, C, H, W]</c> to <c>[B T, C', H', W']</c>.</param>
    public static Tensor Apply(Tensor x, Func<Tensor, Tensor> conv)
    {
        using var scope = NewDisposeScope();
        var y = conv(x.transpose(1, 2).flatten(0, 1)); // [B T, C', H', W']
        return y.unflatten(0, x.shape[0], x.shape[2]).transpose(1, 2).contiguous().MoveToOuterDisposeScope(); // [B, C', T, H', W']
    }
}

/// <summary>Norm, SiLU, causal convolution.</summary>
internal sealed class NormConv(ChannelNorm norm, CausalConv conv)
{
    /// <param name="x"><c>[B, C, T, H, W]</c>.</param>
    /// <param name="memory">The stream's.</param>
    /// <param name="trace">Of this part.</param>
    /// <param name="spends">Frees <paramref name="x"/>.</param>
    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace = default, bool spends = false)
    {
        using var scope = NewDisposeScope();
        if (trace.Observer is null && conv.Fuses(x))
            return conv.Forward(x, norm, memory, spends).MoveToOuterDisposeScope();
        var y = norm.Forward(x);
        if (spends)
            x.Dispose();
        trace.Show("", y);
        y = Ops.NeedsNoGradient(y) ? y.silu_() : y.silu();
        return conv.Forward(y, memory, spends: true).MoveToOuterDisposeScope();
    }
}

/// <summary>Norm, SiLU, causal convolution, twice, added to the input.</summary>
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
        y = second.Forward(y, memory, spends: true);
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
        var (batch, channels, frames, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]); // B, C, T, H, W
        using var scope = NewDisposeScope();
        var places = norm.Forward(x).permute(0, 2, 3, 4, 1).reshape(batch * frames, 1, height * width, channels); // [B T, 1, H W, C]
        var parts = Functional.Linear(places, qkv.Weight.flatten(1), qkv.Bias).chunk(3, -1); // each [B T, 1, H W, C]
        var seen = Functional.ScaledDotProductAttention(parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous());
        var y = Functional
            .Linear(seen, proj.Weight.flatten(1), proj.Bias)
            .view(batch, frames, height, width, channels)
            .permute(0, 4, 1, 2, 3); // [B, C, T, H, W]
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
    private readonly TimeConv? time;

    public DownStep(Weights weights, long channels, bool halvesTime)
    {
        weight = weights.Get("resample.1.weight", Init.FanIn(channels * 9), channels, channels, 3, 3);
        bias = weights.Get("resample.1.bias", Init.FanIn(channels * 9), channels);
        time = halvesTime ? new TimeConv(weights.Scope("time_conv"), channels, channels) : null;
    }

    /// <returns><c>[B, C, T or T/2, H/2, W/2]</c>; the first chunk's only frame stays.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory)
    {
        using var scope = NewDisposeScope();
        var y = FrameConv.Apply(x, HalveSpace);
        if (time is null)
            return y.MoveToOuterDisposeScope();

        var before = memory.Of(this)?.alias();
        memory.Keep(this, y.narrow(2, y.shape[2] - 1, 1));
        return (before is null ? y : time.Forward(cat([before, y], 2), stride: 2)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// 3x3, stride 2, with zeros at the right and bottom only: like two zeros all around, without the first row and
    /// column, which saves a padded copy.
    /// </summary>
    private Tensor HalveSpace(Tensor frames) =>
        Functional
            .Conv2d(frames, weight, bias, stride: [2, 2], padding: [2, 2])
            .narrow(2, 1, frames.shape[2] / 2)
            .narrow(3, 1, frames.shape[3] / 2);
}

/// <summary>Doubles space, and time as well if asked to.</summary>
internal sealed class UpStep
{
    private readonly Tensor weight;
    private readonly Tensor bias;
    private readonly TimeConv? time;

    public UpStep(Weights weights, long inputs, long outputs, bool doublesTime)
    {
        weight = weights.Get("resample.1.weight", Init.FanIn(inputs * 9), outputs, inputs, 3, 3);
        bias = weights.Get("resample.1.bias", Init.FanIn(inputs * 9), outputs);
        time = doublesTime ? new TimeConv(weights.Scope("time_conv"), inputs, 2 * inputs) : null;
    }

    /// <returns><c>[B, C_out, T or 2 T, 2 H, 2 W]</c>; the first chunk's only frame stays one, and isn't remembered.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory)
    {
        using var scope = NewDisposeScope();
        if (time is not null && !memory.IsFirstChunk)
        {
            var (batch, channels, frames, rows, columns) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]);
            x = time.Forward(memory.Extend(this, x), stride: 1)
                .view(batch, 2, channels, frames, rows, columns) // [B, 2, C, T, H, W]
                .permute(0, 2, 3, 1, 4, 5) // [B, C, T, 2, H, W]
                .reshape(batch, channels, 2 * frames, rows, columns); // both of one frame, then the next
        }
        if (x.device_type == DeviceType.CPU && Ops.NeedsNoGradient(x, weight) && CausalConv.IsLarge(x))
        {
            // As a clip, with a window of one frame: no frame needs to be moved before or after.
            var large = functional.interpolate(x, [x.shape[2], 2 * x.shape[3], 2 * x.shape[4]]); // [B, C, T, 2 H, 2 W]
            return Functional.Conv3d(large, weight.unsqueeze(2), bias, padding: [0, 1, 1]).MoveToOuterDisposeScope();
        }
        return FrameConv.Apply(x, DoubleSpace).MoveToOuterDisposeScope();
    }

    private Tensor DoubleSpace(Tensor frames)
    {
        using var large = functional.interpolate(frames, [2 * frames.shape[2], 2 * frames.shape[3]]); // [B T, C, 2 H, 2 W]
        return Functional.Conv2d(large, weight, bias, padding: [1, 1]);
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
        return x.view(batch, channels, frames, time, rows, space, columns, space) // [B, C, T, time, H, space, W, space]
            .permute(0, 1, 3, 5, 7, 2, 4, 6) // [B, C, time, space, space, T, H, W]
            .reshape(batch, outputs, group, frames, rows, columns) // [B, C_out, group, T, H, W]
            .mean([2]) // [B, C_out, T, H, W]
            .MoveToOuterDisposeScope();
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
        Tensor Spread(long repeats, long cell) =>
            x.unsqueeze(2)
                .expand(batch, channels, repeats, frames, rows, columns) // [B, C, repeats, T, H, W]
                .reshape(batch, outputs, time, cell, cell, frames, rows, columns) // [B, C_out, time, cell, cell, T, H, W]
                .permute(0, 1, 5, 2, 6, 3, 7, 4) // [B, C_out, T, time, H, cell, W, cell]
                .reshape(batch, outputs, frames * time, rows * cell, columns * cell); // [B, C_out, time T, cell H, cell W]

        // Where all places of a cell get the same channel, as is usual, space is doubled by nearest neighbour.
        var isNearest = repeats % (space * space) == 0;
        var y = isNearest ? Spread(repeats / (space * space), 1) : Spread(repeats, space);
        if (isFirstChunk)
            y = y.narrow(2, time - 1, y.shape[2] - (time - 1));
        if (isNearest)
            y = functional.interpolate(y, [y.shape[2], rows * space, columns * space]);
        return y.MoveToOuterDisposeScope();
    }
}
