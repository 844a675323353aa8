using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

public sealed class WeightsTests : IDisposable
{
    private static readonly string Vae = Golden.Path("models", "wan21-t2v", "vae");

    private readonly string folder = Directory.CreateTempSubdirectory("sora-weights-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void TensorsOutliveTheCallersScopeAndDieWithTheWeights()
    {
        var weights = Checkpoint.Load(Vae);
        Tensor bias;
        using (NewDisposeScope())
            bias = weights.Get("quant_conv.bias", default, 32);
        Assert.Equal(32, bias.numel());
        Assert.Same(bias, weights.Scope("quant_conv").Get("bias", default, 32));
        Assert.Equal(["quant_conv.bias"], weights.Named().Keys);
        weights.Dispose();
        Assert.True(bias.IsInvalid);
    }

    [Fact]
    public void AWrongShapeIsOneLineThatSaysEverything()
    {
        using var weights = Checkpoint.Load(Vae);
        var error = Assert.Throws<SoraException>(() => weights.Get("quant_conv.bias", default, 7));
        Assert.Contains("quant_conv.bias is [32], expected [7]", error.Message);
        Assert.Contains("diffusion_pytorch_model.safetensors", error.Message);
    }

    [Fact]
    public void AMissingTensorIsNamed()
    {
        using var weights = Checkpoint.Load(Vae);
        var error = Assert.Throws<SoraException>(() => weights.Scope("blocks", 3).Get("attn9.weight", default, 7, 8));
        Assert.Contains("no tensor blocks.3.attn9.weight (expected [7, 8])", error.Message);
    }

    [Fact]
    public void NewTensorsDependOnSeedAndNameOnly()
    {
        using var first = Weights.Initialise(7);
        using var second = Weights.Initialise(7);
        using var other = Weights.Initialise(8);
        first.Get("a", Init.Normal(1), 5);
        var b = first.Get("b", Init.FanIn(16), 4, 16);
        Assert.True(b.requires_grad);
        Assert.True(b.detach().abs().max().item<float>() <= 0.25f);
        Assert.Equal(0, GoldenTensors.Distance(second.Get("b", Init.FanIn(16), 4, 16), b));
        Assert.True(GoldenTensors.Distance(other.Get("b", Init.FanIn(16), 4, 16), b) > 0.1);
    }

    [Fact]
    public void WhatWasSavedComesBackAndTrainsOn()
    {
        var path = Path.Combine(folder, "model.safetensors");
        using var made = Weights.Initialise(1);
        var weight = made.Scope("layer").Get("weight", Init.Normal(0.02), 3, 4);
        made.Save(path);
        using var loaded = Checkpoint.Load(folder, new WeightsOptions { Trainable = true });
        var back = loaded.Get("layer.weight", default, 3, 4);
        Assert.True(back.requires_grad && back.is_leaf);
        Assert.Equal(0, GoldenTensors.Distance(back, weight));
        made.Save(path, float16);
        using var file = SafeTensorsFile.Open(path);
        Assert.Equal(DType.F16, file.Info("layer.weight").DType);
        Assert.Equal("pt", file.Metadata["format"]);
    }

    [Theory]
    [InlineData("fmt-t2v", "f32")]
    [InlineData("fmt-t2v-sharded", "f32")]
    public void FoldersOfOneFileAndOfShardsGiveTheSameModel(string model, string output)
    {
        using var golden = GoldenCase.Open("formats/forward-t2v");
        using var scope = NewDisposeScope();
        using var weights = Checkpoint.Load(Golden.Path("models", model));
        var transformer = new WanTransformer(WanTransformerConfig.Read(Golden.Path("models", model, "config.json")), weights);
        golden.Check(
            output,
            transformer.Forward(
                new TransformerInput
                {
                    HiddenStates = golden.Input("latent"),
                    Timestep = golden.Input("timestep"),
                    Text = golden.Input("text"),
                    TextLength = golden.InShape("text")[1],
                }
            )
        );
    }

    /// <summary>Half precision as a file holds it, computed in float32.</summary>
    [Theory]
    [InlineData("f16", ScalarType.Float16)]
    [InlineData("bf16", ScalarType.BFloat16)]
    public void HalvesAreWidenedOnRequest(string output, ScalarType stored)
    {
        using var golden = GoldenCase.Open("formats/forward-t2v");
        using var scope = NewDisposeScope();
        var config = WanTransformerConfig.Read(Golden.Path("models", "fmt-t2v", "config.json"));
        using (var full = Checkpoint.Load(Golden.Path("models", "fmt-t2v")))
        {
            _ = new WanTransformer(config, full);
            full.Save(Path.Combine(folder, "model.safetensors"), stored);
        }
        using var weights = Checkpoint.Load(folder, new WeightsOptions { DType = float32 });
        golden.Check(
            output,
            new WanTransformer(config, weights).Forward(
                new TransformerInput
                {
                    HiddenStates = golden.Input("latent"),
                    Timestep = golden.Input("timestep"),
                    Text = golden.Input("text"),
                    TextLength = golden.InShape("text")[1],
                }
            )
        );
    }

    [Fact]
    public void AnIndexThatPromisesTooMuchIsAnError()
    {
        foreach (var file in Directory.GetFiles(Golden.Path("models", "fmt-t2v-sharded")))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        var index = Directory.GetFiles(folder, "*.index.json").Single();
        File.WriteAllText(index, File.ReadAllText(index).Replace("\"proj_out.bias\"", "\"proj_out.other\""));
        var error = Assert.Throws<SoraException>(() => Checkpoint.Load(folder));
        Assert.Contains("no tensor proj_out.other", error.Message);
        File.Delete(Directory.GetFiles(folder, "*-00002-*").Single());
        Assert.Contains("-00002-", Assert.Throws<SoraException>(() => Checkpoint.Load(folder)).Message);
    }

    [Fact]
    public void RowsAreReadAlone()
    {
        using var weights = Checkpoint.Load(Golden.Path("models", "fmt-umt5"));
        var all = weights.Get("shared.weight", default, 360, 32);
        using var scope = NewDisposeScope();
        var some = weights.Rows("shared.weight", [7, 359, 0, 7], 360, 32);
        Assert.Equal(0, GoldenTensors.Distance(some, all.index_select(0, tensor(new long[] { 7, 359, 0, 7 }))));
        Assert.Contains("expected [361, 32]", Assert.Throws<SoraException>(() => weights.Rows("shared.weight", [1], 361, 32)).Message);
    }

    [Fact]
    public void WhatIsNoNumberIsFoundBeforeItIsUsed()
    {
        var values = new float[] { 1, 2, float.NaN, 4 };
        using var source = new TensorSet([new("layer.weight", HostTensor.FromFloats(values, [2, 2]))]);
        using var weights = Weights.From(source);
        var error = Assert.Throws<SoraException>(() => weights.Get("layer.weight", default, 2, 2));
        Assert.Contains("layer.weight", error.Message);
    }

    [Fact]
    public void AnEmptyFolderIsAnError() =>
        Assert.Contains("no weights", Assert.Throws<SoraException>(() => Checkpoint.Load(folder)).Message);
}
