using Sora.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Nn;

/// <summary>
/// A linear layer: x W^T + b over the last axis. Weights kept in float32 follow their input's type, as training in mixed
/// precision needs (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740).
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

    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var (w, b) = Cast(x);
        return Functional.Linear(x, w, b).MoveToOuterDisposeScope();
    }

    /// <summary>GELU of <see cref="Forward"/>, by its tanh approximation.</summary>
    public Tensor ForwardGelu(Tensor x)
    {
        using var scope = NewDisposeScope();
        var (w, b) = Cast(x);
        return Functional.LinearGelu(x, w, b).MoveToOuterDisposeScope();
    }

    private (Tensor Weight, Tensor? Bias) Cast(Tensor x) =>
        weight.dtype == float32 && x.dtype != float32 ? (weight.to(x.dtype), bias?.to(x.dtype)) : (weight, bias);
}

/// <summary>A layer norm over the last axis, with a weight and a bias.</summary>
internal sealed class LayerNorm(Weights weights, long width, double eps)
{
    private readonly Tensor weight = weights.Get("weight", Init.Ones, width);
    private readonly Tensor bias = weights.Get("bias", Init.Zeros, width);

    public Tensor Forward(Tensor x) => functional.layer_norm(x, [width], weight, bias, eps);
}

/// <summary>Operations that several architectures share.</summary>
internal static class Ops
{
    /// <summary>True if nobody will ask for gradients through these, so that working in place is allowed.</summary>
    public static bool NeedsNoGradient(params ReadOnlySpan<Tensor?> tensors)
    {
        if (!is_grad_enabled())
            return true;
        foreach (var tensor in tensors)
            if (tensor is { requires_grad: true })
                return false;
        return true;
    }

    /// <summary>
    /// x + y. In place into <paramref name="x"/> where no gradient is wanted: the caller must own x alone.
    /// </summary>
    public static Tensor AddInto(Tensor x, Tensor y)
    {
        if (!NeedsNoGradient(x, y))
            return x.add(y);
        x.add_(y);
        return x;
    }

    /// <summary>
    /// A tensor of another shape, with no side shorter, that begins with
    /// this one and holds <paramref name="rest"/> elsewhere.
    /// </summary>
    public static Tensor Padded(Tensor tensor, long[] shape, double rest = 0)
    {
        var whole = full(shape, rest, tensor.dtype);
        var part = whole;
        for (var axis = 0; axis < shape.Length; axis++)
            part = part.narrow(axis, 0, tensor.shape[axis]);
        part.copy_(tensor);
        return whole;
    }

    /// <summary>
    /// Moves a result out of the current dispose scope, unless it is <paramref name="input"/> itself, overwritten:
    /// that one is in the caller's scope already.
    /// </summary>
    public static Tensor Leave(Tensor result, Tensor input) => ReferenceEquals(result, input) ? input : result.MoveToOuterDisposeScope();
}
