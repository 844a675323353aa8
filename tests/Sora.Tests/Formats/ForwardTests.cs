using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using Sora.Tests.Models;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Formats;

/// <summary>Models loaded from every format compute what the original computes with the same numbers.</summary>
public class ForwardTests
{
    [Theory]
    [InlineData("fmt-t2v-sharded", "f32")]
    [InlineData("fmt-t2v-variant", "f16")]
    [InlineData("fmt-t2v-bf16", "bf16")]
    [InlineData("fmt-t2v-single/original.safetensors", "f32")]
    [InlineData("fmt-t2v-single/comfy-f16.safetensors", "f16")]
    [InlineData("fmt-t2v-single/fp8-e4m3fn.safetensors", "fp8_e4m3fn")]
    [InlineData("fmt-t2v-single/fp8-scaled.safetensors", "fp8_scaled")]
    [InlineData("fmt-t2v-single/fp8-scaled-new.safetensors", "fp8_scaled")]
    public void Transformer(string file, string output)
    {
        using var golden = GoldenCase.Open("formats/forward-t2v");
        CheckTransformer(golden, Checkpoint.Open(PathOf(file)), "fmt-t2v", output);
    }

    [Fact]
    public void ImageToVideoTransformer()
    {
        using var golden = GoldenCase.Open("formats/forward-i2v");
        CheckTransformer(golden, Checkpoint.Open(PathOf("fmt-i2v-single/original.safetensors")), "fmt-i2v", "f32");
    }

    [Fact]
    public void GgufTransformer()
    {
        using var golden = GoldenCase.Open("formats/gguf-wan");
        CheckTransformer(golden, Checkpoint.Open(PathOf("fmt-gguf/wan.gguf")), "fmt-gguf", "sample");
    }

    [Theory]
    [InlineData("lora-a")]
    [InlineData("lora-b")]
    [InlineData("lora-a-b")]
    [InlineData("lora-b-partial-bias")]
    [InlineData("lora-i2v-kohya")]
    [InlineData("lora-i2v-kohya-no-image")]
    public void LoraTransformer(string name)
    {
        using var golden = GoldenCase.Open($"formats/{name}");
        var model = Path.GetFileName(golden.Model);
        var loras = golden
            .Params.GetProperty("loras")
            .EnumerateArray()
            .Select(lora => new LoraOption(PathOf($"fmt-lora/{lora[0].GetString()}"), lora[1].GetDouble()))
            .ToList();
        TensorSource Merged() => Lora.Merge(Checkpoint.Open(golden.Model), loras, Reporter.Silent);
        var atTheStart = CheckTransformer(golden, Merged(), model, "sample");
        // On the fly, whenever a block is read.
        Assert.Equal(atTheStart, CheckTransformer(golden, Merged(), model, "sample", Offload.Sequential));
    }

    [Theory]
    [InlineData("fmt-umt5", "f32")]
    [InlineData("fmt-umt5-single/comfy-f16.safetensors", "f16")]
    [InlineData("fmt-umt5-single/comfy-fp8-scaled.safetensors", "fp8_scaled")]
    [InlineData("fmt-umt5-single/t5encoder.gguf", "gguf")]
    public void TextEncoder(string file, string output)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open("formats/forward-umt5");
        using var weights = Float32(Checkpoint.Open(PathOf(file)));
        using var encoder = new T5Encoder(T5Config.Read(Path.Combine(PathOf("fmt-umt5"), "config.json")), weights);
        Assert.Equal(weights.Kept is null, weights.Named().Keys.Any(tensor => tensor.StartsWith("encoder.block.")));
        var actual = encoder.Forward(golden.Input("ids"), golden.Input("mask"));
        // Padding is never used: compare the rows of real tokens.
        var real = (int)golden.Input("mask").sum().item<long>();
        var error = GoldenTensors.Distance(actual.narrow(1, 0, real), golden.Output(output).narrow(1, 0, real));
        Assert.InRange(error, 0, golden.Tolerance);
        Assert.Empty(weights.Unused());
    }

    [Theory]
    [InlineData("fmt-vae21", "forward-vae21")]
    [InlineData("fmt-vae22", "forward-vae22")]
    public void Vae(string model, string name)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"formats/{name}");
        using var weights = Float32(Checkpoint.Open(PathOf(model)));
        var vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(PathOf(model), "config.json")), weights);
        var (mean, logVariance) = vae.EncodeMoments(golden.Input("video"));
        golden.Check("moments", cat([mean, logVariance], 1));
        golden.Check("video", vae.Decode(golden.Input("latent")));
    }

    private static float[] CheckTransformer(GoldenCase golden, TensorSource source, string model, string output, Offload offload = default)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var weights = Weights.From(source, new WeightsOptions { DType = float32, Offload = offload });
        // As a run does: compact formats stay as they are stored, block by block.
        using var transformer = new WanTransformer(WanTransformerConfig.Read(Path.Combine(PathOf(model), "config.json")), weights);
        Assert.Equal(source.IsCompact || offload == Offload.Sequential, !weights.Named().ContainsKey("blocks.0.attn1.to_q.weight"));
        var input = new TransformerInput
        {
            HiddenStates = golden.Input("latent"),
            Timestep = golden.Input("timestep"),
            Text = golden.Input("text"),
            TextLength = golden.InShape("text")[1],
            Image = golden.HasInput("image") ? golden.Input("image") : null,
        };
        var sample = transformer.Forward(input);
        golden.Check(output, sample);
        Assert.Empty(weights.Unused());
        return TensorIO.ToHost(sample).ToFloats();
    }

    private static Weights Float32(TensorSource source) => Weights.From(source, new WeightsOptions { DType = float32 });

    private static string PathOf(string file) => Golden.Path(["models", .. file.Split('/')]);
}
