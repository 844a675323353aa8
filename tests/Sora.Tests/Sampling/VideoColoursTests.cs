using Sora.Clips;
using Sora.Conditions;
using Sora.Eval;
using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Pipelines;
using Sora.Pipelines.Blending;
using Sora.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Colours of video frames where made ones meet known ones, with the built-in model's VAE.</summary>
public class VideoColoursTests
{
    private const int Frames = 25,
        Made = 4;

    private static readonly WanModel Model = Opened.Wan(null);

    [Theory]
    [InlineData(0.06, 1)]
    [InlineData(-0.05, 1.15)]
    [InlineData(0, 0.85)]
    public void TheStepAtAJoinBecomesOneThatIsUsual(double level, double contrast)
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, level, contrast, 7);
        var mended = Match(codec, drifted, frame => frame < Made);
        var (before, after) = (Step(codec, drifted, Made), Step(codec, mended, Made));
        Assert.True(Math.Max(before.Mean, before.Deviation) > 2, $"{before}");
        // The decoder's refiner answers to the correction, too: what it shows isn't all that was asked for.
        Assert.InRange(after.Mean, 0, 1.2);
        Assert.InRange(after.Deviation, 0, 1.2);
        AssertSame(drifted, mended, 0, Made);
        // What was made moves as it did.
        Assert.InRange(Inside(codec, mended) / Inside(codec, drifted), 0.8, 1.2);
    }

    [Fact]
    public void BetweenTwoKnownPartsNeitherEndJumps()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, -0.06, 1.1, 5);
        var mended = Match(codec, drifted, frame => frame is < Made or >= 5);
        foreach (var join in new[] { Made, 5 })
        {
            Assert.InRange(Step(codec, mended, join).Mean, 0, 1.2);
            Assert.InRange(Step(codec, drifted, join).Mean, 2, 100);
        }
        AssertSame(drifted, mended, 0, Made);
        AssertSame(drifted, mended, 5, 2);
    }

    [Theory]
    [InlineData(-0.6, 1)]
    [InlineData(0, 0.5)]
    public void AChangeOfSceneStays(double level, double contrast)
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var changed = Drifted(codec, level, contrast, 7);
        AssertSame(changed, Match(codec, changed, frame => frame < Made), 0, 7);
    }

    [Fact]
    public void WhatFollowsASingleFrameHasItsColours()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, 0.06, 1, 7, start: 1);
        var mended = Match(codec, drifted, frame => frame < 1);
        Assert.True(Step(codec, drifted, 1, 2, 4).Mean > 2);
        Assert.InRange(Step(codec, mended, 1, 2, 4).Mean, 0, 1.5);
        AssertSame(drifted, mended, 0, 1);
    }

    [Fact]
    public void WhatPrecedesAClipHasItsColoursFromTheFirstFrameOn()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, 0.06, 1, 3, start: 0);
        var mended = Match(codec, drifted, frame => frame >= 3);
        Assert.True(Step(codec, drifted, 3, 10, 24).Mean > 2);
        Assert.InRange(Step(codec, mended, 3, 10, 24).Mean, 0, 1.5);
        AssertSame(drifted, mended, 3, 4);
        var (before, after) = (Decode(codec, drifted), Decode(codec, mended));
        Assert.InRange(before[0].Pixels.Average(value => value) - after[0].Pixels.Average(value => value), 3, 10);
    }

    [Fact]
    public void WhereNothingIsKnownOrEverythingNothingIsChanged()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var clip = Drifted(codec, 0.06, 1, 7);
        foreach (var known in new[] { false, true })
            AssertSame(clip, Match(codec, clip, _ => known), 0, 7);
    }

    [Fact]
    public void WhatTheModelAddsToAClipFollowsWithoutAFlash()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var settings = ModelDefaults.Of(Model).Settings with
        {
            Prompt = "a red ball rolls left on sand",
            Width = 64,
            Height = 64,
            Frames = 13,
            Steps = 4,
            Guidance = 1,
            Seed = 3,
        };
        var clip = pipeline.Generate(settings, Conditioning.Nothing) with
        {
            Latents = codec.Encode(KeptPartTests.World(13), CancellationToken.None).Latents,
        };
        var longer = new ClipJoiner(pipeline, settings, CancellationToken.None).After(clip, 12);
        Assert.Equal(clip.FinishedLatents.Data, TensorIO.ToHost(TensorIO.ToTensor(longer.FinishedLatents).narrow(2, 0, 4)).Data);
        var drift = Changes.Drift([.. codec.Decode(longer.FinishedLatents, LatentSpace.Raw, CancellationToken.None)], 13);
        Assert.InRange(drift.MeanAt / drift.MeanInside, 0, 1.3);
        Assert.InRange(drift.DeviationAt / drift.DeviationInside, 0, 1.3);
    }

    /// <summary>Normalised latents of a clip, of which a part has other levels and contrasts.</summary>
    private static Tensor Drifted(FrameCodec codec, double level, double contrast, int end, int start = Made)
    {
        var frames = KeptPartTests.World(Frames);
        var changed = frames.Select(
            (frame, i) => (i + 3) / 4 is var latent && latent >= start && latent < end ? Changed(frame, level, contrast) : frame
        );
        return Model.Vae.Normalise(TensorIO.ToTensor(codec.Encode(changed, CancellationToken.None).Latents));
    }

    private static Image Changed(Image frame, double level, double contrast) =>
        new(
            frame.Width,
            frame.Height,
            [.. frame.Pixels.Select(value => (byte)Math.Clamp(127.5 + ((value - 127.5) * contrast) + (127.5 * level), 0, 255))]
        );

    private static Tensor Match(FrameCodec codec, Tensor latents, Func<int, bool> known)
    {
        var mask = tensor(Enumerable.Range(0, (int)latents.shape[2]).Select(frame => known(frame) ? 1f : 0f).ToArray())
            .view(1, 1, -1, 1, 1);
        return ColourMatching.Match(new VideoColours(codec, Model, latents), mask.expand([1, 1, .. latents.shape[2..]]));
    }

    /// <summary>The change at a latent frame's start over the mean change to some frames, by default the known ones before it.</summary>
    private static (double Mean, double Deviation) Step(FrameCodec codec, Tensor latents, int latent, int from = 2, int to = (4 * Made) - 4)
    {
        var frames = Decode(codec, latents);
        (double Mean, double Deviation) Change(int frame)
        {
            var (mean, _, deviation, _) = Changes.Drift([frames[frame - 1], frames[frame], frames[frame]], 1);
            return (mean, deviation);
        }

        var usual = Enumerable.Range(from, to - from + 1).Select(Change).ToList();
        var at = Change((4 * latent) - 3);
        return (at.Mean / usual.Average(change => change.Mean), at.Deviation / usual.Average(change => change.Deviation));
    }

    private static double Inside(FrameCodec codec, Tensor latents) => Changes.Mean(Decode(codec, latents)[((4 * Made) - 3)..]);

    private static List<Image> Decode(FrameCodec codec, Tensor latents) =>
        [.. codec.Decode(TensorIO.ToHost(latents), LatentSpace.Normalised, CancellationToken.None)];

    private static void AssertSame(Tensor expected, Tensor actual, int start, int count) =>
        Assert.True(expected.narrow(2, start, count).equal(actual.narrow(2, start, count)).all().ToBoolean());
}
