using System.Text.Json;
using Sora.Media;
using Sora.Models.Checkpoints;
using Sora.Models.Depth;
using Sora.Tensors;
using Sora.Tests.Clips;
using Sora.Tests.Formats;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>Depth Anything V2 against transformers, as tests/golden/README-depth.md has it.</summary>
public sealed class DepthEstimatorTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Cases =>
        [
            .. Directory
                .GetFiles(Golden.Path("cases", "depth"), "*.safetensors")
                .Select(path => Path.GetFileNameWithoutExtension(path))
                .Order(StringComparer.Ordinal),
        ];

    private static string Metric => Golden.Path("models", "depth-anything-tiny-metric");

    private static string OriginalFile => Golden.Path("models", "depth-anything-tiny-original", "depth_anything_v2.safetensors");

    public void Dispose() => folder.Dispose();

    [Fact]
    public void EveryCaseIsThere() => Assert.Equal(8, Cases.Count);

    [Theory]
    [MemberData(nameof(Cases))]
    public void EveryStageEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open($"depth/{name}");
        using var estimator = DepthEstimator.Open(golden.Model);
        Assert.Equal(golden.Params.GetProperty("depth_estimation_type").GetString() == "metric", estimator.IsMetric);
        Assert.Equal(golden.Params.GetProperty("max_depth").GetDouble(), estimator.Config.MaxDepth);
        CheckOutputs(golden, estimator);
    }

    [Theory]
    [InlineData("metric-landscape", ".safetensors")]
    [InlineData("metric-portrait", ".safetensors")]
    [InlineData("metric-portrait", ".pth")]
    public void TheSameFromTheAuthorsOwnFile(string name, string extension)
    {
        using var golden = GoldenCase.Open($"depth/{name}");
        using var estimator = DepthEstimator.Open(OriginalModel(extension));
        CheckOutputs(golden, estimator);
    }

    /// <summary>The metric model's weights, which are rounded to the same type, bit for bit.</summary>
    [Fact]
    public void TheAuthorsOwnNamesAreTransformersNames()
    {
        using var ours = Checkpoint.Open(Metric);
        using var theirs = Checkpoint.Open(OriginalFile);
        Assert.Equal(ours.Tensors.Keys.Order(StringComparer.Ordinal), theirs.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, info) in ours.Tensors)
        {
            Assert.Equal(info.Shape, theirs.Info(name).Shape);
            Assert.Equal(ours.Copy(name).Data, theirs.Copy(name).Data);
        }
    }

    [Fact]
    public void TheKeyMapIsTheReferences()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "depth", "keymap-depth-anything.json")));
        foreach (var entry in document.RootElement.GetProperty("entries").EnumerateArray())
        {
            string Numbered(JsonElement name) => name.GetString()!.Replace("{i}", "17");
            var found = KeyMaps.DepthEstimator.Find(Numbered(entry.GetProperty("original")))!;
            var (fused, parts) = KeyMaps.Fused.FirstOrDefault(fused => found.Contains(fused.Name));
            IEnumerable<string> names = fused is null ? [found] : parts.Select(part => found.Replace(fused, part));
            Assert.Equal(entry.GetProperty("transformers").EnumerateArray().Select(Numbered), names);
        }
    }

    [Fact]
    public void PositionsAreResampledOnceForEachSize()
    {
        using var golden = GoldenCase.Open("depth/landscape");
        using var estimator = DepthEstimator.Open(golden.Model);
        var seen = new List<Tensor>();
        estimator.Observer = (stage, value) =>
        {
            if (stage == "position_embeddings")
                seen.Add(value);
        };
        var image = ImageOf(golden);
        var first = estimator.Estimate(image);
        estimator.Estimate(image.Crop(0, 0, 40, 48));
        Assert.Equal(first.Values, estimator.Estimate(image).Values);
        Assert.Equal(3, seen.Count);
        Assert.Same(seen[0], seen[2]);
        Assert.NotSame(seen[0], seen[1]);
    }

    [Fact]
    public void ABatchIsItsImages()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var weights = Checkpoint.Load(Golden.Path("models", "depth-anything-tiny"));
        using var network = new DepthAnything(
            DepthAnythingConfig.Read(Golden.Path("models", "depth-anything-tiny", "config.json")),
            weights
        );
        var pixels = randn(2, 3, 28, 56, generator: new Generator(1));
        var both = network.Forward(pixels);
        Assert.Equal([2, 28, 56], both.shape);
        for (var i = 0; i < 2; i++)
            Assert.InRange(GoldenTensors.Distance(both.narrow(0, i, 1), network.Forward(pixels.narrow(0, i, 1))), 0, 1e-6);
        Assert.Contains("55x28", Assert.Throws<ArgumentException>(() => network.Forward(pixels.narrow(3, 0, 55))).Message);
    }

    [Theory]
    [InlineData("backbone.encoder.layer.3.attention.attention.key.bias")]
    [InlineData("neck.reassemble_stage.layers.3.resize.weight")]
    [InlineData("head.conv3.bias")]
    public void AMissingTensorIsNamed(string name)
    {
        var error = Refusal(tensors => tensors.Remove(name));
        Assert.Contains($"has no tensor {name} (expected [", error.Message);
    }

    [Theory]
    [InlineData("backbone.embeddings.position_embeddings", "[1, 26, 24]")]
    [InlineData("neck.fusion_stage.layers.2.residual_layer1.convolution2.weight", "[10, 10, 3, 3]")]
    public void ATensorOfAnotherShapeIsNamed(string name, string expected)
    {
        var error = Refusal(tensors => tensors[name] = HostTensor.FromFloats([1, 2], [2]));
        Assert.Contains($"tensor {name} is [2], expected {expected}", error.Message);
    }

    /// <summary>Layers that the config leaves out, or parts of another network, such as registers, would be left out silently.</summary>
    [Theory]
    [InlineData("backbone.encoder.layer.5.norm1.weight")]
    [InlineData("backbone.embeddings.register_tokens")]
    public void ATensorTooManyIsNamed(string name)
    {
        var error = Refusal(tensors => tensors[name] = HostTensor.FromFloats([1], [1]));
        Assert.Contains($"has tensors that the network doesn't: {name}", error.Message);
    }

    [Fact]
    public void AModelOfAnotherKindIsRefused()
    {
        var error = Assert.Throws<SoraException>(() => DepthEstimator.Open(Golden.Path("models", "wan21-i2v", "image_encoder")));
        Assert.Contains("not of a depth_estimator", error.Message);
        error = Assert.Throws<SoraException>(() => DepthEstimator.Open(OriginalFile));
        Assert.Contains("5 layers of width 24", error.Message);
        Assert.Contains("config.json", error.Hint);
    }

    private static void CheckOutputs(GoldenCase golden, DepthEstimator estimator)
    {
        using var scope = NewDisposeScope();
        var image = ImageOf(golden);
        var resized = estimator.Pixels.Resized(image);
        Assert.Equal((long[])[resized.Height, resized.Width, Image.Channels], golden.OutShape("resized"));
        Assert.Equal(golden.File.Copy("out.resized").Data, resized.Pixels);
        var seen = new HashSet<string> { "resized", "depth" };
        estimator.Observer = (stage, value) =>
        {
            if (!golden.Outputs.Contains(stage) || !seen.Add(stage))
                return;
            golden.Check(stage, value);
            if (stage == "pixel_values")
                Assert.Equal(golden.Out(stage), TensorIO.ToHost(value).ToFloats());
        };
        golden.Check("predicted_depth", estimator.Predict(image));
        Assert.Equal(golden.Outputs.Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
        var depth = estimator.Estimate(image);
        golden.Check("depth", tensor(depth.Values, [depth.Height, depth.Width]));
    }

    /// <summary>The picture of a case.</summary>
    internal static Image ImageOf(GoldenCase golden)
    {
        var shape = golden.InShape("image");
        return new Image((int)shape[1], (int)shape[0], golden.File.Copy("in.image").Data);
    }

    /// <summary>The authors' own file, which holds the weights of the metric model, with that model's configs beside it.</summary>
    private string OriginalModel(string extension)
    {
        var path = folder[$"depth{extension}"];
        using var raw = SafeTensorsFile.Open(OriginalFile);
        if (extension == ".pth")
            TorchArchive.Write(path, [.. raw.Tensors.Keys.Select(name => new KeyValuePair<string, HostTensor>(name, raw.Copy(name)))]);
        else
            File.Copy(OriginalFile, path);
        CopyConfigs();
        return path;
    }

    private void CopyConfigs()
    {
        foreach (var file in Directory.GetFiles(Metric, "*.json"))
            File.Copy(file, folder[Path.GetFileName(file)]);
    }

    private SoraException Refusal(Action<Dictionary<string, HostTensor>> change)
    {
        Dictionary<string, HostTensor> tensors;
        using (var weights = Checkpoint.Open(Metric))
            tensors = weights.Tensors.Keys.ToDictionary(name => name, weights.Copy);
        change(tensors);
        CopyConfigs();
        AtomicFile.Write(folder["model.safetensors"], stream => SafeTensors.Write(stream, new Dictionary<string, string>(), tensors));
        return Assert.Throws<SoraException>(() => DepthEstimator.Open(folder.Path));
    }
}
