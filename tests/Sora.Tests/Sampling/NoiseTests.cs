using Sora.Diffusion;
using Xunit;

namespace Sora.Tests.Sampling;

public class NoiseTests
{
    /// <summary>The known answers of Random123's kat_vectors for philox4x32, 10 rounds.</summary>
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0x408f276du,
        0x41c83b0eu,
        0xa20bc7c6u,
        0x6d5451fdu
    )]
    [InlineData(
        0x243f6a88u,
        0x85a308d3u,
        0x13198a2eu,
        0x03707344u,
        0xa4093822u,
        0x299f31d0u,
        0xd16cfe09u,
        0x94fdccebu,
        0x5001e420u,
        0x24126ea1u
    )]
    public void PhiloxGivesTheKnownAnswers(uint a, uint b, uint c, uint d, uint low, uint high, uint x, uint y, uint z, uint w) =>
        Assert.Equal((x, y, z, w), Noise.Philox((a, b, c, d), (low, high)));

    [Fact]
    public void ValuesAreStandardNormal()
    {
        var values = Noise.Normal(7, 0, (4, 4, 64, 64));
        var mean = values.Average(v => (double)v);
        var variance = values.Average(v => v * (double)v);
        var fourth = values.Average(v => Math.Pow(v, 4));
        var within = values.Count(v => Math.Abs(v) < 1) / (double)values.Length;
        Assert.InRange(mean, -0.015, 0.015);
        Assert.InRange(variance, 0.98, 1.02);
        Assert.InRange(fourth, 2.85, 3.15);
        Assert.InRange(within, 0.678, 0.688);
    }

    [Fact]
    public void ALongerAndWiderRunSharesTheNoiseOfAShorterOne()
    {
        var small = Noise.Normal(3, 1, (2, 2, 3, 5));
        var large = Noise.Normal(3, 1, (3, 4, 5, 9));
        for (var c = 0; c < 2; c++)
        for (var t = 0; t < 2; t++)
        for (var y = 0; y < 3; y++)
        for (var x = 0; x < 5; x++)
            Assert.Equal(large[((c * 4 + t) * 5 + y) * 9 + x], small[((c * 2 + t) * 3 + y) * 5 + x]);
    }

    [Fact]
    public void APartHasTheNoiseOfItsPlace()
    {
        var whole = Noise.Normal(3, 0, (1, 5, 2, 2));
        Assert.Equal(whole[12..], Noise.Normal(3, 0, (1, 2, 2, 2), firstFrame: 3));
    }

    [Fact]
    public void SeedsAndStreamsAreIndependent()
    {
        var a = Noise.Normal(1, 0, (1, 4, 64, 64));
        foreach (
            var b in new[]
            {
                Noise.Normal(2, 0, (1, 4, 64, 64)),
                Noise.Normal(1, 1, (1, 4, 64, 64)),
                Noise.Normal(1ul << 32, 0, (1, 4, 64, 64)),
            }
        )
            Assert.InRange(a.Zip(b, (x, y) => (double)x * y).Average(), -0.03, 0.03);
    }
}
