using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>
/// The control branch of VACE (https://arxiv.org/abs/2503.07598): blocks of its own that run on the control video and
/// give hints to add behind some of the main blocks.
/// </summary>
internal sealed class VaceBranch
{
    private readonly WanTransformerConfig config;
    private readonly IReadOnlyList<int> layers;
    private readonly PatchEmbedding patchEmbedding;
    private readonly Linear projIn;
    private readonly (WanBlock Block, Linear ProjOut)[] blocks;

    public VaceBranch(WanTransformerConfig config, Weights weights)
    {
        this.config = config;
        layers = config.VaceLayers!;
        patchEmbedding = new(config, weights.Scope("vace_patch_embedding"), config.VaceInChannels);
        projIn = new(weights.Scope("vace_blocks.0.proj_in"), config.Dim, config.Dim);
        blocks =
        [
            .. layers.Select((_, i) => weights.Scope("vace_blocks", i)).Select(part =>
                (new WanBlock(config, part), new Linear(part.Scope("proj_out"), config.Dim, config.Dim))),
        ];
    }

    /// <summary>The cross attentions of its blocks.</summary>
    public IEnumerable<CrossAttention> CrossAttentions => blocks.Select(entry => entry.Block.CrossAttention);

    /// <summary>What to add behind which main block, scaled; all of it is computed before the first of them runs.</summary>
    /// <param name="x">The embedded latents, <c>[B, L, dim]</c>.</param>
    /// <param name="input">Control video and scales.</param>
    /// <param name="context">As for the main blocks; one timestep for all tokens.</param>
    /// <param name="trace">Of the transformer.</param>
    public Dictionary<int, Tensor> Hints(Tensor x, TransformerInput input, BlockContext context, Trace trace)
    {
        var control = input.Control ?? throw new ArgumentException("a VACE transformer needs a control video");
        if (input.ControlScale is { } scales && scales.Count != layers.Count)
            throw new ArgumentException($"{scales.Count} control scales for {layers.Count} control layers");
        using var scope = NewDisposeScope();
        var state = patchEmbedding.Forward(TokenPatches.Fold(config, control.to(x.dtype)));
        trace.Show("vace_patch_embedding", state);
        var missing = x.shape[1] - state.shape[1];
        if (missing > 0) state = cat([state, zeros([state.shape[0], missing, config.Dim], state.dtype, state.device)], 1);
        state = projIn.Forward(state);
        trace.Show("vace_block0.proj_in", state);
        state = Ops.AddInto(state, x);
        var hints = new Dictionary<int, Tensor>();
        for (var i = 0; i < blocks.Length; i++)
        {
            state = blocks[i].Block.Forward(state, context);
            trace.Show($"vace_block{i}.state", state);
            var hint = blocks[i].ProjOut.Forward(state);
            trace.Show($"vace_block{i}.hint", hint);
            hints[layers[i]] = hint.mul(input.ControlScale?[i] ?? 1).MoveToOuterDisposeScope();
        }
        return hints;
    }
}
