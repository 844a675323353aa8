using Sora.Conditions;
using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Planning;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>What a VAE is planned to hold. What it holds indeed is measured by tests/bench.</summary>
public class VaePlanTests
{
    /// <summary>Counted by hand: on a card a residual block of two channels to four, on three frames of ten pixels.</summary>
    [Fact]
    public void ABlockHoldsWhatLivesInIt()
    {
        var walk = new VaePeakMemory(threads: 0, isStill: false);
        walk.Residual(new Grid(3, 10), 2, 4, beside: 7);
        // Input; of four channels what is normalised, its square, and the normalised one.
        Assert.Equal(7 + 60 + 3 * 120, walk.Most);
        // Two frames before each of the two convolutions.
        Assert.Equal(2 * 10 * (2 + 4), walk.Kept);
        Assert.Equal(2.0 * 27 * (2 * 4 + 4 * 4) * 30, walk.Flops);
    }

    /// <summary>On the CPU norm and convolution are one, and their input goes as soon as it is normalised.</summary>
    [Fact]
    public void ABlockOnTheCpuHoldsLess()
    {
        double Of(int threads)
        {
            var walk = new VaePeakMemory(threads, isStill: false);
            walk.Residual(new Grid(4, 1e6), 96, 96, beside: 0);
            return walk.Most / 96e6;
        }
        // Input, normalised input with two frames before it, and result.
        Assert.Equal(4 + 6 + 4, Of(1), 1);
        Assert.Equal(4 + 4 + 4 + 4, Of(0));
    }

    [Fact]
    public void NothingComesBeforeAStill()
    {
        var walk = new VaePeakMemory(threads: 0, isStill: true);
        walk.NormConv(new Grid(1, 10), 2, 4, beside: 0, spends: true);
        Assert.Equal(20, walk.Kept);
        Assert.Equal(2.0 * 9 * 8 * 10, walk.Flops);
    }

    /// <summary>Both stream: memory grows with the size, and not with the duration.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void PeaksDependOnTheSizeAlone(bool isResidual)
    {
        var config = isResidual ? CausalVaeConfig.Wan22 : CausalVaeConfig.Wan21;
        VaePlan Of(int width, int frames) => new(config, new FrameSize(width, 480), frames, 2);
        foreach (var load in (Func<VaePlan, VaeLoad>[])[plan => plan.Encode(), plan => plan.Decode()])
        {
            var (ten, minute, wide) = (load(Of(832, 161)), load(Of(832, 961)), load(Of(1664, 161)));
            Assert.Equal(ten.Bytes, minute.Bytes);
            Assert.Equal(961 / 161.0, minute.Flops / ten.Flops, 1e-9);
            Assert.InRange(wide.Bytes / (double)ten.Bytes, 1.95, 2);
            Assert.True(load(Of(832, 1)).Bytes < ten.Bytes);
        }
    }

    [Theory]
    [InlineData("wan22-ti2v", "", "text sampling decode")]
    [InlineData("wan22-ti2v", "first", "encode text sampling decode")]
    [InlineData("wan22-ti2v", "others", "encode text sampling frames decode")]
    [InlineData("wan21-t2v", "joins", "text sampling frames decode")]
    [InlineData("wan21-i2v", "first", "encode text sampling decode")]
    [InlineData("wan21-vace", "", "encode text sampling decode")]
    public void RunsEncodeWhatTheyAreGiven(string name, string what, string stages)
    {
        var model = VideoModel.Open(Golden.Path("models", name));
        int[] frames = what switch
        {
            "first" => [0],
            "others" => [4],
            _ => [],
        };
        var request = new GenerationRequest(ModelDefaults.Of(model).Settings)
        {
            Conditioning = Showing(frames),
            JoinedFrames = what == "joins" ? 9 : null,
        };
        var plan = MemoryPlan.Of(model, request, 1, new Precision(CPU, float32));
        Assert.Equal(stages, string.Join(' ', plan.Stages.Select(stage => stage.Name)));
    }

    private static Conditioning Showing(params int[] frames) =>
        new() { Stills = [.. frames.Select(frame => new Still(frame, new Image(32, 32), Fit.Crop))] };

    /// <summary>Frames are shown while the transformer is in memory.</summary>
    [Fact]
    public void WhatStaysIsAddedUp()
    {
        var model = VideoModel.Open(Golden.Path("models", "wan22-ti2v"));
        var nothing = new GenerationRequest(ModelDefaults.Of(model).Settings);
        var others = nothing with { Conditioning = Showing(4) };
        StageCost Of(GenerationRequest request, string name) =>
            MemoryPlan.Of(model, request, 1, new Precision(CPU, float32)).Stages.Single(stage => stage.Name == name);
        var (alone, vae) = (Of(nothing, "sampling").Weights, Of(nothing, "decode").Weights);
        Assert.Equal(alone + vae, Of(others, "frames").Weights);
        Assert.Equal(alone, Of(others, "sampling").Weights);
        Assert.Equal(alone + vae, Of(nothing with { Run = new RunOptions { Preview = _ => { } } }, "sampling").Weights);
    }

    [Theory]
    [InlineData("cpu", 10, "")]
    [InlineData("cuda", 20, " on cuda:0")]
    [InlineData("cuda:1", 21, " on cuda:1")]
    public void MemoryIsThatOfTheDevice(string device, long bytes, string where) =>
        Assert.Equal(new FreeMemory(bytes, where), FreeMemory.Of(new Device(device), () => 10, index => 20 + index));

    [Fact]
    public void AStageThatFitsJustSoIsTaken()
    {
        var stage = new StageCost("encode", 100L << 20, 200L << 20, 0);
        new FreeMemory(600L << 20, "").Require(stage, () => throw new InvalidOperationException("it fits"));
        var error = Assert.Throws<SoraException>(() =>
            new FreeMemory((600L << 20) - 1, " on cuda:1").Require(stage, () => "--size 16x16 fits")
        );
        Assert.Equal("encode needs 600.0 MB, but only 600.0 MB is free on cuda:1", error.Message);
        Assert.Equal("--size 16x16 fits", error.Hint);
    }
}
