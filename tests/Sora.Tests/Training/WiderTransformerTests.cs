using Sora.Models.Mini;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

/// <summary>A transformer that is given more heads, and the width of them.</summary>
[Collection(nameof(Alone))]
public sealed class WiderTransformerTests
{
    private const int Heads = 8;

    // Layer norms see a mean that isn't quite zero, and RMS norms the new heads: both little, in every block.
    private const double Tolerance = 0.06;

    /// <summary>The built-in model answers nearly as before at every noise level, though it has more heads.</summary>
    [Theory]
    [InlineData(990f)]
    [InlineData(800f)]
    [InlineData(200f)]
    public void AnswersStay(float timestep)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var model = Opened.Mini(null);
        var input = Input(model, timestep);
        var (before, after) = (Narrow(model).Forward(input), Wide(model).Transformer.Forward(input));
        Assert.InRange(((after - before).norm() / before.norm()).ToDouble(), 1e-6, Tolerance);
    }

    /// <summary>The new parts are drawn at random and learn at once: what writes to them and what reads from them alternately.</summary>
    [Fact]
    public void NewPartsLearn()
    {
        using var scope = NewDisposeScope();
        var model = Opened.Mini(null);
        var (transformer, weights) = Wide(model, trainable: true);
        var old = model.Transformer.Dim;
        transformer.Forward(Input(model, 800)).square().mean().backward();
        Tensor Gradient(string name) => weights.Named()[name].grad!;
        foreach (var rows in (string[])["patch_embedding.weight", "blocks.0.ffn.net.2.weight", "blocks.3.attn1.to_out.0.weight"])
            Assert.All(
                Enumerable.Range(0, transformer.Config.Dim - old),
                i => Assert.NotEqual(0, Gradient(rows)[old + i].abs().sum().ToDouble())
            );
        foreach (
            var columns in (string[])
                ["blocks.0.ffn.net.2.weight", "blocks.3.attn1.to_out.0.weight", "blocks.3.attn2.to_out.0.weight", "proj_out.weight"]
        )
        {
            var width = weights.Named()[columns].shape[1];
            var from = width - (width * (Heads - model.Transformer.NumAttentionHeads) / Heads);
            // A unit whose GELU is shut for these few tokens has none.
            var silent = (Gradient(columns).narrow(1, from, width - from).abs().sum(0) == 0).sum().ToDouble() / (width - from);
            Assert.InRange(silent, 0, 0.02);
        }
        Assert.Equal((Heads * 48, Heads * 192), (transformer.Config.Dim, transformer.Config.FfnDim));
    }

    private static WanTransformer Narrow(MiniModel model) =>
        new(model.Transformer, Weights.From(model.OpenWeights("transformer"), new WeightsOptions { DType = float32 }));

    private static (WanTransformer Transformer, Weights Weights) Wide(MiniModel model, bool trainable = false)
    {
        using var narrow = model.OpenWeights("transformer");
        var weights = Weights.From(
            WiderTransformer.Widen(narrow, model.Transformer, Heads, seed: 1),
            new WeightsOptions { DType = float32, Trainable = trainable }
        );
        return (new(WiderTransformer.Sizes(model.Transformer, Heads), weights), weights);
    }

    private static TransformerInput Input(MiniModel model, float timestep)
    {
        using var generator = new Generator(5);
        return new TransformerInput
        {
            HiddenStates = randn([2, model.Transformer.InChannels, 3, 4, 4], generator: generator),
            Timestep = full([2], timestep),
            Text = randn([2, 6, model.Transformer.TextDim], generator: generator),
            TextLength = 16,
        };
    }
}
