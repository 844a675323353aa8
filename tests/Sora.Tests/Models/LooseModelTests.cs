using Sora.Conditions;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Models.Vision;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using Sora.Tests.Formats;
using Sora.Tests.Sampling;
using Xunit;

namespace Sora.Tests.Models;

/// <summary>Models that come as single files: what their shapes tell, and which files beside them belong to them.</summary>
public sealed class LooseModelTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("sora-loose-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Theory]
    [InlineData("wan21-t2v")]
    [InlineData("wan21-i2v")]
    [InlineData("wan21-flf2v")]
    [InlineData("wan21-vace")]
    [InlineData("wan22-ti2v")]
    public void ShapesTellTheTransformersConfig(string model)
    {
        var path = Golden.Path("models", model, "transformer");
        using var weights = Checkpoint.Open(path);
        var expected = WanTransformerConfig.Read(Path.Combine(path, "config.json"));
        var actual = WanTransformerConfig.From(InferredConfig.Of("transformer", weights, expected.NumAttentionHeads)) with
        {
            Eps = expected.Eps,
            VaceLayers = expected.VaceLayers,
        };
        Assert.Equal(expected.ToJson().ToJsonString(), actual.ToJson().ToJsonString());
    }

    [Theory]
    [InlineData("wan21-t2v")]
    [InlineData("wan21-i2v")]
    public void ShapesTellTheVaesConfig(string model)
    {
        var path = Golden.Path("models", model, "vae");
        using var weights = Checkpoint.Open(path);
        var expected = ModelRegistry.VaeConfig(Path.Combine(path, "config.json"));
        var actual = ModelRegistry.VaeConfig(InferredConfig.Of("vae", weights)) with
        {
            LatentsMean = expected.LatentsMean,
            LatentsStd = expected.LatentsStd,
        };
        Assert.Equal(expected.ToJson().ToJsonString(), actual.ToJson().ToJsonString());
    }

    [Theory]
    [InlineData("wan21-t2v/text_encoder")]
    [InlineData("umt5-tiny/text_encoder")]
    [InlineData("t5-tiny/text_encoder")]
    public void ShapesTellTheTextEncodersConfig(string part)
    {
        var path = Golden.Path(["models", .. part.Split('/')]);
        using var weights = Checkpoint.Open(path);
        var expected = T5Config.Read(Path.Combine(path, "config.json"));
        Assert.Equal(
            expected with
            {
                RelativeAttentionMaxDistance = 128,
            },
            T5Config.From(InferredConfig.Of("text_encoder", weights)) with
            {
                RelativeAttentionMaxDistance = 128,
            }
        );
    }

    /// <summary>The sizes of the published VAE of Wan 2.2, of which only the shapes are there.</summary>
    [Fact]
    public void ShapesTellTheConfigOfAPublishedVae()
    {
        using var shapes = Weights.Meta();
        _ = new CausalVae(CausalVaeConfig.Wan22, shapes);
        using var source = new ShapesOnly(shapes);
        Assert.Equal(
            CausalVaeConfig.Wan22.ToJson().ToJsonString(),
            ModelRegistry.VaeConfig(InferredConfig.Of("vae", source)).ToJson().ToJsonString()
        );
    }

    /// <summary>CLIP ViT-H/14, cut down to layers that can be told: all its sizes come from the shapes in Wan's own file.</summary>
    [Fact]
    public void ShapesTellTheConfigOfWansOwnClip()
    {
        var published = new ClipVisionConfig
        {
            HiddenSize = 1280,
            IntermediateSize = 24,
            NumHiddenLayers = 2,
            ImageSize = 28,
        };
        using var fresh = Weights.Initialise(1);
        _ = new ClipVision(published with { NumHiddenLayers = 3 }, fresh);
        var path = Path.Combine(root, "clip.pth");
        var ours = fresh
            .Named()
            .Select(pair => new KeyValuePair<string, HostTensor>(pair.Key, TensorIO.ToHost(pair.Value)))
            .Append(new("vision_model.post_layernorm.weight", HostTensor.FromFloats([0], [1])))
            .Append(new("vision_model.post_layernorm.bias", HostTensor.FromFloats([0], [1])));
        using (var set = new TensorSet(ours))
            OriginalClip.Write(path, set);
        using var weights = Checkpoint.Open(path);
        Assert.Equal(published, ClipVisionConfig.From(InferredConfig.Of("image_encoder", weights)));
    }

    [Fact]
    public void FilesInComfysFoldersAreAModel()
    {
        var transformer = Comfy();
        var golden = Opened.Wan(Golden.Path("models", "wan21-t2v"));
        var model = Opened.Wan(transformer);
        Assert.Equal(golden.Transformer.ToJson().ToJsonString(), model.Transformer.ToJson().ToJsonString());
        var settings = ModelDefaults.Of(golden).Settings with
        {
            Prompt = "a cat",
            Width = 16,
            Height = 16,
            Frames = 5,
            Steps = 2,
            TextLength = 16,
            Seed = 3,
        };
        using var one = PipelineTests.Open(model);
        using var other = PipelineTests.Open(golden);
        Assert.Equal(
            other.Generate(settings, Conditioning.Nothing).FinishedLatents.Data,
            one.Generate(settings, Conditioning.Nothing).FinishedLatents.Data
        );
    }

    [Fact]
    public void SeveralThatFitAreNamed()
    {
        var transformer = Comfy();
        var encoders = Path.Combine(root, "text_encoders");
        File.Copy(Path.Combine(encoders, "umt5.safetensors"), Path.Combine(encoders, "umt5-second.safetensors"));
        var model = Opened.Wan(transformer);
        var error = Assert.Throws<SoraException>(() => model.Part("text_encoder"));
        Assert.Contains("umt5-second.safetensors", error.Message);
        Assert.Contains("--text-encoder", error.Hint);
        var named = Path.Combine(encoders, "umt5.safetensors");
        Assert.Equal(named, Opened.Wan(transformer, new PartPaths { TextEncoder = named }).Part("text_encoder"));
    }

    [Fact]
    public void WhatIsNotThereIsNamed()
    {
        var transformer = Comfy();
        Directory.Delete(Path.Combine(root, "vae"), recursive: true);
        var error = Assert.Throws<SoraException>(() => Opened.Wan(transformer));
        Assert.Contains("no vae", error.Message);
        Assert.Contains("--vae", error.Hint);
    }

    /// <summary>Such a folder is what a repository of a text encoder alone holds.</summary>
    [Theory]
    [InlineData("tokenizer.json")]
    [InlineData("spiece.model")]
    public void ATextEncodersFolderHasItsTokenizer(string file)
    {
        var (golden, transformer) = (Golden.Path("models", "umt5-tiny"), Comfy());
        var encoder = Path.Combine(root, "umt5");
        foreach (var each in Directory.GetFiles(Path.Combine(golden, "text_encoder")))
            Put(each, "umt5", Path.GetFileName(each));
        Put(Path.Combine(golden, "tokenizer", file), "umt5", file);
        foreach (var model in (string[])[transformer, Golden.Path("models", "wan21-t2v")])
        {
            Assert.Equal(Path.Combine(encoder, file), Opened.Wan(model, new PartPaths { TextEncoder = encoder }).Part("tokenizer"));
            var named = Golden.Path("models", "wan21-t2v", "tokenizer");
            Assert.Equal(named, Opened.Wan(model, new PartPaths { TextEncoder = encoder, Tokenizer = named }).Part("tokenizer"));
        }
        var ids = Opened.Wan(transformer, new PartPaths { TextEncoder = encoder }).OpenTokenizer().Encode("two cats");
        Assert.Equal(Tokenizer.Load(Path.Combine(golden, "tokenizer", file)).Encode("two cats"), ids);
    }

    [Fact]
    public void TheExpertForLowNoiseLiesBesideTheOther()
    {
        var high = Comfy();
        var (first, second) = (
            Path.Combine(Path.GetDirectoryName(high)!, "wan2.2_HIGH_NOISE.safetensors"),
            Path.Combine(Path.GetDirectoryName(high)!, "wan2.2_LOW_NOISE.safetensors")
        );
        File.Copy(high, second);
        File.Move(high, first);
        File.Move(Path.ChangeExtension(high, ".json"), Path.ChangeExtension(first, ".json"));
        File.Copy(Path.ChangeExtension(first, ".json"), Path.ChangeExtension(second, ".json"));
        Assert.NotNull(Opened.Wan(first).Transformer2);
        Assert.Null(Opened.Wan(second).Transformer2);
    }

    [Fact]
    public void AFileOfSomethingElseIsRefused()
    {
        var error = Assert.Throws<SoraException>(() =>
            Opened.Wan(Golden.Path("models", "wan21-t2v", "vae", "diffusion_pytorch_model.safetensors"))
        );
        Assert.Contains("the weights of a vae, not of a transformer", error.Message);
        error = Assert.Throws<SoraException>(() => Opened.Wan(Golden.Path("models", "fmt-lora", "a-kohya.safetensors")));
        Assert.Contains("unknown architecture", error.Message);
    }

    /// <summary>A small model as ComfyUI's folders have it: the transformer under Wan's own names, its config beside it.</summary>
    private string Comfy()
    {
        var golden = Golden.Path("models", "wan21-t2v");
        var transformer = Path.Combine(Directory.CreateDirectory(Path.Combine(root, "diffusion_models")).FullName, "wan.safetensors");
        var theirs = new KeyMap(KeyMaps.Transformer.Names.Select(name => (name.Value, name.Key)));
        using (var weights = Checkpoint.Open(Path.Combine(golden, "transformer")))
        using (var stream = File.Create(transformer))
        {
            SafeTensors.Write(
                stream,
                new Dictionary<string, string>(),
                [.. weights.Tensors.Keys.Select(name => Entry("model.diffusion_model." + theirs.Find(name)!, weights.Copy(name)))]
            );
        }
        File.Copy(Path.Combine(golden, "transformer", "config.json"), Path.ChangeExtension(transformer, ".json"));
        Put(Path.Combine(golden, "text_encoder", "model.safetensors"), "text_encoders", "umt5.safetensors");
        Put(Path.Combine(golden, "vae", "diffusion_pytorch_model.safetensors"), "vae", "wan_vae.safetensors");
        // Another model's VAE beside it isn't taken: its latents have another number of channels.
        Put(Path.Combine(Golden.Path("models", "fmt-vae22"), "diffusion_pytorch_model.safetensors"), "vae", "other_vae.safetensors");
        Put(Path.Combine(golden, "tokenizer", "tokenizer.json"), "tokenizer", "tokenizer.json");
        return transformer;
    }

    private static TensorToWrite Entry(string name, HostTensor tensor) =>
        new(name, tensor.DType, tensor.Shape, stream => stream.Write(tensor.Data));

    private void Put(string file, string folder, string name) =>
        File.Copy(file, Path.Combine(Directory.CreateDirectory(Path.Combine(root, folder)).FullName, name));
}
