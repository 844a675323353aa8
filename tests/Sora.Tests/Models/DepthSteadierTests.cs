using Sora.Media;
using Sora.Models.Depth;
using Xunit;

namespace Sora.Tests.Models;

public class DepthSteadierTests
{
    private const int Side = 16;

    /// <summary>The same depth, each frame in a scale and shift of its own: what moves of it afterwards is a tenth.</summary>
    [Fact]
    public void AShotKeepsItsScale()
    {
        var random = new Random(7);
        var plain = Enumerable.Range(0, Side * Side).Select(i => i / (float)(Side * Side)).ToArray();
        var steadier = new DepthSteadier();
        var (given, steadied) = (new List<float>(), new List<float>());
        for (var frame = 0; frame < 40; frame++)
        {
            var (scale, shift) = (1 + 0.4f * (random.NextSingle() - 0.5f), 0.4f * (random.NextSingle() - 0.5f));
            var map = new DepthMap(Side, Side, [.. plain.Select(value => value * scale + shift)]);
            given.Add(map.Values[^1]);
            steadied.Add(steadier.Next(map, isCut: frame == 0).Values[^1]);
        }
        Assert.Equal(given[0], steadied[0]);
        Assert.True(Flicker(steadied) < 0.15 * Flicker(given), $"{Flicker(given)} to {Flicker(steadied)}");
    }

    [Fact]
    public void ACutStartsOver()
    {
        var steadier = new DepthSteadier();
        DepthMap Of(float scale) => new(2, 1, [0, scale]);
        steadier.Next(Of(1), isCut: true);
        Assert.Equal([0, 1.4f], steadier.Next(Of(5), isCut: false).Values, (a, b) => Math.Abs(a - b) < 1e-6f);
        Assert.Equal([0, 5f], steadier.Next(Of(5), isCut: true).Values);
    }

    /// <summary>A flat map has no range to stretch.</summary>
    [Fact]
    public void AFlatMapStaysFlat()
    {
        var steadier = new DepthSteadier();
        steadier.Next(new DepthMap(2, 1, [1, 1]), isCut: true);
        Assert.Equal([1.1f, 1.1f], steadier.Next(new DepthMap(2, 1, [2, 2]), isCut: false).Values, (a, b) => Math.Abs(a - b) < 1e-6f);
    }

    [Fact]
    public void OtherColoursAreACutAndMotionIsNone()
    {
        var cuts = new ShotCuts();
        Assert.True(cuts.Next(Picture(200, 10, at: 0)));
        Assert.False(cuts.Next(Picture(200, 10, at: 6)));
        Assert.False(cuts.Next(Picture(200, 40, at: 9)));
        Assert.True(cuts.Next(Picture(20, 120, at: 9)));
        Assert.False(cuts.Next(Picture(20, 120, at: 2)));
    }

    /// <summary>A ground with a square on it.</summary>
    private static Image Picture(byte ground, byte square, int at)
    {
        var picture = new Image(Side, Side);
        Array.Fill(picture.Pixels, ground);
        for (var y = 4; y < 9; y++)
            picture.Row(y).Slice(at * Image.Channels, 5 * Image.Channels).Fill(square);
        return picture;
    }

    private static double Flicker(List<float> values) => values.Zip(values.Skip(1), (a, b) => Math.Abs(a - b)).Average();
}
