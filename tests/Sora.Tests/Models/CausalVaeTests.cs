using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

public class CausalVaeTests
{
    public static TheoryData<string> Encodes => GoldenTensors.Names("vae21-encode", "vae22-encode");

    public static TheoryData<string> Decodes => GoldenTensors.Names("vae21-decode", "vae22-decode");

    public static TheoryData<string> Normalisations => GoldenTensors.Names("latents-normalisation");

    [Theory]
    [MemberData(nameof(Encodes))]
    public void EncodeEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden.Model);
        model.Vae.Tiling = Tiling(golden);
        var (mean, logVariance) = model.Vae.EncodeMoments(GoldenTensors.Video(golden.Input("frames")));
        golden.Check("mean", mean);
        golden.Check("logvar", logVariance);
    }

    [Theory]
    [MemberData(nameof(Decodes))]
    public void DecodeEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden.Model);
        model.Vae.Tiling = Tiling(golden);
        golden.Check("video", model.Vae.Decode(golden.Input("latents")));
    }

    [Theory]
    [InlineData("vae21-encode-trace")]
    [InlineData("vae21-decode-trace")]
    [InlineData("vae22-encode-trace")]
    [InlineData("vae22-decode-trace")]
    public void EveryStageOfEveryChunkEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden.Model);
        var seen = new Dictionary<string, Tensor>();
        model.Vae.Observer = (stage, value) => seen[stage] = value.clone().MoveToOtherDisposeScope(scope);
        if (golden.HasInput("frames"))
        {
            var video = GoldenTensors.Video(golden.Input("frames"));
            using var encoder = model.Vae.NewEncoder();
            foreach (var (start, length) in new[] { (0, 1), (1, 4), (5, 4) })
                encoder.Push(video.narrow(2, start, length));
        }
        else
        {
            var latents = golden.Input("latents");
            using var decoder = model.Vae.NewDecoder();
            for (var i = 0; i < 3; i++)
                decoder.Push(latents.narrow(2, i, 1));
        }
        var stages = golden.Outputs.Where(stage => stage.Contains(".chunk")).ToList();
        Assert.NotEmpty(stages);
        foreach (var stage in stages)
            golden.Check(stage, seen[stage]);
    }

    [Theory]
    [MemberData(nameof(Normalisations))]
    public void NormalisedLatentsEqualTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden.Model);
        var frame = GoldenTensors.Video(golden.Input("frame").unsqueeze(0).unsqueeze(0));
        var rest = zeros([1, 3, golden.Params.GetProperty("num_frames").GetInt32() - 1, frame.shape[3], frame.shape[4]]);
        var raw = model.Vae.Encode(cat([frame, rest], 2));
        golden.Check("raw_of_pixels", raw);
        golden.Check("normalised_of_pixels", model.Vae.Normalise(raw));
        golden.Check("raw_of_normalised", model.Vae.Denormalise(golden.Input("normalised")));
    }

    [Theory]
    [InlineData("forward-vae21")]
    [InlineData("forward-vae22")]
    public void OtherWidthsEqualTheReference(string name)
    {
        using var golden = GoldenCase.Open("formats/" + name);
        using var scope = NewDisposeScope();
        using var weights = Checkpoint.Load(golden.Model);
        var vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(golden.Model, "config.json")), weights);
        var (mean, logVariance) = vae.EncodeMoments(golden.Input("video"));
        golden.Check("moments", cat([mean, logVariance], 1));
        golden.Check("video", vae.Decode(golden.Input("latent")));
    }

    [Fact]
    public void WidthsThatShortcutsCantJoinAreRefused()
    {
        var folder = Directory.CreateTempSubdirectory("sora-config-");
        var path = Path.Combine(folder.FullName, "config.json");
        File.WriteAllText(path, (Small with { DimMult = [1, 2, 3] }).ToJson().ToJsonString());
        Assert.Contains("shortcuts", Assert.Throws<SoraException>(() => ModelRegistry.VaeConfig(path)).Message);
        folder.Delete(recursive: true);
    }

    /// <summary>Chunks of any length give what one chunk for everything after the first frame gives, but for the order of sums.</summary>
    [Theory]
    [InlineData("wan21-t2v")]
    [InlineData("wan22-ti2v")]
    public void ChunksEqualOnePass(string folder)
    {
        using var scope = NewDisposeScope();
        using var model = new Model(Golden.Path("models", folder));
        using var generator = new Generator(3);
        var video = rand([1, 3, 17, 32, 32], generator: generator).mul(2).sub(1);
        using var whole = model.Vae.NewEncoder();
        var latents = whole.Push(video);
        using var chunked = model.Vae.NewEncoder();
        var parts = new[] { (0, 5), (5, 4), (9, 8) }.Select(part => chunked.Push(video.narrow(2, part.Item1, part.Item2))).ToArray();
        Assert.True(GoldenTensors.Distance(cat(parts, 2), latents) < 1e-5);

        using var wholeDecoder = model.Vae.NewDecoder();
        var decoded = wholeDecoder.Push(latents);
        using var chunkedDecoder = model.Vae.NewDecoder();
        parts = [.. new[] { (0, 2), (2, 1), (3, 2) }.Select(part => chunkedDecoder.Push(latents.narrow(2, part.Item1, part.Item2)))];
        Assert.True(GoldenTensors.Distance(cat(parts, 2), decoded) < 1e-5);
        Assert.Equal(17, decoded.shape[2]);
    }

    /// <summary>Sizes that the reference models don't have: another patch, fewer stages, one of them without time.</summary>
    private static readonly CausalVaeConfig Small = new()
    {
        BaseDim = 8,
        DecoderBaseDim = 12,
        ZDim = 6,
        DimMult = [1, 2, 2],
        NumResBlocks = 1,
        TemporalDownsample = [true, true],
        IsResidual = true,
        InChannels = 48,
        OutChannels = 48,
        PatchSize = 4,
        LatentsMean = new double[6],
        LatentsStd = [1, 1, 1, 1, 1, 1],
    };

    [Fact]
    public void TrainingChunksEqualStreamingOnes()
    {
        using var scope = NewDisposeScope();
        using var weights = Weights.Initialise(2);
        var vae = new CausalVae(Small, weights);
        using var generator = new Generator(3);
        var video = rand([2, 3, 9, 32, 48], generator: generator).mul(2).sub(1);
        var latents = vae.Encode(video);
        var decoded = vae.Decode(latents);
        Assert.Equal([2, 6, 3, 2, 3], latents.shape);
        Assert.Equal(video.shape, decoded.shape);
        using var _ = no_grad();
        using var encoder = vae.NewEncoder();
        using var decoder = vae.NewDecoder();
        var parts = new[] { (0, 1), (1, 4), (5, 4) }.Select(part => encoder.Push(video.narrow(2, part.Item1, part.Item2))).ToArray();
        Assert.True(GoldenTensors.Distance(cat(parts, 2), latents) < 1e-5);
        parts = [.. Enumerable.Range(0, 3).Select(i => decoder.Push(latents.narrow(2, i, 1)))];
        Assert.True(GoldenTensors.Distance(cat(parts, 2), decoded) < 1e-5);
    }

    /// <summary>A directional derivative against a difference of two passes, for both kinds; every parameter gets a gradient.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GradientsAreRight(bool residual)
    {
        var config = residual ? Small : Small with { IsResidual = false, PatchSize = 1, InChannels = 3, OutChannels = 3 };
        using var scope = NewDisposeScope();
        using var weights = Weights.Initialise(4);
        var vae = new CausalVae(config, weights);
        using var generator = new Generator(6);
        var video = rand([1, 3, 9, 16, 16], generator: generator).mul(2).sub(1);
        Tensor Loss()
        {
            var (mean, logVariance) = vae.EncodeMoments(video);
            return vae.Decode(mean).sub(video).square().mean().add(logVariance.square().mean());
        }

        Loss().backward();
        var parameters = weights.Named();
        Assert.All(parameters, pair => Assert.True(pair.Value.grad!.abs().sum().item<float>() > 0, pair.Key));
        var norm = Math.Sqrt(parameters.Values.Sum(p => (double)p.grad!.square().sum().item<float>()));
        using var _ = no_grad();
        const double step = 1e-3;
        foreach (var p in parameters.Values)
            p.add_(p.grad!.mul(step / norm));
        var up = Loss().item<float>();
        foreach (var p in parameters.Values)
            p.sub_(p.grad!.mul(2 * step / norm));
        var down = Loss().item<float>();
        Assert.Equal(1, (up - down) / (2 * step) / norm, 0.02);
    }

    /// <summary>Memory doesn't grow with a stream: a push leaves nothing but its result.</summary>
    [Fact]
    public void APushLeavesNothingBehind()
    {
        using var weights = Weights.Initialise(2);
        var vae = new CausalVae(Small, weights);
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var encoder = vae.NewEncoder();
        using var decoder = vae.NewDecoder();
        encoder.Push(zeros([1, 3, 1, 32, 32]));
        decoder.Push(zeros([1, 6, 1, 2, 2]));
        for (var i = 0; i < 3; i++)
        {
            var before = scope.DisposablesCount;
            using var latents = encoder.Push(zeros([1, 3, 8, 32, 32]));
            Assert.Equal(before + 2, scope.DisposablesCount); // the frames that were pushed, and the result
            using var frames = decoder.Push(latents);
            Assert.Equal(before + 3, scope.DisposablesCount);
        }
    }

    [Fact]
    public void PublishedSizesHaveThePublishedNumberOfParameters()
    {
        long Count(CausalVaeConfig config)
        {
            using var weights = Weights.Meta();
            _ = new CausalVae(config, weights);
            return weights.Named().Values.Sum(tensor => tensor.numel());
        }

        Assert.Equal(126_892_531, Count(CausalVaeConfig.Wan21));
        Assert.Equal(704_688_668, Count(CausalVaeConfig.Wan22));
        Assert.Equal((8, 4), (CausalVaeConfig.Wan21.SpatialFactor, CausalVaeConfig.Wan21.TemporalFactor));
        Assert.Equal((16, 4), (CausalVaeConfig.Wan22.SpatialFactor, CausalVaeConfig.Wan22.TemporalFactor));
    }

    [Fact]
    public void ConfigComesBackFromItsJson()
    {
        var folder = Directory.CreateTempSubdirectory("sora-config-");
        var path = Path.Combine(folder.FullName, "config.json");
        File.WriteAllText(path, Small.ToJson().ToJsonString());
        Assert.Equal(Small.ToJson().ToJsonString(), ModelRegistry.VaeConfig(path).ToJson().ToJsonString());
        folder.Delete(recursive: true);
        Assert.Equal((16, 4), (Small.SpatialFactor, Small.TemporalFactor));
    }

    internal static VaeTiling? Tiling(GoldenCase golden) =>
        !golden.Params.TryGetProperty("tile", out var tile)
            ? null
            : new VaeTiling(
                tile.GetProperty("tile_sample_min_height").GetInt32(),
                tile.GetProperty("tile_sample_min_width").GetInt32(),
                tile.GetProperty("tile_sample_stride_height").GetInt32(),
                tile.GetProperty("tile_sample_stride_width").GetInt32()
            );

    private sealed class Model : IDisposable
    {
        private readonly Weights weights;

        public Model(string folder)
        {
            weights = Checkpoint.Load(Path.Combine(folder, "vae"));
            Vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(folder, "vae", "config.json")), weights);
            Assert.Empty(weights.Unused());
        }

        public CausalVae Vae { get; }

        public void Dispose() => weights.Dispose();
    }
}
