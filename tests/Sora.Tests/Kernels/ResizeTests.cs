using Sora.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>Bilinear resizing against its definition in float64.</summary>
public class ResizeTests
{
    [Theory]
    [InlineData(1, 1, 1, 1, 1, 1)]
    [InlineData(1, 2, 1, 5, 4, 1)]
    [InlineData(2, 3, 5, 7, 1, 9)]
    [InlineData(1, 3, 4, 6, 8, 12)]
    [InlineData(1, 5, 37, 19, 74, 33)]
    [InlineData(2, 32, 33, 41, 70, 77)]
    [InlineData(1, 3, 40, 50, 17, 23)]
    [InlineData(1, 2, 64, 64, 64, 64)]
    public void MatchesTheDefinition(long batch, long channels, long rows, long columns, long height, long width)
    {
        using var scope = NewDisposeScope();
        var x = randn([batch, channels, rows, columns]);
        var expected = Between(rows, height).matmul(x.@double()).matmul(Between(columns, width).t());
        var actual = Functional.ResizeBilinear(x, height, width);
        Assert.Equal([batch, channels, height, width], actual.shape);
        Assert.InRange((expected - actual.@double()).norm().item<double>() / expected.norm().item<double>(), 0, 1e-5);
        // A part of a larger tensor, and one with gradients, go another way.
        var part = randn([batch, channels, rows, columns + 3]).narrow(3, 1, columns).copy_(x);
        Assert.InRange((expected - Functional.ResizeBilinear(part, height, width)).abs().max().item<double>(), 0, 1e-4);
        Assert.InRange((expected - Functional.ResizeBilinear(x.requires_grad_(), height, width)).abs().max().item<double>(), 0, 1e-4);
    }

    [Fact]
    public void EndsLieOnEnds()
    {
        using var scope = NewDisposeScope();
        var x = randn([1, 1, 9, 11]);
        var y = Functional.ResizeBilinear(x, 20, 30);
        foreach (var (i, j, u, v) in new[] { (0, 0, 0, 0), (0, 10, 0, 29), (8, 0, 19, 0), (8, 10, 19, 29) })
            Assert.Equal(x[0, 0, i, j].item<float>(), y[0, 0, u, v].item<float>(), 1e-5f);
        Assert.Throws<ArgumentException>(() => Functional.ResizeBilinear(x, 0, 3));
        Assert.Throws<ArgumentException>(() => Functional.ResizeBilinear(x[0], 2, 3));
    }

    /// <summary>What each of some places takes of others: a row for each, whose ends lie on ends.</summary>
    private static Tensor Between(long size, long count)
    {
        var places = arange(count, float64) * (count > 1 ? (size - 1.0) / (count - 1) : 0);
        return (1 - (places.unsqueeze(1) - arange(size, float64)).abs()).clamp_min(0);
    }
}
