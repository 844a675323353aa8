using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Planning;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

public class OffloadTests
{
    [Theory]
    [InlineData("none", null)]
    [InlineData("sequential", 0)]
    [InlineData("blocks=12", 12)]
    public void ItIsReadFromText(string text, int? blocks) => Assert.Equal(blocks, Offload.Parse(text).Blocks);

    [Theory]
    [InlineData("")]
    [InlineData("Sequential")]
    [InlineData("blocks")]
    [InlineData("blocks=")]
    [InlineData("blocks=-1")]
    [InlineData("blocks=1.5")]
    public void AnythingElseIsWrong(string text) =>
        Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(() => Offload.Parse(text)).Kind);

    /// <summary>Two experts, guided: both are streamed.</summary>
    [Theory]
    [InlineData("t2v")]
    [InlineData("vace-control")]
    [InlineData("a14b-i2v")]
    public void AWholeRunIsTheSame(string name)
    {
        using var golden = GoldenCase.Open($"wan/pipeline-{name}");
        var model = Opened.Wan(golden.Model);
        var settings = PipelineTests.Settings(golden, model) with { Steps = 2 };
        float[] Run(Offload offload)
        {
            using var scope = NewDisposeScope();
            using var pipeline = new VideoPipeline(
                model,
                new Precision(CPU, float32) { Offload = offload },
                Reporter.Silent,
                CancellationToken.None
            );
            return pipeline
                .Generate(settings, PipelineTests.Known(golden, settings, model), PipelineTests.Noise(golden))
                .FinishedLatents.ToFloats();
        }
        var all = Run(Offload.None);
        Assert.Equal(all, Run(Offload.Sequential));
        Assert.Equal(all, Run(new Offload(1)));
    }

    private static MemoryPlan Plan(WanModel model, SamplingSettings settings, Offload offload) =>
        MemoryPlan.Of(model, new GenerationRequest(settings), 1, new Precision(CPU, float32) { Offload = offload });

    /// <summary>What is held falls by what is streamed, but for two blocks at a time, without what the text's keys need.</summary>
    [Fact]
    public void ThePlanKnowsWhatStays()
    {
        var model = Opened.Wan(Golden.Path("models", "wan21-t2v"));
        StageCost Sampling(Offload offload) => Plan(model, ModelDefaults.Of(model).Settings, offload).Stages[1];
        var (all, one, none) = (Sampling(Offload.None), Sampling(new Offload(1)), Sampling(Offload.Sequential));
        var block = none.Streamed / model.Transformer.NumLayers;
        Assert.Equal(0, all.Streamed);
        Assert.Equal(2 * block, one.Streamed);
        using var weights = model.OpenWeights("transformer");
        var keys = weights
            .Tensors.Values.Where(tensor =>
                tensor.Name.StartsWith("blocks.0.attn2.to_k")
                || tensor.Name.StartsWith("blocks.0.attn2.to_v")
                || tensor.Name == "blocks.0.attn2.norm_k.weight"
            )
            .Sum(tensor => tensor.Bytes);
        Assert.Equal(all.Weights - 2 * keys, one.Weights);
        Assert.Equal(all.Weights - block - 2 * keys, none.Weights);
        Assert.Equal(all.Activations, none.Activations);
    }

    /// <summary>Blocks and embedding of the text encoder are streamed, too.</summary>
    [Fact]
    public void ThePlanKnowsWhatStaysOfTheTextEncoder()
    {
        var model = Opened.Wan(Golden.Path("models", "wan21-t2v"));
        StageCost Text(Offload offload) => Plan(model, ModelDefaults.Of(model).Settings, offload).Stages[0];
        var (all, none) = (Text(Offload.None), Text(Offload.Sequential));
        using var weights = model.OpenWeights("text_encoder");
        Assert.Equal(all.Weights, weights.Tensors.Values.Sum(tensor => tensor.Elements) * 4);
        Assert.Equal(weights.Info("encoder.final_layer_norm.weight").Elements * 4 + none.Streamed, all.Weights);
        // Both of the two blocks are in memory at a time.
        Assert.Equal(all.Weights - weights.Info("shared.weight").Elements * 4, none.Weights);
    }

    [Fact]
    public void ARunThatFitsWhenItIsStreamedIsToldSo()
    {
        var model = Opened.Wan(Golden.Path("models", "wan21-t2v"));
        var settings = ModelDefaults.Of(model).Settings with { Width = 16, Height = 16, Frames = 1, TextLength = 8 };
        MemoryPlan Smaller(SamplingSettings other, bool streamed) => Plan(model, other, streamed ? Offload.Sequential : Offload.None);
        var card = new FreeMemory(Smaller(settings, true).Stages[1].Needed, " on cuda:0");
        var error = Assert.Throws<SoraException>(() => Smaller(settings, false).Require(card, Smaller, model, settings));
        Assert.Equal("--offload sequential fits", error.Hint);
        Assert.EndsWith(" is free on cuda:0", error.Message);
        Smaller(settings, true).Require(card, Smaller, model, settings);
    }

    /// <summary>A clip that is changed has its own length and size: what can be shorter is a window.</summary>
    [Fact]
    public void WhatIsMadeOfAClipIsToldShorterWindows()
    {
        var model = Opened.Wan(Golden.Path("models", "wan21-t2v"));
        var settings = ModelDefaults.Of(model).Settings with { Width = 256, Height = 256, Frames = 33 };
        MemoryPlan Smaller(SamplingSettings other, bool streamed) => Plan(model, other, streamed ? Offload.Sequential : Offload.None);
        string? Hint(SamplingSettings fitting, bool isOfClip)
        {
            var card = new FreeMemory(Smaller(fitting, false).Largest.Needed, "");
            return Assert.Throws<SoraException>(() => Smaller(settings, false).Require(card, Smaller, model, settings, isOfClip)).Hint;
        }
        Assert.Equal("--window 17 fits", Hint(settings with { Frames = 17 }, true));
        Assert.Equal("--frames 17 fits", Hint(settings with { Frames = 17 }, false));
        Assert.Equal(
            "--window 5 with a clip of 128x128 (sora decode | sora encode --size 128x128) fits",
            Hint(settings with { Width = 128, Height = 128, Frames = 5 }, true)
        );
        Assert.Equal("--size 128x128 --frames 1 fits", Hint(settings with { Width = 128, Height = 128, Frames = 1 }, false));
    }

    [Fact]
    public void ThePlanCountsCompactWeightsAsTheyAreStored()
    {
        var model = Opened.Wan(Golden.Path("models", "fmt-gguf", "wan.gguf"), new PartPaths { Vae = Golden.Path("models", "fmt-vae21") });
        var stage = Plan(model, ModelDefaults.Of(model).Settings, Offload.None).Stages[1];
        using var weights = Checkpoint.Open(model.Part("transformer"));
        var blocks = weights.Tensors.Values.Where(tensor => tensor.Name.StartsWith("blocks.")).ToList();
        var stored = blocks.Sum(tensor => weights.Stored(tensor.Name).Bytes);
        Assert.Equal(stored, stage.Streamed);
        Assert.True(stored < blocks.Sum(tensor => tensor.Elements) * 2, "most of it is one byte a number");
    }
}
