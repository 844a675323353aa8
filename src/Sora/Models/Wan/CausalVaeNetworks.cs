using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>One direction of a causal video VAE, chunk by chunk; the first chunk is a single frame.</summary>
internal interface IVaeNetwork
{
    /// <summary>Whether its weights record gradients.</summary>
    bool Trains { get; }

    /// <param name="x">The next chunk, <c>[B, C, T, H, W]</c>: folded pixels or latents.</param>
    /// <param name="memory">What the stream remembers.</param>
    /// <param name="trace">Gets intermediate results.</param>
    Tensor Forward(Tensor x, StreamMemory memory, Trace trace);
}

/// <summary>Residual, attention, residual, at the smallest size.</summary>
internal sealed class MidBlock(Weights weights, int channels)
{
    private readonly ResidualBlock first = new(weights.Scope("resnets", 0), channels, channels);
    private readonly FrameAttention attention = new(weights.Scope("attentions", 0), channels);
    private readonly ResidualBlock second = new(weights.Scope("resnets", 1), channels, channels);

    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace)
    {
        using var scope = NewDisposeScope();
        x = first.Forward(x, memory, trace.Of("resnets", 0));
        trace.Show("resnets.0", x);
        x = attention.Forward(x);
        trace.Show("attentions.0", x);
        x = second.Forward(x, memory);
        trace.Show("", x);
        return x.MoveToOuterDisposeScope();
    }
}

/// <summary>Pixels (folded into patches) to moments, chunk by chunk.</summary>
internal sealed class VaeEncoderNetwork : IVaeNetwork
{
    /// <summary>One step of the encoder: x, what the stream remembers, trace.</summary>
    private delegate Tensor Layer(Tensor x, StreamMemory memory, Trace trace);

    private readonly CausalConv convIn;
    private readonly List<Layer> downBlocks = [];
    private readonly MidBlock midBlock;
    private readonly ChannelNorm normOut;
    private readonly NormConv head;
    private readonly PointConv quantConv;

    public VaeEncoderNetwork(CausalVaeConfig config, Weights root)
    {
        var weights = root.Scope("encoder");
        var width = config.BaseDim;
        convIn = new(weights.Scope("conv_in"), config.InChannels, width);
        for (var stage = 0; stage < config.DimMult.Count; stage++)
        {
            var outputs = config.BaseDim * config.DimMult[stage];
            bool? halvesTime = stage < config.DimMult.Count - 1 ? config.TemporalDownsample[stage] : null;
            if (config.IsResidual)
                AddResidualStage(weights.Scope("down_blocks", stage), config, width, outputs, halvesTime);
            else
                AddFlatStage(weights, config, stage, width, outputs, halvesTime);
            width = outputs;
        }
        midBlock = new(weights.Scope("mid_block"), width);
        normOut = new(weights.Scope("norm_out"), width);
        head = new(normOut, new(weights.Scope("conv_out"), width, 2 * config.ZDim));
        quantConv = new(root.Scope("quant_conv"), 2 * config.ZDim, 2 * config.ZDim);
    }

    /// <summary>Whether its weights record gradients.</summary>
    public bool Trains => convIn.Trains;

    /// <param name="x"><c>[B, C, T, H, W]</c>: one frame in the first chunk.</param>
    /// <param name="memory">The stream's.</param>
    /// <param name="trace">Names begin with <c>encoder</c>.</param>
    /// <returns><c>[B, 2 z, t, h, w]</c>: mean, then log variance.</returns>
    public Tensor Forward(Tensor x, StreamMemory memory, Trace trace)
    {
        using var scope = NewDisposeScope();
        x = convIn.Forward(x, memory); // [B, base, T, H, W]
        trace.Show("conv_in", x);
        for (var i = 0; i < downBlocks.Count; i++)
        {
            var y = downBlocks[i](x, memory, trace.Of("down_blocks", i)); // [B, C', T', H', W']
            x.Dispose();
            x = y;
            trace.Show($"down_blocks.{i}", x);
        }
        x = midBlock.Forward(x, memory, trace.Of("mid_block")); // [B, C, t, h, w]
        x = head.Forward(x, memory, trace.Of("norm_out"), spends: true); // [B, 2 z, t, h, w]
        trace.Show("conv_out", x);
        memory.EndChunk();
        return quantConv.Forward(x).MoveToOuterDisposeScope();
    }

    private void AddFlatStage(Weights weights, CausalVaeConfig config, int stage, int width, int outputs, bool? halvesTime)
    {
        Weights Next() => weights.Scope("down_blocks", downBlocks.Count);

        for (var i = 0; i < config.NumResBlocks; i++, width = outputs)
        {
            downBlocks.Add(new ResidualBlock(Next(), width, outputs).Forward);
            if (!config.AttnScales.Contains(Math.Pow(0.5, stage)))
                continue;
            var attention = new FrameAttention(Next(), outputs);
            downBlocks.Add((x, _, _) => attention.Forward(x));
        }
        if (halvesTime is not { } halves)
            return;
        var down = new DownStep(Next(), outputs, halves);
        downBlocks.Add((x, memory, _) => down.Forward(x, memory));
    }

    private void AddResidualStage(Weights weights, CausalVaeConfig config, int width, int outputs, bool? halvesTime)
    {
        var blocks = new List<ResidualBlock>();
        for (var (i, inputs) = (0, width); i < config.NumResBlocks; i++, inputs = outputs)
            blocks.Add(new(weights.Scope("resnets", i), inputs, outputs));
        var down = halvesTime is { } halves ? new DownStep(weights.Scope("downsampler"), outputs, halves) : null;
        downBlocks.Add(
            (x, memory, trace) =>
            {
                using var scope = NewDisposeScope();
                var y = x.alias();
                foreach (var block in blocks)
                {
                    var next = block.Forward(y, memory);
                    y.Dispose();
                    y = next;
                }
                if (down is not null)
                    y = down.Forward(y, memory);
                var shortcut = Shortcuts.Average(x, outputs, halvesTime == true ? 2 : 1, down is null ? 1 : 2);
                trace.Show("avg_shortcut", shortcut);
                return Ops.AddInto(y, shortcut).MoveToOuterDisposeScope();
            }
        );
    }
}

/// <summary>Latents to pixels (folded into patches), chunk by chunk.</summary>
internal sealed class VaeDecoderNetwork : IVaeNetwork
{
    private readonly PointConv postQuantConv;
    private readonly CausalConv convIn;
    private readonly MidBlock midBlock;
    private readonly List<UpBlock> upBlocks = [];
    private readonly NormConv head;

    public VaeDecoderNetwork(CausalVaeConfig config, Weights root)
    {
        var weights = root.Scope("decoder");
        var stages = config.DimMult.Count;
        var width = (config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[^1];
        postQuantConv = new(root.Scope("post_quant_conv"), config.ZDim, config.ZDim);
        convIn = new(weights.Scope("conv_in"), config.ZDim, width);
        midBlock = new(weights.Scope("mid_block"), width);
        for (var stage = 0; stage < stages; stage++)
        {
            var outputs = (config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[stages - 1 - stage];
            bool? doublesTime = stage < stages - 1 ? config.TemporalDownsample[stages - 2 - stage] : null;
            upBlocks.Add(new(weights.Scope("up_blocks", stage), config, width, outputs, doublesTime));
            // The flat kind halves the channels in its up step.
            width = config.IsResidual ? outputs : outputs / 2;
        }
        var last = (config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[0];
        head = new(new(weights.Scope("norm_out"), last), new(weights.Scope("conv_out"), last, config.OutChannels));
    }

    /// <summary>Whether its weights record gradients.</summary>
    public bool Trains => convIn.Trains;

    /// <param name="latents"><c>[B, z, t, h, w]</c>: one frame in the first chunk.</param>
    /// <param name="memory">The stream's.</param>
    /// <param name="trace">Names begin with <c>decoder</c>.</param>
    /// <returns><c>[B, C, T, H, W]</c>, not clamped.</returns>
    public Tensor Forward(Tensor latents, StreamMemory memory, Trace trace)
    {
        using var scope = NewDisposeScope();
        var x = convIn.Forward(postQuantConv.Forward(latents), memory); // [B, C, t, h, w]
        trace.Show("conv_in", x);
        x = midBlock.Forward(x, memory, trace.Of("mid_block"));
        for (var i = 0; i < upBlocks.Count; i++)
        {
            var y = upBlocks[i].Forward(x, memory, trace.Of("up_blocks", i)); // [B, C', T', H', W']
            x.Dispose();
            x = y;
        }
        x = head.Forward(x, memory, trace.Of("norm_out"), spends: true); // [B, C_out, T, H, W]
        trace.Show("conv_out", x);
        memory.EndChunk();
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>A decoder stage: residual blocks and, except in the last, an up step; in the 2.2 kind a shortcut around both.</summary>
    private sealed class UpBlock
    {
        private readonly List<ResidualBlock> blocks = [];
        private readonly UpStep? up;
        private readonly Func<Tensor, bool, Tensor>? shortcut;

        public UpBlock(Weights weights, CausalVaeConfig config, int inputs, int outputs, bool? doublesTime)
        {
            for (var i = 0; i <= config.NumResBlocks; i++, inputs = outputs)
                blocks.Add(new(weights.Scope("resnets", i), inputs, outputs));
            if (doublesTime is not { } doubles)
                return;
            up = config.IsResidual
                ? new(weights.Scope("upsampler"), outputs, outputs, doubles)
                : new(weights.Scope("upsamplers", 0), outputs, outputs / 2, doubles);
            if (config.IsResidual)
                shortcut = (x, isFirstChunk) => Shortcuts.Duplicate(x, outputs, doubles ? 2 : 1, 2, isFirstChunk);
        }

        /// <param name="x">Freed as soon as it isn't needed any more.</param>
        /// <param name="memory">The stream's.</param>
        /// <param name="trace">Of this stage.</param>
        public Tensor Forward(Tensor x, StreamMemory memory, Trace trace)
        {
            using var scope = NewDisposeScope();
            var y = shortcut is null ? x : x.alias();
            foreach (var block in blocks)
            {
                var next = block.Forward(y, memory);
                y.Dispose();
                y = next;
            }
            if (up is not null)
                y = up.Forward(y, memory);
            if (shortcut is not null)
            {
                var duplicate = shortcut(x, memory.IsFirstChunk);
                trace.Show("avg_shortcut", duplicate);
                y = Ops.AddInto(y, duplicate);
            }
            trace.Show("", y);
            return y.MoveToOuterDisposeScope();
        }
    }
}
