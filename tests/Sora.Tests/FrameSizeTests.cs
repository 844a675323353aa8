using Xunit;

namespace Sora.Tests;

public class FrameSizeTests
{
    [Fact]
    public void SmallerSizesFallToAPixel()
    {
        var smaller = new FrameSize(512, 256).Smaller().ToList();
        Assert.Equal([new(480, 240), new(448, 224)], smaller[..2]);
        Assert.Equal([new(32, 16), new(30, 15)], smaller[14..16]);
        Assert.Equal(new FrameSize(1, 1), smaller[^1]);
        Assert.Equal(smaller.OrderByDescending(size => size.Width), smaller);
        Assert.Empty(new FrameSize(1, 1).Smaller());
    }
}
