using System.Text.Json;
using System.Text.Json.Nodes;
using Sora.Models.Checkpoints;
using Sora.Models.Depth;
using Sora.Nn;
using Sora.Tests.Clips;
using Xunit;

namespace Sora.Tests.Models;

/// <summary>What the configs of a depth model say, or the shapes of its weights where there is none.</summary>
public class DepthConfigTests
{
    private const string Tiny = "depth-anything-tiny";

    /// <summary>A size that was published: its width, layers, the layers of its features, the neck's widths and the fusion's.</summary>
    public static TheoryData<int, int, int[], int[], int> Published =>
        new()
        {
            { 384, 12, [3, 6, 9, 12], [48, 96, 192, 384], 64 },
            { 768, 12, [3, 6, 9, 12], [96, 192, 384, 768], 128 },
            { 1024, 24, [5, 12, 18, 24], [256, 512, 1024, 1024], 256 },
        };

    [Fact]
    public void ASparseConfigTakesTransformersDefaults()
    {
        var full = DepthAnythingConfig.Read(Golden.Path("models", Tiny, "config.json"));
        var sparse = DepthAnythingConfig.Read(Golden.Path("models", $"{Tiny}-metric", "config.json"));
        Assert.Equal(Text(full), Text(sparse with { IsMetric = false, MaxDepth = 1 }));
        Assert.True(sparse.IsMetric);
        Assert.Equal(20, sparse.MaxDepth);
        Assert.Equal([1, 3, 4, 5], full.Backbone.OutFeatures);
        Assert.Equal(1e-6, sparse.Backbone.LayerNormEps);
    }

    [Fact]
    public void FeaturesCanBeNumbers()
    {
        var config = Changed((_, backbone) => backbone.Remove("out_features"));
        Assert.Equal([1, 3, 4, 5], DepthAnythingConfig.From(config).Backbone.OutFeatures);
    }

    [Theory]
    [InlineData("model_type", "\"dpt\"", "unknown depth model dpt")]
    [InlineData("depth_estimation_type", "\"other\"", "unknown depth_estimation_type other")]
    [InlineData("neck_hidden_sizes", "[6, 8, 12]", "4 out_features, 3 neck_hidden_sizes and 4 reassemble_factors")]
    [InlineData("reassemble_factors", "[4, 2.5, 1, 0.5]", "reassemble_factors must be")]
    [InlineData("reassemble_hidden_size", "32", "reassemble_hidden_size")]
    [InlineData("head_in_index", "0", "head_in_index")]
    [InlineData("backbone_config", "null", "no backbone_config")]
    [InlineData("backbone_config.model_type", "\"dinov2_with_registers\"", "unknown backbone dinov2_with_registers")]
    [InlineData("backbone_config.num_channels", "4", "num_channels is 4")]
    [InlineData("backbone_config.image_size", "7", "no network has patch_size 14, image_size 7")]
    [InlineData("backbone_config.reshape_hidden_states", "true", "reshape_hidden_states")]
    [InlineData("patch_size", "16", "patch_size isn't that of the backbone, 14")]
    [InlineData("max_depth", "-1", "max_depth must be above 0")]
    [InlineData("backbone_config.use_swiglu_ffn", "true", "SwiGLU")]
    [InlineData("backbone_config.hidden_act", "\"relu\"", "relu")]
    [InlineData("backbone_config.num_attention_heads", "5", "5 heads don't divide the width 24")]
    [InlineData("backbone_config.out_features", "[\"stem\", \"stage3\", \"stage4\", \"stage5\"]", "unknown feature stem")]
    [InlineData("backbone_config.out_features", "[\"stage1\", \"stage3\", \"stage4\", \"stage6\"]", "stage1 to stage5")]
    [InlineData("backbone_config.out_features", "[\"stage3\", \"stage1\", \"stage4\", \"stage5\"]", "found 3 1 4 5")]
    public void WhatIsUnknownIsNamed(string field, string value, string message)
    {
        var config = Changed(
            (config, backbone) =>
            {
                var (of, name) = field.Split('.') is [_, var inner] ? (backbone, inner) : (config, field);
                of[name] = JsonNode.Parse(value);
            }
        );
        Assert.Contains(message, Assert.Throws<SoraException>(() => DepthAnythingConfig.From(config)).Message);
    }

    [Theory]
    [MemberData(nameof(Published))]
    public void ShapesTellTheSizesOfPublishedModels(int width, int layers, int[] features, int[] neck, int fusion)
    {
        var expected = new DepthAnythingConfig
        {
            Backbone = new DinoV2Config
            {
                HiddenSize = width,
                NumHiddenLayers = layers,
                NumAttentionHeads = width / 64,
                ImageSize = 518,
                OutFeatures = features,
            },
            NeckHiddenSizes = neck,
            FusionHiddenSize = fusion,
        };
        Assert.Equal(Text(expected), Text(Inferred(expected, "depth_anything_v2_vits.pth")));
        var metric = Inferred(expected, "/models/depth_anything_v2_metric_vkitti_vits.pth");
        Assert.Equal(Text(expected with { IsMetric = true, MaxDepth = 80 }), Text(metric));
        Assert.Equal(20, Inferred(expected, "depth_anything_v2_metric_hypersim_vits.pth").MaxDepth);
    }

    [Theory]
    [InlineData(1536, 2, "depth_anything_v2_vitg.pth", "2 layers of width 1536")]
    [InlineData(384, 2, "depth_anything_v2_vits.pth", "2 layers of width 384")]
    [InlineData(384, 12, "depth_anything_vits14.pth", "the first Depth Anything")]
    [InlineData(384, 12, "depth_anything_v2_metric_mine.pth", "largest depth")]
    public void WhatShapesDontTellIsRefused(int width, int layers, string file, string message)
    {
        var config = new DepthAnythingConfig
        {
            Backbone = new DinoV2Config
            {
                HiddenSize = width,
                NumHiddenLayers = layers,
                OutFeatures = [1, 1, 1, 1],
            },
        };
        var error = Assert.Throws<SoraException>(() => Inferred(config, file));
        Assert.Contains(message, error.Message);
        Assert.Equal("put the model's config.json next to the file", error.Hint);
    }

    [Fact]
    public void SizesAreTheReferences()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "depth", "sizes.json")));
        var sizes = document.RootElement.GetProperty("sizes").EnumerateArray().ToList();
        Assert.Equal(50, sizes.Count);
        foreach (var size in sizes)
        {
            int Field(string name) => size.GetProperty(name).GetInt32();
            var pixels = new DepthPixels { Height = Field("size"), Width = Field("size") };
            // Where the reference gives nothing and fails, there is one patch.
            Assert.Equal(
                (Math.Max(14, Field("out_width")), Math.Max(14, Field("out_height"))),
                pixels.ResizedTo(Field("width"), Field("height"))
            );
        }
    }

    [Theory]
    [InlineData("image_processor_type", "\"CLIPImageProcessor\"", "unknown image processor CLIPImageProcessor")]
    [InlineData("do_pad", "true", "do_pad must be false")]
    [InlineData("do_resize", "false", "do_resize must be true")]
    [InlineData("keep_aspect_ratio", "false", "keep_aspect_ratio")]
    [InlineData("resample", "2", "resample 2")]
    [InlineData("image_std", "[1, 0, 1]", "image_std")]
    [InlineData("ensure_multiple_of", "16", "multiples of 16 pixels, but the backbone takes patches of 14")]
    public void WhatCantBeDoneToPicturesIsNamed(string field, string value, string message)
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path("models", Tiny, "preprocessor_config.json")))!;
        json[field] = JsonNode.Parse(value);
        File.WriteAllText(folder["preprocessor_config.json"], json.ToJsonString());
        Assert.Contains(message, Assert.Throws<SoraException>(() => DepthPixels.Of(folder.Path, 14)).Message);
    }

    /// <summary>Beside a single file anything may lie: another model's processor isn't taken, and one for depth is.</summary>
    [Fact]
    public void TheProcessorBesideAFileIsTakenIfItIsForDepth()
    {
        using var folder = new TemporaryFolder();
        var file = folder["model.safetensors"];
        Assert.Equal(518, DepthPixels.Of(file, 14).Height);
        File.WriteAllText(file, "");
        File.WriteAllText(folder["preprocessor_config.json"], """{"image_processor_type": "CLIPImageProcessor", "size": 224}""");
        Assert.Equal(518, DepthPixels.Of(file, 14).Height);
        File.Copy(Golden.Path("models", Tiny, "preprocessor_config.json"), folder["preprocessor_config.json"], overwrite: true);
        Assert.Equal(70, DepthPixels.Of(file, 14).Height);
    }

    private static DepthAnythingConfig Inferred(DepthAnythingConfig config, string file)
    {
        using var shapes = Weights.Meta();
        using var network = new DepthAnything(config, shapes);
        using var source = new ShapesOnly(shapes, file);
        return DepthAnythingConfig.From(InferredConfig.Of("depth_estimator", source));
    }

    private static ConfigFile Changed(Action<JsonObject, JsonObject> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden.Path("models", Tiny, "config.json")))!.AsObject();
        change(config, config["backbone_config"]!.AsObject());
        return ConfigFile.Parse("config.json", config.ToJsonString());
    }

    /// <summary>Records compare lists by identity.</summary>
    private static string Text(DepthAnythingConfig config) => JsonSerializer.Serialize(config);
}
