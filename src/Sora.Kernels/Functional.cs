using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Kernels;

/// <summary>
/// The operations that take nearly all of a model's time, each by the fastest code that gets it right: on the CPU a kernel of
/// our own or oneDNN, else TorchSharp's operator. All of them record gradients, and check shapes before native code does.
/// </summary>
public static class Functional
{
    /// <summary>From this many numbers per matrix on, a stack's products are computed one by one, each on all threads.</summary>
    private const long LargeStack = 1 << 12;

    static Functional() => Libtorch.Start();

    /// <summary>x w' + b over the last axis.</summary>
    /// <param name="x"><c>[…, in]</c>.</param>
    /// <param name="weight"><c>[out, in]</c>, of the same type.</param>
    /// <param name="bias"><c>[out]</c>, or null.</param>
    /// <returns><c>[…, out]</c>.</returns>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null)
    {
        RequireLinear(x, weight, bias);
        if (!UsesOneDnn(x, weight, bias))
            return functional.linear(x, weight, bias);
        return Trains(x, weight, bias) ? LinearFunction.apply(x, weight, bias!) : Libtorch.LinearPointwise(x, weight, bias, gelu: false);
    }

    /// <summary>
    /// GELU of <see cref="Linear"/>, by its tanh approximation (https://arxiv.org/abs/1606.08415):
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    /// </summary>
    /// <inheritdoc cref="Linear"/>
    public static Tensor LinearGelu(Tensor x, Tensor weight, Tensor? bias = null)
    {
        RequireLinear(x, weight, bias);
        if (UsesOneDnn(x, weight, bias) && !Trains(x, weight, bias))
            return Libtorch.LinearPointwise(x, weight, bias, gelu: true);
        using var inner = Linear(x, weight, bias);
        return GeluTanh(inner);
    }

    /// <summary>GELU by its tanh approximation, as <see cref="LinearGelu"/> has it.</summary>
    public static Tensor GeluTanh(Tensor x) => x.gelu(TorchSharp.Modules.GELU.Approximate.tanh);

    /// <summary>The product of two matrices, <c>[M, K]</c> and <c>[K, N]</c>.</summary>
    /// <returns><c>[M, N]</c>.</returns>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor MatrixProduct(Tensor a, Tensor b) => Linear(a, b.t());

    /// <summary>The products of two stacks of matrices, <c>[…, M, K]</c> and <c>[…, K, N]</c>.</summary>
    /// <returns><c>[…, M, N]</c>.</returns>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor BatchedProduct(Tensor a, Tensor b)
    {
        // TorchSharp's matmul ends the process if shapes don't fit, so they are checked.
        var fits = a.dim() == b.dim() && a.dim() >= 2 && a.size(-1) == b.size(-2);
        for (var i = 0; fits && i < a.dim() - 2; i++)
            fits = a.size(i) == b.size(i);
        Require(fits, "product", a, b);
        if (a.dim() != 3 || a.numel() < LargeStack * a.size(0) || !UsesOneDnn(a, b, null) || Trains(a, b))
            return a.matmul(b);
        var result = empty([a.size(0), a.size(1), b.size(2)], a.dtype);
        using var scope = NewDisposeScope();
        for (var i = 0; i < a.size(0); i++)
            result[i].copy_(MatrixProduct(a[i], b[i]));
        return result;
    }

    /// <summary>softmax(query key' / sqrt(d) + mask) value.</summary>
    /// <param name="query"><c>[B, heads, L, d]</c>.</param>
    /// <param name="key"><c>[B, heads, S, d]</c>.</param>
    /// <param name="value"><c>[B, heads, S, d']</c>.</param>
    /// <param name="mask">Added to the scores; its shape expands to <c>[B, heads, L, S]</c>; or null.</param>
    /// <returns><c>[B, heads, L, d']</c>.</returns>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor ScaledDotProductAttention(Tensor query, Tensor key, Tensor value, Tensor? mask = null)
    {
        Require(
            query.dim() == 4
                && key.dim() == 4
                && value.dim() == 4
                && query.size(0) == key.size(0)
                && query.size(0) == value.size(0)
                && query.size(1) == key.size(1)
                && query.size(1) == value.size(1)
                && query.size(3) == key.size(3)
                && key.size(2) == value.size(2),
            "attention",
            query,
            key,
            value
        );
        var isHalf = query.dtype is ScalarType.BFloat16 or ScalarType.Float16 && key.dtype == query.dtype && value.dtype == query.dtype;
        if (
            mask is not null
            || query.device_type != DeviceType.CPU
            || query.numel() == 0
            || key.numel() == 0
            || !(isHalf || IsFloatOnCpu(query, key, value))
            || !KernelLibrary.IsUsed
        )
            return functional.scaled_dot_product_attention(query, key, value, mask);
        using var scope = NewDisposeScope();
        var (q, k, v) = (WithDenseRows(query), WithDenseRows(key), WithDenseRows(value));
        if (KernelLibrary.TakesHalf(q, k, v) && !Trains(q, k, v))
            return KernelLibrary.HalfAttention(q, k, v).MoveToOuterDisposeScope();
        // libtorch computes in half precision at less than half the rate of the kernel for float32.
        if (isHalf)
            return ScaledDotProductAttention(q.@float(), k.@float(), v.@float()).to(query.dtype).MoveToOuterDisposeScope();
        var result = Trains(q, k, v) ? AttentionFunction.apply(q, k, v) : KernelLibrary.Attention(q, k, v).Out;
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Convolution of images.</summary>
    /// <param name="input"><c>[B, in, H, W]</c>.</param>
    /// <param name="weight"><c>[out, in, h, w]</c>.</param>
    /// <param name="bias"><c>[out]</c>, or null.</param>
    /// <param name="stride">Of height and width; empty: ones.</param>
    /// <param name="padding">Zeros around height and width; empty: none.</param>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor Conv2d(
        Tensor input,
        Tensor weight,
        Tensor? bias = null,
        ReadOnlySpan<long> stride = default,
        ReadOnlySpan<long> padding = default
    ) => Convolution(input, weight, bias, stride.IsEmpty ? [1, 1] : stride, padding.IsEmpty ? [0, 0] : padding);

    /// <summary>Convolution of clips with unit strides.</summary>
    /// <param name="input"><c>[B, in, T, H, W]</c>.</param>
    /// <param name="weight"><c>[out, in, t, h, w]</c>.</param>
    /// <param name="bias"><c>[out]</c>, or null.</param>
    /// <param name="padding">Zeros around time, height and width; empty: none.</param>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static Tensor Conv3d(Tensor input, Tensor weight, Tensor? bias = null, ReadOnlySpan<long> padding = default) =>
        Convolution(input, weight, bias, [1, 1, 1], padding.IsEmpty ? [0, 0, 0] : padding);

    /// <summary>Bilinear resizing of images; ends of the result lie on ends of <paramref name="x"/> (align_corners).</summary>
    /// <param name="x"><c>[B, C, h, w]</c>.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <returns><c>[B, C, height, width]</c>.</returns>
    /// <exception cref="ArgumentException">x has another number of dimensions or is empty, or the result would be.</exception>
    public static Tensor ResizeBilinear(Tensor x, long height, long width)
    {
        Require(x.dim() == 4 && x.numel() > 0 && height > 0 && width > 0, "resizing", x);
        if (IsFloatOnCpu(x) && x.is_contiguous() && !Trains(x) && KernelLibrary.IsUsed)
            return KernelLibrary.ResizeBilinear(x, height, width);
        return functional.interpolate(x, [height, width], mode: InterpolationMode.Bilinear, align_corners: true);
    }

    /// <summary>
    /// Writes SiLU(y) of y = x / max(||x||, 1e-12) gain to <paramref name="target"/>, the norm being that of the channels of each
    /// place, in one pass over memory. Not for gradients.
    /// </summary>
    /// <param name="x">float32 on the CPU, <c>[B, C, T, H, W]</c>.</param>
    /// <param name="gain"><c>[C]</c>.</param>
    /// <param name="target">As x; may be a part of a larger tensor.</param>
    /// <returns>False if there is no kernel for it, and nothing was written.</returns>
    /// <exception cref="ArgumentException">The shapes don't fit.</exception>
    public static bool TryNormSilu(Tensor x, Tensor gain, Tensor target)
    {
        Require(
            x.dim() == 5 && x.shape.AsSpan().SequenceEqual(target.shape) && gain.dim() == 1 && gain.size(0) == x.size(1),
            "norm",
            x,
            gain,
            target
        );
        static bool HasDensePlanes(Tensor t) => t.stride(4) == 1 && t.stride(3) == t.size(4);
        if (!IsFloatOnCpu(x, gain, target) || !HasDensePlanes(x) || !HasDensePlanes(target) || gain.stride(0) != 1 || !KernelLibrary.IsUsed)
            return false;
        KernelLibrary.NormSilu(x, gain, target);
        return true;
    }

    internal static Tensor WithDenseRows(Tensor tensor) => tensor.stride(-1) == 1 ? tensor : tensor.contiguous();

    private static Tensor Convolution(Tensor input, Tensor weight, Tensor? bias, ReadOnlySpan<long> stride, ReadOnlySpan<long> padding)
    {
        var axes = stride.Length;
        var fits =
            input.dim() == axes + 2
            && weight.dim() == axes + 2
            && padding.Length == axes
            && input.size(1) == weight.size(1)
            && (bias is null || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
        for (var i = 0; fits && i < axes; i++)
            fits = input.size(i + 2) + 2 * padding[i] >= weight.size(i + 2);
        Require(fits, "convolution", input, weight, bias);
        if (UsesKernel(input, weight, bias, stride, padding))
        {
            if (Trains(input, weight, bias))
                return ConvolutionFunction.apply(input, weight, bias!, padding.ToArray());
            using var scope = NewDisposeScope();
            return KernelLibrary
                .Convolution(input.contiguous(), weight.contiguous(), bias?.contiguous(), padding)
                .MoveToOuterDisposeScope();
        }
        if (input.device_type != DeviceType.CPU || input.dtype == float64)
            return LibtorchConvolution(input, weight, bias, stride, padding);
        return Trains(input, weight, bias)
            ? ProductConvolution(input, weight, bias, stride, padding)
            : PaddedConvolution(input, weight, bias, stride, padding);
    }

    private static bool UsesKernel(Tensor input, Tensor weight, Tensor? bias, ReadOnlySpan<long> stride, ReadOnlySpan<long> padding)
    {
        if (!IsFloatOnCpu(input, weight, bias) || input.numel() == 0 || !KernelLibrary.IsUsed)
            return false;
        for (var i = 0; i < stride.Length; i++)
            if (stride[i] != 1 || padding[i] >= weight.size(i + 2))
                return false;
        return KernelLibrary.ConvolutionPays(input, weight, padding, Trains(input, weight));
    }

    /// <summary>
    /// Convolution as one product of the weights with what lies under each window, for gradients: oneDNN's are wrong for some
    /// strides and channels (see <see cref="PaddedConvolution"/>), and padding doesn't help there.
    /// </summary>
    private static Tensor ProductConvolution(
        Tensor input,
        Tensor weight,
        Tensor? bias,
        ReadOnlySpan<long> stride,
        ReadOnlySpan<long> padding
    )
    {
        using var scope = NewDisposeScope();
        var axes = stride.Length;
        var around = new List<long>();
        for (var i = axes - 1; i >= 0; i--)
            around.AddRange([padding[i], padding[i]]);
        var windows = functional.pad(input, [.. around]);
        for (var i = 0; i < axes; i++)
            windows = windows.unfold(i + 2, weight.size(i + 2), stride[i]); // [B, C, H', W', h, w]
        var results = Enumerable.Range(2, axes).ToArray();
        var places = results.Select(axis => windows.size(axis)).ToArray();
        var rows = windows
            .permute([0, .. results.Select(axis => (long)axis), 1, .. results.Select(axis => (long)axis + axes)])
            .reshape(-1, weight.flatten(1).size(1));
        var y = Linear(rows, weight.flatten(1), bias).view([input.size(0), .. places, weight.size(0)]);
        return y.movedim([-1], [1]).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// libtorch's convolution with zero channels added to fill whole vectors: for other counts oneDNN 3.7, which libtorch 2.10
    /// has, is off by 10 to 30 % or gives NaN on AMD's Zen 5, both with AVX-512 and with AVX2.
    /// </summary>
    private static Tensor PaddedConvolution(
        Tensor input,
        Tensor weight,
        Tensor? bias,
        ReadOnlySpan<long> stride,
        ReadOnlySpan<long> padding
    )
    {
        const long Vector = 16;
        static long Missing(long channels) => (Vector - channels % Vector) % Vector;
        var (missingIn, missingOut) = (Missing(weight.size(1)), Missing(weight.size(0)));
        if (missingIn == 0 && missingOut == 0)
            return LibtorchConvolution(input, weight, bias, stride, padding);
        using var scope = NewDisposeScope();
        long[] none = [.. Enumerable.Repeat(0L, 2 * stride.Length)];
        if (missingIn > 0)
            input = functional.pad(input, [.. none, 0, missingIn]);
        weight = functional.pad(weight, [.. none, 0, missingIn, 0, missingOut]);
        if (bias is not null)
            bias = functional.pad(bias, [0, missingOut]);
        return LibtorchConvolution(input, weight, bias, stride, padding)
            .narrow(1, 0, weight.size(0) - missingOut)
            .contiguous()
            .MoveToOuterDisposeScope();
    }

    private static Tensor LibtorchConvolution(
        Tensor input,
        Tensor weight,
        Tensor? bias,
        ReadOnlySpan<long> stride,
        ReadOnlySpan<long> padding
    ) =>
        stride.Length == 2
            ? functional.conv2d(input, weight, bias, strides: stride.ToArray(), padding: padding.ToArray())
            : functional.conv3d(input, weight, bias, strides: stride.ToArray(), padding: padding.ToArray());

    private static bool UsesOneDnn(Tensor x, Tensor weight, Tensor? bias) =>
        x.device_type == DeviceType.CPU
        && weight.device_type == DeviceType.CPU
        && x.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && x.dtype == weight.dtype
        && (bias is null || bias.dtype == x.dtype)
        && x.numel() > 0
        && weight.numel() > 0
        && (x.dtype == bfloat16 || Products.UsesOneDnn);

    private static void RequireLinear(Tensor x, Tensor weight, Tensor? bias) =>
        Require(
            x.dim() >= 1
                && weight.dim() == 2
                && x.size(-1) == weight.size(1)
                && (bias is null || (bias.dim() == 1 && bias.size(0) == weight.size(0))),
            "linear layer",
            x,
            weight,
            bias
        );

    private static void Require(bool fits, string operation, params ReadOnlySpan<Tensor?> tensors)
    {
        if (fits)
            return;
        var shapes = new List<string>();
        foreach (var tensor in tensors)
            if (tensor is not null)
                shapes.Add($"[{string.Join(", ", tensor.shape)}]");
        throw new ArgumentException($"shapes that don't fit in a {operation}: {string.Join(" and ", shapes)}");
    }

    private static bool IsFloatOnCpu(params ReadOnlySpan<Tensor?> tensors)
    {
        foreach (var tensor in tensors)
            if (tensor is not null && (tensor.device_type != DeviceType.CPU || tensor.dtype != float32))
                return false;
        return true;
    }

    private static bool Trains(params ReadOnlySpan<Tensor?> tensors)
    {
        if (!is_grad_enabled())
            return false;
        foreach (var tensor in tensors)
            if (tensor is { requires_grad: true })
                return true;
        return false;
    }
}
