using Sora.Eval;
using Sora.Media;
using Sora.Stereo;
using Sora.Tests.Media;
using Xunit;
using Xunit.Abstractions;

namespace Sora.Tests.Stereo;

/// <summary>Clips with both eyes: what one frame hides is taken from others that show it.</summary>
public class StereoVideoTests(ITestOutputHelper output)
{
    private const int Columns = 64,
        Rows = 48,
        Box = 12,
        Near = 4;

    private static readonly Image Backdrop = ResampleTests.Noise(2 * Columns, Rows);
    private static readonly StereoOptions LeftKept = new()
    {
        Eyes = StereoEyes.LeftKept,
        EdgeDilation = 0,
        Convergence = 0,
        // Of 64 columns four, for what is nearest; the rest has none.
        MaxDisparity = 100.0 * Near / Columns,
    };

    /// <summary>
    /// A box moves two columns a frame before noise, which no fill along a row can guess. Its holes are where it was four frames
    /// before, and are those of the noise, bit for bit; also if the camera pans over the noise by whole columns.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(-3)]
    public void WhatAnotherFrameShowsIsTakenFromIt(int pan)
    {
        var pairs = Render([.. Enumerable.Range(0, 12).Select(frame => Frame(8 + 2 * frame, 50 + pan * frame, frame == 0))]);
        Assert.Equal(12, pairs.Count);
        var holes = 0;
        for (var frame = 4; frame < 8; frame++)
        {
            var (expected, made) = (Backdrop.Crop(50 + pan * frame, 0, Columns, Rows), pairs[frame].Right);
            for (var at = 0; at < Columns * Rows; at++)
            {
                if (pairs[frame].RightHoles[at] == 0)
                    continue;
                holes++;
                Assert.Equal(expected.Pixels[(3 * at)..(3 * at + 3)], made.Pixels[(3 * at)..(3 * at + 3)]);
            }
        }
        Assert.Equal(4 * Near * Box, holes);
    }

    /// <summary>Frames before a cut show another place, whatever they look like; those of a box that stands still, nothing more.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatNoFrameOfTheShotShowsIsFilledFromBesideIt(bool cuts)
    {
        StereoFrame[] frames = [.. Enumerable.Range(0, 6).Select(frame => Frame(cuts ? 8 + 5 * frame : 20, 20, cuts || frame == 0))];
        var (pairs, alone) = (Render(frames), Render(frames, StereoFill.Background));
        for (var frame = 0; frame < frames.Length; frame++)
            Assert.Equal(alone[frame].Right.Pixels, pairs[frame].Right.Pixels);
    }

    /// <summary>Both ways make the same of what both eyes see, each frame once and in its order, for videos of any length.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(40)]
    public void EveryFrameComesOutOnceInItsOrder(int length)
    {
        StereoFrame[] frames = [.. Enumerable.Range(0, length).Select(frame => Frame(8 + frame % 30, 20, frame % 7 == 0))];
        var options = LeftKept with { Eyes = StereoEyes.Symmetric };
        var (pairs, alone) = (Render(frames, options: options), Render(frames, StereoFill.Background, options));
        Assert.Equal(length, pairs.Count);
        for (var frame = 0; frame < length; frame++)
        {
            Assert.Equal(alone[frame].RightHoles, pairs[frame].RightHoles);
            Assert.Equal(alone[frame].LeftHoles, pairs[frame].LeftHoles);
            for (var at = 0; at < Columns * Rows; at++)
            {
                if (pairs[frame].RightHoles[at] == 0)
                    Assert.Equal(alone[frame].Right.Pixels[3 * at], pairs[frame].Right.Pixels[3 * at]);
                if (pairs[frame].LeftHoles[at] == 0)
                    Assert.Equal(alone[frame].Left.Pixels[3 * at], pairs[frame].Left.Pixels[3 * at]);
            }
        }
    }

    /// <summary>No more frames are asked for than are needed before the first pair, and none is held after it was used.</summary>
    [Fact]
    public void FramesAreTakenAsTheyAreNeeded()
    {
        var taken = 0;
        IEnumerable<StereoFrame> Frames()
        {
            for (; taken < 100; taken++)
                yield return Frame(8 + taken % 30, 20, taken == 0);
        }
        var video = new StereoVideo(Columns, Rows, DepthKind.Relative, LeftKept);
        var seen = new HashSet<StereoPair>(ReferenceEqualityComparer.Instance);
        foreach (var pair in video.Render(Frames()))
        {
            seen.Add(pair);
            if (seen.Count == 1)
                Assert.InRange(taken, 0, 9);
        }
        Assert.Equal(100, taken);
        // Eight before, eight after, and the one between.
        Assert.InRange(seen.Count, 1, 18);
    }

    /// <summary>On scenes of the world with an exact right eye; tests/eval/run.sh stereo shows more of them.</summary>
    [Fact]
    public void OtherFramesAreNoWorseThanTheBackgroundBesideIt()
    {
        const int Scenes = 20;
        double[] hidden = [0, 0],
            all = [0, 0],
            visible = [0, 0];
        StereoFill[] fills = [StereoFill.Background, StereoFill.Frames];
        for (var number = 0ul; number < Scenes; number++)
        {
            var clip = EyeWorld.Clip(number, 96, 96, 0.063, 9);
            for (var i = 0; i < 2; i++)
            {
                var score = StereoScores.Of(clip, StereoScores.RightEyes(clip, fills[i]));
                (hidden[i], all[i], visible[i]) = (
                    hidden[i] + score.Hidden / Scenes,
                    all[i] + score.All / Scenes,
                    visible[i] + score.Visible / Scenes
                );
            }
        }
        output.WriteLine($"background: hidden {hidden[0]:f2}, all {all[0]:f2} dB; frames: hidden {hidden[1]:f2}, all {all[1]:f2} dB");
        Assert.InRange(hidden[1], hidden[0] + 0.2, 100);
        Assert.InRange(all[1], Math.Max(30, all[0]), 100);
        Assert.InRange(visible[1], 38, 100);
    }

    /// <summary>Noise with a box of one colour before it, its left column at <paramref name="left"/>.</summary>
    private static StereoFrame Frame(int left, int first, bool isCut)
    {
        var (picture, depth) = (Backdrop.Crop(first, 0, Columns, Rows), new float[Columns * Rows]);
        picture = new Image(Columns, Rows, [.. picture.Pixels]);
        for (var y = 10; y < 10 + Box; y++)
        for (var x = left; x < left + Box; x++)
        {
            depth[y * Columns + x] = 1;
            picture.Row(y).Slice(3 * x, 3).Fill(40);
        }
        return new StereoFrame(picture, depth, isCut);
    }

    private static List<StereoPair> Render(StereoFrame[] frames, StereoFill fill = StereoFill.Frames, StereoOptions? options = null)
    {
        var video = new StereoVideo(Columns, Rows, DepthKind.Relative, (options ?? LeftKept) with { Fill = fill });
        return [.. video.Render(frames).Select(Copy)];
    }

    private static StereoPair Copy(StereoPair pair)
    {
        var copy = new StereoPair(pair.Left.Width, pair.Left.Height);
        copy.Left.Paste(pair.Left, 0, 0);
        copy.Right.Paste(pair.Right, 0, 0);
        pair.LeftHoles.CopyTo(copy.LeftHoles, 0);
        pair.RightHoles.CopyTo(copy.RightHoles, 0);
        return copy;
    }
}
