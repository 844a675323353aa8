using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// The control branch of VACE (https://arxiv.org/abs/2503.07598): blocks of its own that run on the control video and
/// give hints to add after some of the main blocks.
/// </summary>
internal sealed class VaceBranch
{
    private readonly WanTransformerConfig config;
    private readonly IReadOnlyList<int> layers;
    private readonly PatchEmbedding patchEmbedding;
    private readonly Linear projIn;
    private readonly BlockList<WanBlock> blocks;
    private readonly Linear[] projOut;

    /// <param name="config">Sizes.</param>
    /// <param name="weights">Of the transformer.</param>
    /// <param name="blocks">The first ones are this branch's.</param>
    public VaceBranch(WanTransformerConfig config, Weights weights, BlockList<WanBlock> blocks)
    {
        (this.config, this.blocks) = (config, blocks);
        layers = config.VaceLayers!;
        patchEmbedding = new(config, weights.Scope("vace_patch_embedding"), config.VaceInChannels);
        projIn = new(weights.Scope("vace_blocks.0.proj_in"), config.Dim, config.Dim);
        projOut = [.. layers.Select((_, i) => new Linear(weights.Scope("vace_blocks", i).Scope("proj_out"), config.Dim, config.Dim))];
    }

    /// <summary>What to add after which main block, scaled; all of it is computed before the first of them runs.</summary>
    /// <param name="x">The embedded latents, <c>[B, L, dim]</c>.</param>
    /// <param name="input">Control video and scales.</param>
    /// <param name="context">As for the main blocks; one timestep for all tokens.</param>
    /// <param name="trace">Of the transformer.</param>
    public Dictionary<int, Tensor> Hints(Tensor x, TransformerInput input, PassContext context, Trace trace)
    {
        var control = input.Control ?? throw new ArgumentException("a VACE transformer needs a control video");
        if (input.ControlScale is { } scales && scales.Count != layers.Count)
            throw new ArgumentException($"{scales.Count} control scales for {layers.Count} control layers");
        using var scope = NewDisposeScope();
        var state = patchEmbedding.Forward(TokenPatches.Fold(config, control.to(x.dtype)));
        trace.Show("vace_patch_embedding", state);
        var missing = x.shape[1] - state.shape[1];
        if (missing > 0)
            state = cat([state, zeros([state.shape[0], missing, config.Dim], state.dtype, state.device)], 1);
        state = projIn.Forward(state);
        trace.Show("vace_block0.proj_in", state);
        state = Ops.AddInto(state, x);
        var hints = new Dictionary<int, Tensor>();
        for (var i = 0; i < layers.Count; i++)
        {
            var (x0, own) = (state, context.Of(i));
            state = blocks.Run(i, block => block.Forward(x0, own));
            trace.Show($"vace_block{i}.state", state);
            var hint = projOut[i].Forward(state);
            trace.Show($"vace_block{i}.hint", hint);
            hints[layers[i]] = hint.mul(input.ControlScale?[i] ?? 1).MoveToOuterDisposeScope();
        }
        return hints;
    }
}
