using Sora.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>Attention against its definition in float64.</summary>
public class AttentionTests
{
    [Theory]
    [InlineData(1, 1, 1, 12)]
    [InlineData(7, 5, 16, 16)]
    [InlineData(72, 192, 32, 32)]
    [InlineData(433, 577, 64, 64)]
    [InlineData(200, 30, 128, 128)]
    [InlineData(130, 250, 13, 40)]
    public void MatchesTheDefinition(long queries, long keys, long dim, long valueDim)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(2, 3, queries, keys, dim, valueDim);
        Near(Defined(q, k, v), Functional.ScaledDotProductAttention(q, k, v), 2e-6);
        // As a model makes them: heads split off the last dimension, so that rows are not contiguous.
        Tensor Split(Tensor t) => t.transpose(1, 2).contiguous().transpose(1, 2);
        Near(Defined(q, k, v), Functional.ScaledDotProductAttention(Split(q), Split(k), Split(v)), 2e-6);
    }

    [Fact]
    public void BearsLargeScores()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(1, 2, 90, 400, 24, 24);
        Near(Defined(q * 60, k, v), Functional.ScaledDotProductAttention(q * 60, k, v), 1e-4);
        Assert.True(Functional.ScaledDotProductAttention(q * 1e10, k * 1e10, v).isfinite().all().item<bool>());
        Assert.True(Functional.ScaledDotProductAttention(q * float.NaN, k, v).isnan().all().item<bool>());
    }

    [Fact]
    public void MasksKeys()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(2, 2, 300, 40, 8, 8);
        var allowed = arange(40).lt(30).view(1, 1, 1, 40);
        Near(Defined(q, k[.., .., ..30], v[.., .., ..30]), Functional.ScaledDotProductAttention(q, k, v, allowed), 2e-6);
        var bias = randn(1, 2, 300, 40);
        Near(Defined(q, k, v, bias), Functional.ScaledDotProductAttention(q, k, v, bias), 2e-6);
    }

    [Fact]
    public void RefusesShapesThatDontFit()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(1, 2, 9, 8, 4, 4);
        Assert.Throws<ArgumentException>(() => Functional.ScaledDotProductAttention(q, k.narrow(3, 0, 3), v));
        Assert.Throws<ArgumentException>(() => Functional.ScaledDotProductAttention(q, k, v.narrow(2, 0, 7)));
        Assert.Throws<ArgumentException>(() => Functional.ScaledDotProductAttention(q[0], k[0], v[0]));
    }

    /// <summary>
    /// Inputs rounded to bfloat16, sums in float32: weights and result are rounded once each, to 2^-9 of themselves.
    /// </summary>
    [Theory]
    [InlineData(1, 1, 2, 12)]
    [InlineData(7, 5, 16, 16)]
    [InlineData(433, 577, 64, 64)]
    [InlineData(200, 31, 128, 128)]
    [InlineData(130, 250, 14, 40)]
    [InlineData(1300, 193, 96, 96)]
    public void TakesHalfPrecision(long queries, long keys, long dim, long valueDim)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(2, 3, queries, keys, dim, valueDim);
        var (a, b, c) = (q.bfloat16(), k.bfloat16(), v.bfloat16());
        var expected = Defined(a, b, c);
        Tensor Split(Tensor t) => t.transpose(1, 2).contiguous().transpose(1, 2);
        foreach (
            var result in new[]
            {
                Functional.ScaledDotProductAttention(a, b, c),
                Functional.ScaledDotProductAttention(Split(a), Split(b), Split(c)),
            }
        )
        {
            Assert.Equal(ScalarType.BFloat16, result.dtype);
            Assert.Equal(expected.shape, result.shape);
            Assert.InRange((expected - result.@double()).norm().item<double>() / expected.norm().item<double>(), 0, 4e-3);
        }
        var odd = Functional.ScaledDotProductAttention(a.narrow(3, 0, dim - 1), b.narrow(3, 0, dim - 1), c);
        Near(Defined(a.narrow(3, 0, dim - 1), b.narrow(3, 0, dim - 1), c), odd, 3e-2);
    }

    [Fact]
    public void BearsLargeScoresInHalfPrecision()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(1, 2, 90, 400, 24, 24);
        Assert.True(
            Functional.ScaledDotProductAttention((q * 1e10).bfloat16(), (k * 1e10).bfloat16(), v.bfloat16()).isfinite().all().item<bool>()
        );
        Assert.True(
            Functional.ScaledDotProductAttention((q * float.NaN).bfloat16(), k.bfloat16(), v.bfloat16()).isnan().all().item<bool>()
        );
    }

    [Theory]
    [InlineData(5, 7, 4, 4)]
    [InlineData(150, 210, 20, 33)]
    [InlineData(80, 400, 64, 64)]
    public void GradientsMatchTheDefinition(long queries, long keys, long dim, long valueDim)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(2, 2, queries, keys, dim, valueDim);
        var weight = randn(2, 2, queries, valueDim);
        Tensor[] leaves = [q.requires_grad_(), k.requires_grad_(), v.requires_grad_()];
        Tensor[] exact = [.. leaves.Select(t => t.detach().@double().requires_grad_())];
        var grads = autograd.grad([(Functional.ScaledDotProductAttention(q, k, v) * weight).sum()], leaves);
        var expected = autograd.grad([(Defined(exact[0], exact[1], exact[2]) * weight).sum()], exact);
        foreach (var (grad, reference) in grads.Zip(expected))
            Near(reference, grad, 2e-5);
    }

    [Fact]
    public void GradientsMatchFiniteDifferences()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Draw(1, 1, 3, 4, 5, 5);
        using var leaf = k.clone().requires_grad_();
        Functional.ScaledDotProductAttention(q, leaf, v).pow(2).sum().backward();
        const double Step = 1e-2;
        double At(double change)
        {
            var moved = k.clone();
            moved[0, 0, 2, 1] = moved[0, 0, 2, 1] + change;
            return Functional.ScaledDotProductAttention(q, moved, v).@double().pow(2).sum().item<double>();
        }
        Assert.Equal((At(Step) - At(-Step)) / (2 * Step), leaf.grad![0, 0, 2, 1].item<float>(), 1e-3);
    }

    private static (Tensor Q, Tensor K, Tensor V) Draw(long batch, long heads, long queries, long keys, long dim, long valueDim)
    {
        using var generator = new Generator(7);
        return (
            randn(batch, heads, queries, dim, generator: generator),
            randn(batch, heads, keys, dim, generator: generator),
            randn(batch, heads, keys, valueDim, generator: generator)
        );
    }

    private static Tensor Defined(Tensor q, Tensor k, Tensor v, Tensor? bias = null)
    {
        var scores = q.@double().matmul(k.@double().transpose(-2, -1)) / Math.Sqrt(q.size(-1));
        return (bias is null ? scores : scores + bias.@double()).softmax(-1).matmul(v.@double());
    }

    private static void Near(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange((expected - actual.@double()).abs().max().item<double>(), 0, tolerance);
    }
}
