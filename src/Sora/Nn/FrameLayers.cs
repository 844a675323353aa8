using Sora.Kernels;
using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>x / sqrt(mean(x^2)) gamma over the channels of each place of a frame.</summary>
internal sealed class FrameNorm(Weights weights, long channels)
{
    private const double Eps = 1e-6;
    private readonly Tensor gamma = weights.Get("gamma", Init.Ones, channels, 1, 1);

    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.mul(x.square().mean([1], keepdim: true).add(Eps).rsqrt()).mul(gamma).MoveToOuterDisposeScope();
    }
}

/// <summary>Norm, SiLU, 3x3 convolution, twice, added to the input; begins as the identity.</summary>
internal sealed class FrameBlock(Weights weights, long width)
{
    private readonly FrameNorm norm1 = new(weights.Scope("norm1"), width),
        norm2 = new(weights.Scope("norm2"), width);
    private readonly Tensor weight1 = weights.Get("conv1.weight", Init.FanIn(width * 9), width, width, 3, 3);
    private readonly Tensor bias1 = weights.Get("conv1.bias", Init.Zeros, width);
    private readonly Tensor weight2 = weights.Get("conv2.weight", Init.Zeros, width, width, 3, 3);
    private readonly Tensor bias2 = weights.Get("conv2.bias", Init.Zeros, width);

    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = Functional.Conv2d(norm1.Forward(x).silu(), weight1, bias1, padding: [1, 1]);
        y = Functional.Conv2d(norm2.Forward(y).silu(), weight2, bias2, padding: [1, 1]);
        return x.add(y).MoveToOuterDisposeScope();
    }
}
