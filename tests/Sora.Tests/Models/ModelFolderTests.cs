using Sora.Models;
using Xunit;

namespace Sora.Tests.Models;

public sealed class ModelFolderTests : IDisposable
{
    private static readonly string Ti2v = Golden.Path("models", "wan22-ti2v");

    private readonly string root = Directory.CreateTempSubdirectory("sora-models-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public void ReadsWhatAPipelineNeeds()
    {
        var model = Opened.Wan(Ti2v);
        Assert.Equal("wan22-ti2v", model.Name);
        Assert.Equal("WanPipeline", model.PipelineClass);
        Assert.Equal("UniPCMultistepScheduler", ConfigFile.Read(model.SchedulerPath!).ClassName);
        Assert.Equal(5, ModelDefaults.Of(model).Scheduler.Shift);
        Assert.True(model.ExpandTimesteps);
        Assert.Null(model.BoundaryRatio);
        Assert.Null(model.Transformer2);
        Assert.Equal((24, 2), (model.Transformer.InChannels, model.Transformer.NumLayers));
        Assert.Equal((24, 16, 4), (model.Vae.ZDim, model.Vae.SpatialFactor, model.Vae.TemporalFactor));
    }

    [Theory]
    [InlineData("""{"a": 1, "a": 2}""", "file.json isn't JSON: ")]
    [InlineData("""{"a": -Infinit}""", "file.json isn't JSON: ")]
    [InlineData("""{"architectures": [5]}""", "file.json: architectures must be a list of strings")]
    public void SaysWhatIsWrongWithAConfiguration(string text, string message)
    {
        var error = Assert.Throws<SoraException>(() => ConfigFile.Parse("file.json", text).ClassName);
        Assert.Equal(ErrorKind.Failure, error.Kind);
        Assert.StartsWith(message, error.Message);
    }

    [Fact]
    public void ReadsWordsThatPythonWritesAndNoneInsideOfStrings()
    {
        var file = ConfigFile.Parse(
            "file.json",
            """{"least": -Infinity, "most": [NaN, Infinity], "name": "a \"NaN\" in -Infinity", "size": 4}"""
        );
        Assert.Equal((4, "a \"NaN\" in -Infinity"), (file.Size("size", 1), file.Text("name", null)));
    }

    [Fact]
    public void KnowsTwoExpertsAndWhatIsNotThere()
    {
        var model = Opened.Wan(Golden.Path("models", "wan22-a14b-i2v"));
        Assert.Equal(0.9, model.BoundaryRatio);
        Assert.NotNull(model.Transformer2);
        Assert.True(model.Has("transformer_2"));
        Assert.False(model.Has("image_encoder"));
        Assert.Contains("has no image_encoder", Assert.Throws<SoraException>(() => model.Part("image_encoder")).Message);
    }

    [Fact]
    public void KnowsVaceByItsControlLayers() =>
        Assert.Equal([0, 2], Opened.Wan(Golden.Path("models", "wan21-vace")).Transformer.VaceLayers);

    [Fact]
    public void FollowsASnapshotOfTheHuggingFaceCache()
    {
        var cache = Path.Combine(root, "models--someone--tiny");
        Copy(Ti2v, Path.Combine(cache, "snapshots", "0123abc"));
        Directory.CreateDirectory(Path.Combine(cache, "snapshots", "older"));
        Directory.CreateDirectory(Path.Combine(cache, "refs"));
        File.WriteAllText(Path.Combine(cache, "refs", "main"), "0123abc");
        Assert.Equal(Path.Combine(cache, "snapshots", "0123abc"), Opened.Wan(cache).Path);
    }

    [Fact]
    public void SaysWhereItLooked()
    {
        var error = Assert.Throws<SoraException>(() => Opened.Wan("no-such-model"));
        Assert.Contains("no-such-model", error.Message);
        Assert.Contains("SORA_MODELS", error.Hint);
    }

    [Fact]
    public void RefusesAnUnknownArchitecture()
    {
        var model = Copy(Ti2v, Path.Combine(root, "other"));
        Edit(Path.Combine(model, "transformer", "config.json"), "WanTransformer3DModel", "HunyuanVideoTransformer3DModel");
        Assert.Contains(
            "unknown transformer class HunyuanVideoTransformer3DModel",
            Assert.Throws<SoraException>(() => Opened.Wan(model)).Message
        );
    }

    [Theory]
    [InlineData("model_index.json", "model_index.json")]
    [InlineData("vae/config.json", "config.json")]
    public void NamesAMissingFile(string file, string named)
    {
        var model = Copy(Ti2v, Path.Combine(root, "model"));
        File.Delete(Path.Combine(model, file));
        Assert.Contains(named, Assert.Throws<SoraException>(() => Opened.Wan(model)).Message);
    }

    [Fact]
    public void FindsATruncatedFileByItsHeader()
    {
        var model = Copy(Ti2v, Path.Combine(root, "model"));
        var file = Path.Combine(model, "transformer", "diffusion_pytorch_model.safetensors");
        using (var stream = File.OpenWrite(file))
            stream.SetLength(stream.Length - 100);
        var error = Assert.Throws<SoraException>(() => Opened.Wan(model).OpenWeights("transformer"));
        Assert.Contains(file, error.Message);
    }

    [Fact]
    public void AFieldOfAnotherTypeIsNamed()
    {
        var model = Copy(Ti2v, Path.Combine(root, "model"));
        Edit(Path.Combine(model, "vae", "config.json"), "\"base_dim\": 3", "\"base_dim\": \"three\"");
        Assert.Contains(
            "base_dim must be a whole number from 1 to 1000000, found \"three\"",
            Assert.Throws<SoraException>(() => Opened.Wan(model)).Message
        );
    }

    [Fact]
    public void TheFingerprintIsThatOfTheVaeAlone()
    {
        var fingerprint = Opened.Wan(Ti2v).VaeFingerprint();
        Assert.Matches("^[0-9a-f]{16}$", fingerprint);
        var model = Copy(Ti2v, Path.Combine(root, "copy"));
        Edit(Path.Combine(model, "transformer", "config.json"), "\"eps\": 1e-06", "\"eps\": 1e-05");
        Assert.Equal(fingerprint, Opened.Wan(model).VaeFingerprint());

        var weights = Path.Combine(model, "vae", "diffusion_pytorch_model.safetensors");
        using (var stream = new FileStream(weights, FileMode.Open))
        {
            stream.Seek(-2, SeekOrigin.End);
            var value = stream.ReadByte();
            stream.Seek(-2, SeekOrigin.End);
            stream.WriteByte((byte)(value ^ 1));
        }
        Assert.NotEqual(fingerprint, Opened.Wan(model).VaeFingerprint());
        Assert.NotEqual(fingerprint, Opened.Wan(Golden.Path("models", "wan21-t2v")).VaeFingerprint());
    }

    private static void Edit(string path, string from, string to)
    {
        var text = File.ReadAllText(path);
        Assert.Contains(from, text);
        File.WriteAllText(path, text.Replace(from, to));
    }

    private static string Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.WriteAllBytes(target, File.ReadAllBytes(file));
        }
        return to;
    }
}
