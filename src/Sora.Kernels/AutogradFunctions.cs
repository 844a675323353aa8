using static TorchSharp.torch;

namespace Sora.Kernels;

/// <summary>Frees what TorchSharp's autograd functions leave behind, when the next one runs.</summary>
/// <remarks>
/// TorchSharp hands the gradients that a backward pass returns to libtorch, which takes references of its own, and keeps the
/// first ones until the dispose scope around the whole pass ends: all gradients of all activations.
/// </remarks>
internal static class Gradients
{
    [ThreadStatic]
    private static List<Tensor?>? last;

    /// <summary>Runs a backward pass, whose temporary tensors are freed.</summary>
    public static List<Tensor?> Of(Tensor grad, autograd.AutogradContext context, Func<List<Tensor>, List<Tensor?>> backward)
    {
        foreach (var tensor in last ?? [])
            tensor?.Dispose();
        using var scope = NewDisposeScope();
        last = backward(context.get_saved_variables());
        foreach (var tensor in last)
            tensor?.DetachFromDisposeScope();
        grad.Dispose();
        return last;
    }
}

/// <summary>Attention with its gradient; the arguments are q, k and v.</summary>
internal sealed class AttentionFunction : autograd.SingleTensorFunction<AttentionFunction>
{
    public override string Name => nameof(AttentionFunction);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        var (q, k, v) = ((Tensor)arguments[0], (Tensor)arguments[1], (Tensor)arguments[2]);
        var (result, logSum) = KernelLibrary.Attention(q, k, v);
        context.save_for_backward([q, k, v, result, logSum]);
        return result;
    }

    public override List<Tensor?> backward(autograd.AutogradContext context, Tensor grad) =>
        Gradients.Of(
            grad,
            context,
            saved =>
            {
                var (q, k, v) = KernelLibrary.AttentionBackward(
                    saved[0],
                    saved[1],
                    saved[2],
                    saved[3],
                    saved[4],
                    Functional.WithDenseRows(grad)
                );
                return [q, k, v];
            }
        );
}

/// <summary>Convolution with its gradient; the arguments are input, weight, bias or null, and padding.</summary>
internal sealed class ConvolutionFunction : autograd.SingleTensorFunction<ConvolutionFunction>
{
    public override string Name => nameof(ConvolutionFunction);

    public override Tensor forward(autograd.AutogradContext context, params object?[] arguments)
    {
        var (input, weight, bias, padding) = ((Tensor)arguments[0]!, (Tensor)arguments[1]!, (Tensor?)arguments[2], (long[])arguments[3]!);
        context.save_for_backward([input, weight]);
        context.save_data("padding", padding);
        context.save_data("wanted", (input.requires_grad, weight.requires_grad, bias?.requires_grad == true));
        return KernelLibrary.Convolution(input.contiguous(), weight.contiguous(), bias?.contiguous(), padding);
    }

    public override List<Tensor?> backward(autograd.AutogradContext context, Tensor grad) =>
        Gradients.Of(
            grad,
            context,
            saved =>
            {
                var (input, weight, dense) = (saved[0], saved[1].contiguous(), grad.contiguous());
                var padding = (long[])context.get_data("padding");
                var (wantsInput, wantsWeight, wantsBias) = ((bool, bool, bool))context.get_data("wanted");
                return
                [
                    wantsInput ? KernelLibrary.ConvolutionInputGradient(dense, weight, input.shape, padding) : null,
                    wantsWeight ? KernelLibrary.ConvolutionWeightGradient(input.contiguous(), dense, weight.shape, padding) : null,
                    wantsBias ? dense.flatten(2).sum([0, 2]) : null,
                    null,
                ];
            }
        );
}

/// <summary>x w' + b with its gradient; the arguments are x, w and b or null.</summary>
internal sealed class LinearFunction : autograd.SingleTensorFunction<LinearFunction>
{
    public override string Name => nameof(LinearFunction);

    public override Tensor forward(autograd.AutogradContext context, params object?[] arguments)
    {
        var (x, weight, bias) = ((Tensor)arguments[0]!, (Tensor)arguments[1]!, (Tensor?)arguments[2]);
        context.save_for_backward([x, weight]);
        context.save_data("wanted", (x.requires_grad, weight.requires_grad, bias?.requires_grad == true));
        return Libtorch.LinearPointwise(x, weight, bias, gelu: false);
    }

    public override List<Tensor?> backward(autograd.AutogradContext context, Tensor grad) =>
        Gradients.Of(
            grad,
            context,
            saved =>
            {
                var (x, weight) = (saved[0], saved[1]);
                var (wantsX, wantsWeight, wantsBias) = ((bool, bool, bool))context.get_data("wanted");
                var rows = grad.reshape(-1, weight.size(0)); // [N, out]
                return
                [
                    wantsX ? Product(grad, weight.t()) : null,
                    wantsWeight ? Product(rows.t(), x.reshape(-1, weight.size(1)).t()) : null,
                    wantsBias ? rows.sum([0]) : null,
                ];
            }
        );

    private static Tensor Product(Tensor x, Tensor w) => Libtorch.LinearPointwise(x, w, null, gelu: false);
}
