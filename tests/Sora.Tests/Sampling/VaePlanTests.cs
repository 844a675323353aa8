using Sora.Conditions;
using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Planning;
using Sora.Training;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>What a VAE is planned to hold. What it holds indeed is measured by tests/bench.</summary>
public class VaePlanTests
{
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

    /// <summary>
    /// Peaks of resident memory, in MB without weights, of `sora encode` and `sora decode` on 9 frames with two threads: none
    /// may be above its plan, and the plan of a large one not far above.
    /// </summary>
    [Theory]
    [InlineData("2.1", 96, 256, 1618, 2119)]
    [InlineData("2.1", 48, 512, 3005, 3969)]
    [InlineData("2.2", 256, 256, 852, 1762)]
    [InlineData("2.2", 256, 512, 2646, 6519)]
    [InlineData("mini", 96, 512, 303, 376)]
    public void PeaksStayBelowThePlan(string kind, int width, int side, int encodes, int decodes)
    {
        var wan = kind == "2.1" ? CausalVaeConfig.Wan21 with { BaseDim = width } : CausalVaeConfig.Wan22;
        var config = kind == "mini" ? MiniPreset.Vae : wan;
        var plan = new VaePlan(config, new FrameSize(side, side), 9, 2);
        foreach (var (load, measured) in new[] { (plan.Encode(), encodes), (plan.Decode(), decodes) })
        {
            var planned = new StageCost("codec", 0, load.Bytes, 0).On(CPU).Needed >> 20;
            // 556 MB are planned for the program and huge pages, whatever the size.
            Assert.InRange(planned, measured, Math.Max(1.6 * measured, measured + 600));
        }
    }

    /// <summary>Counted layer by layer; a still has nothing before it.</summary>
    [Theory]
    [InlineData(false, 9, 2.9338e12, 4.9389e12)]
    [InlineData(true, 9, 2.0471e12, 1.0702e13)]
    [InlineData(false, 1, 1.5005e11, 2.6681e11)]
    [InlineData(true, 1, 1.0466e11, 6.0994e11)]
    public void OperationsAreThoseOfTheConvolutions(bool isResidual, int frames, double encodes, double decodes)
    {
        var plan = new VaePlan(isResidual ? CausalVaeConfig.Wan22 : CausalVaeConfig.Wan21, new FrameSize(256, 256), frames, 2);
        Assert.Equal(1, plan.Encode().Flops / encodes, 1e-4);
        Assert.Equal(1, plan.Decode().Flops / decodes, 1e-4);
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
