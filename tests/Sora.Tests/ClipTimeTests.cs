using Xunit;

namespace Sora.Tests;

public class ClipTimeTests
{
    [Theory]
    [InlineData("2s", 8, 16)]
    [InlineData("1.5s", 8, 12)]
    [InlineData("0.3s", 16, 5)]
    [InlineData("33f", 8, 33)]
    [InlineData("0", 8, 0)]
    public void CountsFrames(string text, double fps, int frames) => Assert.Equal(frames, ClipTime.Parse(text).FrameCount(fps));

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("2")]
    [InlineData("1.5f")]
    [InlineData("-1s")]
    [InlineData("1e3s")]
    [InlineData("NaNs")]
    [InlineData("2 s")]
    public void RefusesWhatIsNoTime(string text) =>
        Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(() => ClipTime.Parse(text)).Kind);

    /// <summary>Lengths whose sums no clip could count are refused, as frames and as seconds.</summary>
    [Theory]
    [InlineData("536870913f")]
    [InlineData("2147483647f")]
    [InlineData("9223372036854775807f")]
    [InlineData("67108865s")]
    public void RefusesWhatNoClipCanBe(string text)
    {
        Assert.Equal(1 << 29, ClipTime.Parse("67108864s").FrameCount(8));
        Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(() => ClipTime.Parse(text).FrameCount(8)).Kind);
    }

    [Fact]
    public void EndIsTheLastFrameAndNoLength()
    {
        Assert.Equal(32, ClipTime.Parse("end").FrameIndex(8, 33));
        Assert.Throws<SoraException>(() => ClipTime.Parse("end").FrameCount(8));
    }

    [Fact]
    public void PointsBeyondTheClipAreRefused()
    {
        Assert.Equal(16, ClipTime.Parse("2s").FrameIndex(8, 17));
        var error = Assert.Throws<SoraException>(() => ClipTime.Parse("2s").FrameIndex(8, 16));
        Assert.Contains("16 frames (2 s)", error.Message);
    }

    [Theory]
    [InlineData("1s-2s", 8, 16)]
    [InlineData("0-9f", 0, 9)]
    [InlineData("2s-end", 16, 33)]
    [InlineData("2s-99s", 16, 33)]
    public void RangesAreFrames(string text, int first, int end) => Assert.Equal((first, end), ClipRange.Parse(text).Frames(8, 33));

    [Theory]
    [InlineData("1s")]
    [InlineData("2s-1s")]
    [InlineData("1s-2s-3s")]
    [InlineData("9s-end")]
    public void RefusesWhatIsNoRange(string text) => Assert.Throws<SoraException>(() => ClipRange.Parse(text).Frames(8, 33));

    [Theory]
    [InlineData("128x96", 128, 96)]
    [InlineData("1x1", 1, 1)]
    public void ReadsSizes(string text, int width, int height) => Assert.Equal(new FrameSize(width, height), FrameSize.Parse(text));

    [Theory]
    [InlineData("128")]
    [InlineData("128X96")]
    [InlineData("0x5")]
    [InlineData("-1x5")]
    [InlineData("1x2x3")]
    [InlineData("99999999999x1")]
    public void RefusesWhatIsNoSize(string text) => Assert.Throws<SoraException>(() => FrameSize.Parse(text));
}
