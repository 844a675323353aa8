using Sora.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>Convolution and its gradients against the same in float64.</summary>
public class ConvolutionTests
{
    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(2, 3, 5, 1)]
    [InlineData(1, 17, 8, 0)]
    [InlineData(2, 40, 51, 1)]
    [InlineData(1, 70, 100, 2)]
    public void InTwoDimensions(long batch, long from, long to, long padding) =>
        Check([batch, from, 13, 37], [to, from, 3, 3], [padding, padding]);

    [Theory]
    [InlineData(1, 4, 6, 0)]
    [InlineData(2, 9, 50, 1)]
    [InlineData(1, 60, 13, 2)]
    public void InThreeDimensions(long batch, long from, long to, long time) =>
        Check([batch, from, 4, 12, 21], [to, from, 3, 3, 3], [time, 1, 1]);

    [Fact]
    public void WithOtherWindows()
    {
        Check([1, 5, 14, 40], [7, 5, 1, 5], [0, 2]);
        Check([1, 5, 14, 40], [7, 5, 4, 2], [1, 0]);
        Check([2, 3, 5, 12, 12], [4, 3, 1, 3, 3], [0, 1, 1]);
    }

    /// <summary>Sizes for which products are saved: edges of tiles, and parts of a strip and of a group of channels.</summary>
    [Fact]
    public void WithFewerProducts()
    {
        Check([2, 33, 50, 61], [41, 33, 3, 3], [1, 1]);
        Check([1, 40, 23, 200], [35, 40, 3, 3], [2, 0]);
        Check([2, 32, 4, 30, 58], [34, 32, 3, 3, 3], [1, 1, 1]);
        Check([1, 32, 7, 21, 64], [32, 32, 2, 3, 3], [0, 1, 1]);
    }

    /// <summary>
    /// What fewer products lose, beside what the plain ones lose on the same places (a part of the image, too small for the
    /// others): root mean square against sums in double precision, as parts of the result's.
    /// </summary>
    [Fact]
    public void FewerProductsLoseLittle()
    {
        const int channels = 96,
            side = 66,
            part = 24;
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        var x = randn([1, channels, side, side], generator: generator);
        var weight = randn([channels, channels, 3, 3], generator: generator);
        var (pixels, taps) = (x.data<float>().ToArray(), weight.data<float>().ToArray());
        double Sum(int to, int row, int column)
        {
            var sum = 0.0;
            for (var from = 0; from < channels; from++)
            for (var tap = 0; tap < 9; tap++)
                sum += (double)pixels[(from * side + row + tap / 3) * side + column + tap % 3] * taps[(to * channels + from) * 9 + tap];
            return sum;
        }
        double Loss(Tensor y)
        {
            var (values, width, lost, all) = (y.data<float>().ToArray(), (int)y.shape[3], 0.0, 0.0);
            for (var to = 0; to < channels; to += 5)
            for (var row = 0; row < part - 2; row++)
            for (var column = 0; column < part - 2; column++)
            {
                var exact = Sum(to, row, column);
                lost += Math.Pow(values[(to * width + row) * width + column] - exact, 2);
                all += exact * exact;
            }
            return Math.Sqrt(lost / all);
        }
        var (fewer, plain) = (
            Loss(Functional.Conv2d(x, weight)),
            Loss(Functional.Conv2d(x.narrow(2, 0, part).narrow(3, 0, part).contiguous(), weight))
        );
        Assert.InRange(plain, 1e-8, 1e-6);
        // Up to 160 channels with AVX-512, plain ones are a kernel of ours and lose 4e-7; others are oneDNN's and lose 2e-7.
        Assert.InRange(fewer, 1e-8, 1.2e-6);
    }

    [Fact]
    public void OfManyChannels()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn([1, 200, 5, 30, 64]),
            weight = randn([170, 200, 3, 3, 3]),
            bias = randn(170);
        Near(Exact(x.@double(), weight.@double(), bias.@double(), [0, 1, 1]), Functional.Conv3d(x, weight, bias, padding: [0, 1, 1]));
    }

    [Fact]
    public void OverViews()
    {
        using var scope = NewDisposeScope();
        var x = randn([2, 30, 20, 8]).permute(0, 3, 2, 1);
        var weight = randn([6, 3, 3, 8]).permute(0, 3, 1, 2);
        Near(Exact(x.@double(), weight.@double(), null, [1, 1]), Functional.Conv2d(x, weight, padding: [1, 1]));
    }

    /// <summary>
    /// Channels that don't fill the vectors of a processor: oneDNN 3.7 is wrong for some of these on AMD's Zen 5. Strides and
    /// narrow images are those for which the kernels of this project don't compute.
    /// </summary>
    [Theory]
    [InlineData(24, 40)]
    [InlineData(36, 36)]
    [InlineData(40, 32)]
    [InlineData(70, 100)]
    [InlineData(3, 48)]
    [InlineData(32, 48)]
    [InlineData(12, 3)]
    public void OfAnyChannels(long from, long to)
    {
        Check([1, from, 33, 33], [to, from, 3, 3], [1, 1], [2, 2]);
        Check([2, from, 9, 9], [to, from, 3, 3], [1, 1]);
        Check([1, from, 8, 8], [to, from, 2, 2], [0, 0], [2, 2]);
        Check([1, from, 7, 33], [to, from, 1, 1], [0, 0]);
        Check([1, from, 5, 40], [to, from, 3, 1], [0, 0], [2, 1]);
        Check([1, from, 4, 9, 9], [to, from, 3, 3, 3], [0, 1, 1]);
        Check([2, from, 3, 8, 20], [to, from, 3, 1, 1], [1, 0, 0]);
    }

    [Fact]
    public void RefusesShapesThatDontFit()
    {
        using var scope = NewDisposeScope();
        var x = randn([1, 8, 16, 16]);
        Assert.Throws<ArgumentException>(() => Functional.Conv2d(x, randn([4, 7, 3, 3])));
        Assert.Throws<ArgumentException>(() => Functional.Conv2d(x, randn([4, 8, 3, 3]), randn(3)));
        Assert.Throws<ArgumentException>(() => Functional.Conv2d(x, randn([4, 8, 17, 3])));
        Assert.Throws<ArgumentException>(() => Functional.Conv3d(x, randn([4, 8, 3, 3])));
    }

    private static void Check(long[] input, long[] window, long[] padding, long[]? stride = null)
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(input),
            weight = randn(window),
            bias = randn(window[0]);
        Near(Exact(x.@double(), weight.@double(), bias.@double(), padding, stride), Convolve(x, weight, bias));
        Tensor[] plain = [x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()];
        Tensor[] exact = [.. plain.Select(t => t.detach().@double().requires_grad_())];
        Tensor y = Convolve(plain[0], plain[1], plain[2]),
            expected = Exact(exact[0], exact[1], exact[2], padding, stride);
        Near(expected, y);
        var direction = randn_like(y);
        var gradients = autograd.grad([(y * direction).sum()], plain);
        var wanted = autograd.grad([(expected * direction.@double()).sum()], exact);
        foreach (var (gradient, reference) in gradients.Zip(wanted))
            Near(reference, gradient);

        Tensor Convolve(Tensor x, Tensor weight, Tensor bias) =>
            input.Length == 4 ? Functional.Conv2d(x, weight, bias, stride, padding) : Functional.Conv3d(x, weight, bias, padding);
    }

    /// <summary>libtorch's own in float64, where neither oneDNN nor a kernel computes.</summary>
    private static Tensor Exact(Tensor x, Tensor weight, Tensor? bias, long[]? padding, long[]? stride = null) =>
        x.dim() == 4
            ? nn.functional.conv2d(x, weight, bias, strides: stride, padding: padding)
            : nn.functional.conv3d(x, weight, bias, strides: stride, padding: padding);

    private static void Near(Tensor expected, Tensor actual)
    {
        var tolerance = 1e-5 * Math.Max(1, expected.abs().max().item<double>());
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange((expected - actual.@double()).abs().max().item<double>(), 0, tolerance);
    }
}
