using Sora.Media;
using Sora.Models.Checkpoints;
using Sora.Models.Vision;
using Sora.Nn;
using Sora.Tensors;
using Sora.Tests.Formats;
using Sora.Tests.Models;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Text;

public sealed class ClipVisionTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-clip-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [MemberData(nameof(GoldenTensors.Names), new object[] { new[] { "clip-" } }, MemberType = typeof(GoldenTensors))]
    public void ImageToPenultimateState(string name)
    {
        using var golden = GoldenCase.Open($"wan/{name}");
        using var weights = Checkpoint.Load(Path.Combine(golden.Model, "image_encoder"));
        CheckOutputs(golden, weights);
    }

    [Theory]
    [MemberData(nameof(GoldenTensors.Names), new object[] { new[] { "clip-" } }, MemberType = typeof(GoldenTensors))]
    public void TheSameFromWansOwnFile(string name)
    {
        using var golden = GoldenCase.Open($"wan/{name}");
        using var weights = Checkpoint.Load(WansOwn(golden.Model));
        CheckOutputs(golden, weights);
        Assert.DoesNotContain(weights.Unused(), left => !left.StartsWith("vision_model.", StringComparison.Ordinal));
    }

    /// <summary>Three tensors of one, bit for bit those that it was made of, and read from any place in them.</summary>
    [Fact]
    public void QueriesKeysAndValuesAreViews()
    {
        var model = Golden.Path("models", "wan21-i2v");
        using var theirs = Checkpoint.Open(WansOwn(model));
        using var ours = Checkpoint.Open(Path.Combine(model, "image_encoder"));
        foreach (var (name, info) in ours.Tensors)
        {
            Assert.Equal(info.Shape, theirs.Info(name).Shape);
            Assert.Equal(ours.Copy(name).Data, theirs.Copy(name).Data);
        }
        const string keys = "vision_model.encoder.layers.1.self_attn.k_proj.weight";
        Assert.Equal(theirs.Info(keys).Bytes, theirs.Stored(keys).Bytes);
        var part = new float[5];
        theirs.ReadFloats(keys, 7, part);
        Assert.Equal(ours.Floats(keys)[7..12], part);
    }

    /// <summary>One scale for each row, as fp8 files have them, is divided as the rows are.</summary>
    [Fact]
    public void ScalesGoWithTheirRows()
    {
        using var raw = new TensorSet(
            new Dictionary<string, HostTensor>
            {
                ["visual.cls_embedding"] = HostTensor.FromFloats([0], [1, 1, 1]),
                ["visual.transformer.0.attn.to_qkv.weight"] = HostTensor.FromFloats([1, 1, 1, 1, 1, 1], [6, 1], DType.F8E4M3),
                ["visual.transformer.0.attn.to_qkv.scale_weight"] = HostTensor.FromFloats([1, 2, 3, 4, 5, 6], [6]),
            }
        );
        using var mapped = CheckpointFile.InOurNames(raw);
        Assert.Equal([3, 4], mapped.Floats("vision_model.encoder.layers.0.self_attn.k_proj.weight"));
        Assert.Equal(2, mapped.Stored("vision_model.encoder.layers.0.self_attn.v_proj.weight").Bytes);
    }

    private string WansOwn(string model)
    {
        var path = Path.Combine(folder, "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth");
        using var weights = Checkpoint.Open(Path.Combine(model, "image_encoder"));
        OriginalClip.Write(path, weights);
        return path;
    }

    private static void CheckOutputs(GoldenCase golden, Weights weights)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var seen = new HashSet<string>();
        var clip = new ClipVision(ClipVisionConfig.Read(Path.Combine(golden.Model, "image_encoder", "config.json")), weights)
        {
            Observer = (part, value) =>
            {
                if (golden.Outputs.Contains(part) && seen.Add(part))
                    golden.Check(part, value);
            },
        };

        var shape = golden.InShape("image");
        var image = new Image((int)shape[1], (int)shape[0], golden.File.Copy("in.image").Data);
        var processor = ClipPixels.Read(Path.Combine(golden.Model, "image_processor", "preprocessor_config.json"));
        var (width, height) = processor.ResizedTo(image.Width, image.Height);
        var resized = Resample.Bicubic(image, width, height);
        var pixels = processor.Normalise(resized.Pixels, width, height);
        golden.Check("pixel_values", pixels);
        golden.Check("hidden", clip.Forward(pixels));
        // The trace of one case has every part but the last layer, which is not run.
        if (golden.Params.GetProperty("trace").GetBoolean())
            Assert.Equal(6, seen.Count);
    }
}
