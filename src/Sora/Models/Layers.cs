using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models;

/// <summary>
/// A linear layer: x W^T + b over the last axis. Weights that are kept in float32 follow their input's type, as training in
/// mixed precision needs it (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740).
/// </summary>
internal sealed class Linear
{
    private readonly Tensor weight;
    private readonly Tensor? bias;

    public Linear(Weights weights, long inputs, long outputs, bool withBias = true)
    {
        weight = weights.Get("weight", Init.FanIn(inputs), outputs, inputs);
        bias = withBias ? weights.Get("bias", Init.FanIn(inputs), outputs) : null;
    }

    public Tensor Forward(Tensor x) => weight.dtype == float32 && x.dtype != float32
        ? functional.linear(x, weight.to(x.dtype), bias?.to(x.dtype))
        : functional.linear(x, weight, bias);
}

/// <summary>Operations that several architectures share.</summary>
internal static class Ops
{
    /// <summary>True if nobody will ask for gradients through these, so that work in place is allowed.</summary>
    public static bool Frozen(params ReadOnlySpan<Tensor?> tensors)
    {
        if (!is_grad_enabled()) return true;
        foreach (var tensor in tensors)
            if (tensor is { requires_grad: true }) return false;
        return true;
    }

    /// <summary>
    /// x + y. In place into <paramref name="x"/> where no gradient is wanted: the caller must own x alone.
    /// </summary>
    public static Tensor AddInto(Tensor x, Tensor y)
    {
        if (!Frozen(x, y)) return x.add(y);
        x.add_(y);
        return x;
    }

    /// <summary>A tensor of another shape, no side of which is shorter, that begins with this one and holds <paramref name="rest"/> elsewhere.</summary>
    public static Tensor Padded(Tensor tensor, long[] shape, double rest = 0)
    {
        var whole = full(shape, rest, tensor.dtype);
        var part = whole;
        for (var axis = 0; axis < shape.Length; axis++) part = part.narrow(axis, 0, tensor.shape[axis]);
        part.copy_(tensor);
        return whole;
    }

    /// <summary>
    /// Moves a result out of the current dispose scope, unless it is <paramref name="input"/> itself, overwritten:
    /// that one is in the caller's scope already.
    /// </summary>
    public static Tensor Leave(Tensor result, Tensor input) =>
        ReferenceEquals(result, input) ? input : result.MoveToOuterDisposeScope();

    /// <summary>
    /// GELU by its tanh approximation (https://arxiv.org/abs/1606.08415):
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x sigmoid(2 sqrt(2/pi) x (1 + 0.044715 x^2)).
    /// </summary>
    public static Tensor GeluTanh(Tensor x)
    {
        const double twoOverRoot = 1.5957691216057308; // 2 sqrt(2/pi)
        using var scope = NewDisposeScope();
        if (!Frozen(x))
            return x.mul(x.mul(x).mul(0.044715 * twoOverRoot).add(twoOverRoot).mul(x).sigmoid()).MoveToOuterDisposeScope();
        return x.mul(x).mul_(0.044715 * twoOverRoot).add_(twoOverRoot).mul_(x).sigmoid_().mul_(x).MoveToOuterDisposeScope();
    }
}
