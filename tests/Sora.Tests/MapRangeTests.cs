using Xunit;

namespace Sora.Tests;

public class MapRangeTests
{
    [Theory]
    [InlineData(64, 48)]
    [InlineData(1920, 1080)]
    [InlineData(1, 100000)]
    [InlineData(100000, 1)]
    [InlineData(1, 1)]
    public void TwoHundredthsAreOutside(int width, int height)
    {
        var random = new Random(5);
        var map = Enumerable.Range(0, width * height).Select(_ => random.NextSingle()).ToArray();
        var (low, high) = new MapRange(width, height).Of(map);
        if (map.Length == 1)
        {
            Assert.Equal((map[0], map[0]), (low, high));
            return;
        }
        // Of 3,000 to 10,000 samples of an even distribution the quantile is that near with four standard deviations.
        Assert.Equal(0.02, low, 0.011);
        Assert.Equal(0.98, high, 0.011);
    }

    [Fact]
    public void ValuesCanBeChangedFirst() => Assert.Equal((0.25f, 0.5f), new MapRange(2, 1).Of([2, 4], value => 1 / value));
}
