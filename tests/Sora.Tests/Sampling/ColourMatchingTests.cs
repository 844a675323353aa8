using Sora.Pipelines.Blending;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Levels and contrasts where made frames meet known ones, against what was put in.</summary>
public class ColourMatchingTests
{
    private const int Channels = 3,
        Frames = 10,
        Side = 6;

    [Fact]
    public void WhatDriftedAfterAPrefixComesBack()
    {
        var (clip, drifted) = Drifted(5, Frames, level: 0.1f, contrast: 1.15f);
        var mended = ColourMatching.Match(new LatentColours(drifted), Mask(known => known < 5));
        // From one known frame to the next the level changes by about 0.02.
        Assert.InRange(Level(mended, 5) - Level(clip, 5), -0.04, 0.04);
        Assert.InRange(Level(drifted, 5) - Level(clip, 5), 0.09, 0.11);
        Assert.InRange(Deviation(mended, 5) / Deviation(clip, 5), 0.95, 1.05);
        // Known frames are the same bits, and all made ones moved together.
        Assert.True(mended.narrow(2, 0, 5).equal(drifted.narrow(2, 0, 5)).all().ToBoolean());
        Assert.InRange(Level(mended, 9) - Level(clip, 9) - (Level(mended, 5) - Level(clip, 5)), -1e-4, 1e-4);
    }

    [Fact]
    public void BetweenTwoKnownPartsEachSideFollowsItsOwn()
    {
        var (clip, drifted) = Drifted(3, 7, level: 0.1f, contrast: 1);
        // What follows was a little brighter from the start.
        drifted.narrow(2, 7, 3).add_(0.1f);
        var mended = ColourMatching.Match(new LatentColours(drifted), Mask(frame => frame is < 3 or >= 7));
        var offs = Enumerable.Range(3, 4).Select(frame => Level(mended, frame) - Level(clip, frame)).ToArray();
        Assert.InRange(offs[0], -0.03, 0.05);
        Assert.InRange(offs[3], 0.05, 0.13);
        Assert.True(offs[0] < offs[1] && offs[1] < offs[2] && offs[2] < offs[3]);
    }

    [Theory]
    [InlineData(2f, 1f)] // night falls: no drift
    [InlineData(0f, 2f)]
    public void WhatIsMeantToChangeStays(float level, float contrast)
    {
        var (_, changed) = Drifted(5, Frames, level, contrast);
        var mended = ColourMatching.Match(new LatentColours(changed), Mask(frame => frame < 5));
        Assert.True(mended.equal(changed).all().ToBoolean());
    }

    [Fact]
    public void WithoutTwoKnownFramesAfterTheFirstNothingIsChanged()
    {
        var (_, drifted) = Drifted(2, Frames, 0.1f, 1);
        Assert.True(ColourMatching.Match(new LatentColours(drifted), Mask(frame => frame < 2)).equal(drifted).all().ToBoolean());
        Assert.True(ColourMatching.Match(new LatentColours(drifted), Mask(_ => false)).equal(drifted).all().ToBoolean());
        Assert.True(ColourMatching.Match(new LatentColours(drifted), Mask(_ => true)).equal(drifted).all().ToBoolean());
    }

    [Fact]
    public void FramesOfWhichAPartIsKnownStay()
    {
        var (_, drifted) = Drifted(5, Frames, 0.1f, 1);
        var mask = Mask(frame => frame < 5);
        mask.narrow(2, 5, 5).narrow(3, 0, 1).fill_(1);
        Assert.True(ColourMatching.Match(new LatentColours(drifted), mask).equal(drifted).all().ToBoolean());
    }

    /// <summary>A picture that changes a little, and the same with some frames changed in level and contrast.</summary>
    private static (Tensor Clip, Tensor Drifted) Drifted(int start, int end, float level, float contrast)
    {
        manual_seed(4);
        var clip =
            randn([1, Channels, 1, Side, Side])
            + (randn([1, Channels, Frames, 1, 1]) * 0.015f)
            + (randn([1, Channels, Frames, Side, Side]) * 0.01f);
        var drifted = clip.clone();
        var part = drifted.narrow(2, start, end - start);
        var mean = part.mean([3, 4], keepdim: true);
        part.copy_(mean + ((part - mean) * contrast) + level);
        return (clip, drifted);
    }

    private static Tensor Mask(Func<int, bool> known) =>
        tensor(Enumerable.Range(0, Frames).Select(frame => known(frame) ? 1f : 0f).ToArray())
            .view(1, 1, Frames, 1, 1)
            .expand(1, 1, Frames, Side, Side)
            .clone();

    private static double Level(Tensor clip, int frame) => clip.narrow(2, frame, 1).mean().ToDouble();

    private static double Deviation(Tensor clip, int frame) => clip.narrow(2, frame, 1).std([3, 4]).mean().ToDouble();
}
