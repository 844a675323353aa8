using Sora.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

public class OptimizerTests
{
    private static readonly OptimizerOptions Options = new(MatrixRate: 0.02, OtherRate: 0.01, ClipNorm: 1e9);

    [Fact]
    public void OrthogonaliseMatchesFloat64OfTheSameIteration()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var batch = randn(2, 5, 9);
        var wide = batch.to(ScalarType.Float64);
        var x = wide / wide.square().sum([1, 2], keepdim: true).sqrt();
        for (var i = 0; i < 5; i++)
        {
            var a = x.bmm(x.transpose(1, 2));
            x = (3.4445 * x) + (((-4.7750 * a) + (2.0315 * a.bmm(a))).bmm(x));
        }
        var error = (Optimizer.Orthogonalise(batch).to(ScalarType.Float64) - x).norm() / x.norm();
        Assert.InRange(error.ToDouble(), 0, 1e-5);
    }

    [Fact]
    public void OrthogonalisedSingularValuesAreNearOne()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        // Tall and wide alike; Muon's coefficients reach about 0.7 to 1.2, not exactly 1.
        foreach (var (rows, columns) in new[] { (12L, 20L), (20L, 12L) })
        {
            var q = Optimizer.Orthogonalise(randn(1, rows, columns))[0];
            var gram = rows < columns ? q.matmul(q.mT) : q.mT.matmul(q);
            var values = linalg.eigvalsh(gram).sqrt().data<float>().ToArray();
            Assert.All(values, v => Assert.InRange(v, 0.6f, 1.3f));
        }
    }

    /// <summary>
    /// With singular values over four orders of magnitude, as gradients have them: in bfloat16 the smallest, which five steps
    /// leave anywhere below one, mustn't come to dominate.
    /// </summary>
    [Theory]
    [InlineData(24, 24, 0.2)]
    [InlineData(24, 96, 1e-6)]
    [InlineData(96, 24, 1e-6)]
    public void HalfOfAFloatIsEnoughForOrthogonalising(long rows, long columns, double tolerance)
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var small = Math.Min(rows, columns);
        var sizes = (arange(small, float32) * (-4 * Math.Log(10) / small)).exp();
        var batch = (randn(rows, small) * sizes).matmul(randn(small, columns)).unsqueeze(0);
        var (exact, near) = (Optimizer.Orthogonalise(batch), Optimizer.Orthogonalise(batch, bfloat16).to(float32));
        Assert.InRange(((near - exact).norm() / exact.norm()).ToDouble(), 0, tolerance);
        Assert.InRange(linalg.svdvals(near[0]).max().ToDouble(), 0.6, 1.3);
    }

    [Fact]
    public void BiasFollowsAdam()
    {
        using var scope = NewDisposeScope();
        var bias = tensor(new float[] { 1, -2, 3 }).requires_grad_();
        using var optimizer = new Optimizer(new Dictionary<string, Tensor> { ["bias"] = bias }, Options);
        double[] value = [1, -2, 3],
            m = new double[3],
            v = new double[3];
        for (var step = 1; step <= 5; step++)
        {
            (bias * bias * 0.5).sum().backward();
            optimizer.Step(rate: 0.5);
            for (var i = 0; i < 3; i++)
            {
                var g = value[i];
                m[i] = (0.9 * m[i]) + (0.1 * g);
                v[i] = (0.98 * v[i]) + (0.02 * g * g);
                value[i] -= 0.5 * 0.01 * (m[i] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.98, step))) + 1e-8);
            }
        }
        Assert.Equal(value, bias.data<float>().Select(x => (double)x).ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void FirstMatrixStepHasTheStatedSize()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var weight = zeros(16, 4, 3, 3).requires_grad_();
        using var optimizer = new Optimizer(new Dictionary<string, Tensor> { ["conv.weight"] = weight }, Options);
        var slope = randn(16, 4, 3, 3);
        (weight * slope).sum().backward();
        optimizer.Step(rate: 1);
        // The update is an orthogonal 16 x 36 matrix times rate x 0.2 sqrt(36): its norm is near that times sqrt(16).
        var expected = 0.02 * 0.2 * 6 * 4;
        Assert.InRange(weight.norm().ToDouble(), expected * 0.6, expected * 1.3);
        Assert.True((weight * slope).sum().ToDouble() < 0);
    }

    [Fact]
    public void GradientIsClippedToTheNorm()
    {
        using var scope = NewDisposeScope();
        var bias = zeros(1).requires_grad_();
        using var optimizer = new Optimizer(new Dictionary<string, Tensor> { ["bias"] = bias }, Options with { ClipNorm = 1 });
        (bias * 1000).sum().backward();
        Assert.Equal(1000, optimizer.Step(rate: 1), 3);
        var state = optimizer.State().ToDictionary(p => p.Key, p => p.Value);
        Assert.Equal(0.1, state["adam.mean.bias"].ToDouble(), 4);
    }

    [Fact]
    public void AnInfiniteGradientChangesNothing()
    {
        using var scope = NewDisposeScope();
        var bias = ones(1).requires_grad_();
        using var optimizer = new Optimizer(new Dictionary<string, Tensor> { ["bias"] = bias }, Options);
        (bias * double.PositiveInfinity).sum().backward();
        Assert.False(double.IsFinite(optimizer.Step(rate: 1)));
        Assert.Equal(1f, bias.item<float>());
        Assert.Equal(0f, bias.grad!.item<float>());
    }
}
