using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

public class ColourMapTests
{
    /// <summary>The ends and the middle of matplotlib's table of Inferno.</summary>
    [Theory]
    [InlineData(0, 0.001462, 0.000466, 0.013866)]
    [InlineData(-3, 0.001462, 0.000466, 0.013866)]
    [InlineData(float.NaN, 0.001462, 0.000466, 0.013866)]
    [InlineData(128 / 255f, 0.735683, 0.215906, 0.330245)]
    [InlineData(1, 0.988362, 0.998364, 0.644924)]
    [InlineData(float.PositiveInfinity, 0.988362, 0.998364, 0.644924)]
    public void ColoursAreThoseOfMatplotlib(float value, double red, double green, double blue)
    {
        var pixel = ColourMap.Colour(1, 1, [value]).Pixels;
        Assert.Equal([red, green, blue], pixel.Select(level => level / 255.0), (a, b) => Math.Abs(a - b) < 1 / 255.0);
    }

    /// <summary>By CIE's lightness of sRGB, computed here.</summary>
    [Fact]
    public void LargerIsBrighter()
    {
        var row = ColourMap.Colour(256, 1, [.. Enumerable.Range(0, 256).Select(level => level / 255f)]);
        var lightness = row.Pixels.Chunk(Image.Channels).Select(Lightness).ToList();
        Assert.True(lightness[^1] > 95);
        // Colours are rounded to bytes.
        Assert.All(lightness.Skip(1).Zip(lightness), pair => Assert.True(pair.First > pair.Second - 0.2));
        // By as much everywhere: 100 in 256 levels is 6 in 16.
        Assert.All(lightness.Skip(16).Zip(lightness), pair => Assert.InRange(pair.First - pair.Second, 2.5, 10));
    }

    private static double Lightness(byte[] colour)
    {
        var linear = colour
            .Select(level => level / 255.0)
            .Select(v => v <= 0.04045 ? v / 12.92 : Math.Pow((v + 0.055) / 1.055, 2.4))
            .ToList();
        var y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        return y > 216.0 / 24389 ? 116 * Math.Cbrt(y) - 16 : y * 24389 / 27;
    }
}
