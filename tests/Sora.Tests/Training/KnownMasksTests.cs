using Sora.Training;
using Xunit;

namespace Sora.Tests.Training;

public class KnownMasksTests
{
    private const int Height = 3,
        Width = 4;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void EveryTaskLeavesSomethingUnknown(int frames)
    {
        var random = new Rng((ulong)frames);
        for (var i = 0; i < 2000; i++)
        {
            var task = KnownMasks.DrawTask(ref random, frames);
            var mask = KnownMasks.Draw(ref random, task, frames, Height, Width);
            Assert.Equal(frames * Height * Width, mask.Length);
            Assert.Contains(0f, mask);
            if (task != KnownTask.None && task != KnownTask.Region)
                Assert.Contains(1f, mask);
        }
    }

    [Fact]
    public void EveryTaskIsDrawn()
    {
        var random = new Rng(5);
        var seen = Enumerable.Range(0, 5000).Select(_ => KnownMasks.DrawTask(ref random, 9)).ToHashSet();
        Assert.Equal(Enum.GetValues<KnownTask>().ToHashSet(), seen);
    }

    [Theory]
    [InlineData(KnownTask.FirstFrame, "10000")]
    [InlineData(KnownTask.LastFrame, "00001")]
    [InlineData(KnownTask.FirstAndLast, "10001")]
    public void FixedTasksKnowTheirFrames(KnownTask task, string frames)
    {
        var random = new Rng(1);
        Assert.Equal(frames, Frames(KnownMasks.Draw(ref random, task, 5, Height, Width)));
    }

    [Theory]
    [InlineData(KnownTask.Prefix, "^1+0+$")]
    [InlineData(KnownTask.Suffix, "^0+1+$")]
    [InlineData(KnownTask.BothEnds, "^1+0+1+$")]
    [InlineData(KnownTask.Loop, "^1+0+1+$")]
    [InlineData(KnownTask.Keyframe, "^0+10+$")]
    public void RunsOfFramesAreWhereTheTaskSays(KnownTask task, string pattern)
    {
        var random = new Rng(2);
        var seen = new HashSet<string>();
        for (var i = 0; i < 300; i++)
        {
            var frames = Frames(KnownMasks.Draw(ref random, task, 6, Height, Width));
            Assert.Matches(pattern, frames);
            seen.Add(frames);
        }
        Assert.True(seen.Count > 2, "the place of the cut never varies");
    }

    [Fact]
    public void ARegionIsOneRectangleInAllFrames()
    {
        var random = new Rng(3);
        for (var i = 0; i < 200; i++)
        {
            var mask = KnownMasks.Draw(ref random, KnownTask.Region, 2, Height, Width);
            var first = mask[..(Height * Width)];
            Assert.Equal(first, mask[(Height * Width)..]);
            var holes = Enumerable.Range(0, first.Length).Where(p => first[p] == 0).Select(p => (Y: p / Width, X: p % Width)).ToArray();
            var area = (holes.Max(p => p.Y) - holes.Min(p => p.Y) + 1) * (holes.Max(p => p.X) - holes.Min(p => p.X) + 1);
            Assert.Equal(area, holes.Length);
        }
    }

    /// <summary>One digit a frame; a frame is known as a whole or not at all.</summary>
    private static string Frames(float[] mask) =>
        string.Concat(
            mask.Chunk(Height * Width)
                .Select(frame =>
                {
                    Assert.Single(frame.Distinct());
                    return frame[0] == 1 ? '1' : '0';
                })
        );
}
