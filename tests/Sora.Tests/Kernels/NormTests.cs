using Sora.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>SiLU of a norm over channels against its definition in float64.</summary>
public class NormTests
{
    [Theory]
    [InlineData(1, 1, 1, 1, 1)]
    [InlineData(2, 3, 4, 5, 7)]
    [InlineData(1, 96, 3, 16, 16)]
    [InlineData(1, 40, 2, 17, 33)]
    public void MatchesTheDefinition(long batch, long channels, long frames, long height, long width)
    {
        using var scope = NewDisposeScope();
        Tensor x = randn([batch, channels, frames, height, width]) * 3,
            gain = randn(channels) * 4;
        x[0, 0, 0, 0, 0] = 1e10;
        // The target is a part of a larger tensor, as that of a convolution with frames before.
        var target = full([batch, channels, frames + 2, height, width], 7f);
        if (!Functional.TryNormSilu(x, gain, target.narrow(2, 2, frames)))
        {
            Assert.False(KernelLibrary.IsUsed);
            return;
        }
        var wide = x.@double();
        var y = wide / wide.square().sum(1, keepdim: true).sqrt().clamp_min(1e-12) * gain.@double().view(1, -1, 1, 1, 1);
        var expected = y * y.sigmoid();
        var actual = target.narrow(2, 2, frames).@double();
        Assert.InRange((expected - actual).norm().item<double>() / expected.norm().item<double>(), 0, 1e-6);
        Assert.True(target.narrow(2, 0, 2).eq(7f).all().item<bool>());
    }

    [Fact]
    public void ZerosAndFarNegativesStayFinite()
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros([1, 2, 1, 4, 4]),
            target = ones([1, 2, 1, 4, 4]);
        x[0, 1, 0, 1, 1] = -1;
        if (!Functional.TryNormSilu(x, full([2], 1000f), target))
            return;
        Assert.Equal(0, target.abs().max().item<float>(), 1e-6);
        Assert.Throws<ArgumentException>(() => Functional.TryNormSilu(x, ones(3), target));
    }
}
