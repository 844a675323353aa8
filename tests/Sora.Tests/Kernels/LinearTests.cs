using Sora.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>Matrix products and their gradients against the same in float64, of sizes that fill no vectors.</summary>
public class LinearTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 5, 7)]
    [InlineData(17, 33, 1)]
    [InlineData(100, 7, 65)]
    [InlineData(65, 257, 129)]
    [InlineData(257, 1536, 31)]
    public void MatchesTheDefinition(long rows, long inputs, long outputs)
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(2, rows, inputs),
            weight = randn(outputs, inputs),
            bias = randn(outputs),
            direction = randn(2, rows, outputs);
        Near(Exact(x, weight, bias), Functional.Linear(x, weight, bias), 2e-6);
        Near(Exact(x, weight, null), Functional.Linear(x, weight), 2e-6);
        Near(Exact(x, weight, bias).gelu(TorchSharp.Modules.GELU.Approximate.tanh), Functional.LinearGelu(x, weight, bias), 2e-6);
        // As views of larger ones.
        Near(Exact(x, weight, bias), Functional.Linear(cat([x, x], 2).narrow(2, 0, inputs), weight.t().contiguous().t(), bias), 2e-6);
        Near(x[0].@double().matmul(weight.@double().t()), Functional.MatrixProduct(x[0], weight.t()), 2e-6);

        Tensor[] plain = [x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()];
        Tensor[] exact = [.. plain.Select(t => t.detach().@double().requires_grad_())];
        var gradients = autograd.grad([(Functional.Linear(plain[0], plain[1], plain[2]) * direction).sum()], plain);
        var wanted = autograd.grad([(Exact(exact[0], exact[1], exact[2]) * direction.@double()).sum()], exact);
        foreach (var (gradient, reference) in gradients.Zip(wanted))
            Near(reference, gradient, 4e-6);
    }

    [Fact]
    public void RoundsHalfOnce()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(37, 300).bfloat16(),
            weight = randn(41, 300).bfloat16(),
            bias = randn(41).bfloat16();
        var y = Functional.Linear(x, weight, bias);
        Assert.Equal(bfloat16, y.dtype);
        // bfloat16 keeps 8 bits, so that rounding once is wrong by 2^-9 at most.
        Assert.InRange(
            ((Exact(x, weight, bias) - y.@double()).abs() / Exact(x, weight, bias).abs().clamp_min(1)).max().item<double>(),
            0,
            1.01 / 256
        );
    }

    [Theory]
    [InlineData(3, 5, 4, 6)]
    [InlineData(4, 70, 90, 80)]
    public void StacksOfProducts(long count, long m, long k, long n)
    {
        using var scope = NewDisposeScope();
        Tensor a = randn(count, m, k),
            b = randn(count, n, k).mT;
        Near(a.@double().matmul(b.@double()), Functional.BatchedProduct(a, b), 2e-6);
        Near(a.unsqueeze(0).@double().matmul(b.unsqueeze(0).@double()), Functional.BatchedProduct(a.unsqueeze(0), b.unsqueeze(0)), 2e-6);
    }

    /// <summary>Subnormal numbers count as zero for as long as asked, in backward passes as well; then the thread is as it was.</summary>
    [Fact]
    public void FlushesSubnormalNumbersForAWhile()
    {
        using var scope = NewDisposeScope();
        static float Product() => full([1], 1e-30f).mul(1e-10f).item<float>();
        var x = full([1], 1e-30f).requires_grad_();
        using (KernelLibrary.FlushSubnormals())
        {
            (x * 1e-20f * 1e-20f).sum().backward();
            Assert.Equal(KernelLibrary.IsUsed, x.grad!.item<float>() == 0);
            Assert.Equal(KernelLibrary.IsUsed, Product() == 0);
        }
        Assert.NotEqual(0, Product());
    }

    /// <summary>What was measured once decides from then on.</summary>
    [Fact]
    public void TheFasterLibraryIsRemembered()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("sora-products-").FullName, "sub", "products");
        var measured = Products.Remembered(path);
        Assert.Equal(measured ? "onednn\n" : "mkl\n", File.ReadAllText(path));
        File.WriteAllText(path, "mkl\n");
        Assert.False(Products.Remembered(path));
        Assert.True(Products.Remembered("/proc/no/such/products"));
    }

    /// <summary>Native code would end the process.</summary>
    [Fact]
    public void RefusesShapesThatDontFit()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => Functional.Linear(randn(2, 3), randn(4, 5)));
        Assert.Throws<ArgumentException>(() => Functional.Linear(randn(2, 3), randn(4, 3), randn(5)));
        Assert.Throws<ArgumentException>(() => Functional.MatrixProduct(randn(2, 3), randn(4, 5)));
        Assert.Throws<ArgumentException>(() => Functional.BatchedProduct(randn(2, 3, 4), randn(3, 4, 2)));
    }

    private static Tensor Exact(Tensor x, Tensor weight, Tensor? bias)
    {
        var y = x.@double().matmul(weight.@double().t());
        return bias is null ? y : y + bias.@double();
    }

    private static void Near(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        var error = (expected - actual.@double()).norm().item<double>() / expected.norm().item<double>();
        Assert.InRange(error, 0, tolerance);
    }
}
