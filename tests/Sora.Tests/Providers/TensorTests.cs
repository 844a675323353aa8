using System.Runtime.InteropServices;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Providers;

/// <summary>How tensors behave, as with the TorchSharp package.</summary>
public class TensorTests
{
    private static readonly Tensor Counting = arange(24, float32).view(2, 3, 4);

    [Fact]
    public void ScopesDisposeWhatTheyOwn()
    {
        Tensor kept, lost, detached;
        using (var outer = NewDisposeScope())
        {
            using (var inner = NewDisposeScope())
            {
                kept = ones(2).MoveToOuterDisposeScope();
                lost = ones(2);
                detached = ones(2).DetachFromDisposeScope();
                Assert.Equal(1, inner.DisposablesCount);
                Assert.True(outer.Contains(kept));
            }
            Assert.False(kept.IsInvalid);
            Assert.True(lost.IsInvalid);
            var failure = Assert.Throws<InvalidOperationException>(() => lost + 1);
            Assert.Equal("Tensor invalid -- empty handle.", failure.Message);
        }
        Assert.True(kept.IsInvalid);
        Assert.False(detached.IsInvalid);
        detached.Dispose();
    }

    [Fact]
    public void ScopesKeepWhatTheyAreTold()
    {
        using var scope = NewDisposeScope();
        Tensor a = ones(1), b = ones(1);
        scope.DisposeEverythingBut(a);
        Assert.True(b.IsInvalid);
        Assert.Equal([a], scope.DisposablesView);
        a.Dispose();
        Assert.Equal(0, scope.DisposablesCount);
    }

    [Fact]
    public void ScopesAreOfTheirThread()
    {
        using var scope = NewDisposeScope();
        Tensor? elsewhere = null;
        var thread = new Thread(() => elsewhere = ones(1));
        thread.Start();
        thread.Join();
        Assert.Equal(0, scope.DisposablesCount);
        scope.Attach(elsewhere!);
        scope.Dispose();
        Assert.True(elsewhere!.IsInvalid);
    }

    [Fact]
    public void IndexesSliceLikePython()
    {
        Assert.Equal([2, 4], Counting[.., 1].shape);
        Assert.Equal(23, Counting[1, 2, 3].item<float>());
        Assert.Equal(23, Counting[^1, ^1, ^1].item<float>());
        Assert.Equal([4f, 5, 6, 7], Counting[0, 1].data<float>());
        Assert.Equal([3f, 7, 11, 15, 19, 23], Counting[TensorIndex.Ellipsis, 3].data<float>().ToArray());
        Assert.Equal([2, 1, 3, 4], Counting[TensorIndex.Colon, TensorIndex.None].shape);
        Assert.Equal([1f, 3], Counting[0, 0, TensorIndex.Slice(1, null, 2)].data<float>());
        Assert.Equal([1f, 2], Counting[0, 0, 1..^1].data<float>());
        Assert.Equal([20f, 8], Counting[TensorIndex.Tensor(tensor([1L, 0])), TensorIndex.Tensor(tensor([2, 2])), 0].data<float>());
        Assert.Equal([22f, 23], Counting[Counting > 21].data<float>());
        Assert.Throws<ExternalException>(() => Counting[2]);
    }

    [Fact]
    public void IndexesAssign()
    {
        using var t = zeros(3, 3);
        t[0] = tensor(1f);
        t[.., 2] = tensor([4f, 5, 6]);
        t[t > 5] = tensor(-1f);
        t[tensor([1L]), tensor([1L])] = tensor(9f);
        t.index_put_(7, TensorIndex.Single(2), TensorIndex.Single(0));
        Assert.Equal([1f, 1, 4, 0, 9, 5, 7, 0, -1], t.data<float>().ToArray());
    }

    [Fact]
    public void TypesPromote()
    {
        Assert.Equal(ScalarType.Float32, (ones(1, int64) + ones(1, float32)).dtype);
        Assert.Equal(ScalarType.Int64, (ones(1, int64) * 2).dtype);
        Assert.Equal(ScalarType.Float32, (ones(1, int64) * 2.5).dtype);
        Assert.Equal(ScalarType.Float16, (ones(1, float16) * 2.5).dtype);
        Assert.Equal(ScalarType.Float32, (ones(1, bfloat16) + ones(1, float16)).dtype);
        Assert.Equal(ScalarType.Float64, (ones(1, float64) - ones(1, float32)).dtype);
        Assert.Equal(ScalarType.Float32, (ones(1, int32) / 2).dtype);
        Assert.Equal(ScalarType.Bool, (ones(1) > 0).dtype);
        Assert.Equal(ScalarType.Int64, arange(3).dtype);
        Assert.Equal(ScalarType.Float32, arange(0, 1, 0.5).dtype);
        Assert.Equal(ScalarType.Int64, (ones(2, @bool)).sum().dtype);
    }

    [Fact]
    public void ScalarsOnTheLeftKeepTheirOrder()
    {
        using var x = tensor([1f, 2, 4]);
        Assert.Equal([2f, 1, -1], (3 - x).data<float>());
        Assert.Equal([4f, 2, 1], (4.0 / x).data<float>());
        Assert.Equal([false, false, true], ((Scalar)3 < x).data<bool>());
        Assert.Equal([true, false, false], ((Scalar)2 > x).data<bool>());
    }

    [Fact]
    public void FailuresInLibtorchAreExternalExceptions()
    {
        var failure = Assert.Throws<ExternalException>(() => ones(2, 3).matmul(ones(2, 3)));
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied", failure.Message);
        Assert.DoesNotContain("Exception raised from", failure.Message);
    }

    [Fact]
    public void ReadingChecksTypeAndCount()
    {
        Assert.Throws<ArgumentException>(() => ones(1).data<double>());
        Assert.Throws<ArgumentException>(() => ones(2).item<float>());
        Assert.Throws<InvalidOperationException>(() => ones(2, 2).t().bytes.Length);
        Assert.Equal(6, tensor(6).ToInt64());
        Assert.Equal(2.5f, (float)tensor(2.5, bfloat16));
    }

    [Fact]
    public void AccessorsFollowStrides()
    {
        using var turned = arange(6).view(2, 3).t();
        var data = turned.data<long>();
        Assert.Equal([0, 3, 1, 4, 2, 5], data.ToArray());
        Assert.Equal([0, 3, 1, 4, 2, 5], data);
        Assert.Equal(4, data[1, 1]);
        Assert.Equal(new long[,] { { 0, 3 }, { 1, 4 }, { 2, 5 } }, data.ToNDArray());
        data.CopyFrom([7, 8], 0, 2);
        Assert.Equal([0, 3, 7, 8, 2, 5], turned.data<long>());
        Assert.Throws<IndexOutOfRangeException>(() => data[3, 0]);
    }

    [Fact]
    public void ArraysBecomeTensors()
    {
        float[] own = [1, 2, 3, 4];
        using var copy = tensor(own, [2, 2]);
        using var shared = from_array(own);
        using var part = frombuffer(own, float32, count: 2, offset: 1);
        own[1] = 9;
        Assert.Equal([1f, 2, 3, 4], copy.data<float>().ToArray());
        Assert.Equal([1f, 9, 3, 4], shared.data<float>());
        Assert.Equal([9f, 3], part.data<float>());
        Assert.Equal([2, 3], tensor(new[,] { { 1, 2, 3 }, { 4, 5, 6 } }).shape);
        Assert.Equal(ScalarType.Float64, tensor([1, 2], float64).dtype);
        Assert.Throws<ArgumentException>(() => tensor(own, [5]));
    }

    [Fact]
    public void InPlaceFormsReturnTheirTensor()
    {
        using var scope = NewDisposeScope();
        var x = ones(3);
        Assert.Same(x, x.add_(1).mul_(tensor([1f, 2, 3])).clamp_(max: 5));
        Assert.Equal(2, scope.DisposablesCount);
        Assert.Equal([2f, 4, 5], x.data<float>());
    }

    [Fact]
    public void SeedsRepeat()
    {
        using var generator = new Generator(42);
        using var first = randn(4, generator: generator);
        generator.manual_seed(42);
        Assert.Equal(first, randn(4, generator: generator));
        // What PyTorch draws on the CPU for this seed.
        Assert.Equal(0.33669036626815796, first[0].item<float>(), 6);
        Assert.Equal(0.23033303022384644, first[3].item<float>(), 6);
    }

    [Fact]
    public void GradientsFlow()
    {
        using var x = tensor([2f, 3]).requires_grad_();
        using (no_grad()) Assert.False((x * x).requires_grad);
        (x * x).sum().backward();
        Assert.Equal([4f, 6], x.grad!.data<float>());
        x.grad = null;
        Assert.Null(x.grad);
        var grads = autograd.grad([x.pow(3).sum()], [x], create_graph: true);
        Assert.Equal([12f, 27], grads[0].data<float>());
        grads[0].sum().backward();
        Assert.Equal([12f, 18], x.grad!.data<float>());
    }

    [Fact]
    public void GradientsBelowTheNormalRangeAreZero()
    {
        float[] small = [1e-20f, 1e-17f];
        using var factors = tensor(small);
        using var x = ones(2).requires_grad_();
        Tensor Loss() => (x * factors * 1e-20).sum();
        Loss().backward();
        Assert.Equal([0, 1e-20f * 1e-17f], x.grad!.data<float>());
        Assert.Equal([0, 1e-20f * 1e-17f], autograd.grad([Loss()], [x])[0].data<float>());
        // Only there: what a thread works out afterwards is as precise as before.
        Assert.Equal(small.Select(f => f * 1e-20f), (factors * 1e-20).data<float>());
        Assert.NotEqual(0, small[0] * 1e-20f);
    }

    [Fact]
    public void InterpolationMatchesItsDefinition()
    {
        using var x = tensor([0f, 1, 2, 3], [1, 1, 2, 2]);
        using var doubled = nn.functional.interpolate(x, scale_factor: [2, 2], mode: InterpolationMode.Bilinear);
        Assert.Equal([0f, 0.25f, 0.75f, 1], doubled[0, 0, 0].data<float>());
        using var nearest = nn.functional.interpolate(x, size: [4, 4]);
        Assert.Equal([0f, 0, 1, 1], nearest[0, 0, 0].data<float>());
        Assert.Throws<ArgumentException>(() => nn.functional.interpolate(x, [4, 4], [2, 2]));
    }
}
