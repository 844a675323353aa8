using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Sora.Kernels;

/// <summary>
/// The entry points of <c>libsorakernels</c> (Native/), and whether they are in use: they are built where there is a C++
/// compiler, and <c>SORA_KERNELS=off</c> turns them off. Then TorchSharp's own operators compute the same.
/// </summary>
public static unsafe partial class KernelLibrary
{
    private const string Library = "sorakernels";

    private static readonly Lazy<string?> Missing = new(Start);

    /// <summary>Whether the kernels compute.</summary>
    public static bool IsUsed => Missing.Value is null;

    /// <summary>What is in use, for people: <c>AVX-512</c>, or why there are none.</summary>
    public static string Description =>
        Missing.Value
        ?? sora_kernels_instructions() switch
        {
            2 => "AVX-512",
            1 => "AVX2",
            _ => "portable",
        };

    /// <summary>Which library within libtorch multiplies float32 matrices on the CPU.</summary>
    public static string ProductsDescription => Products.UsesOneDnn ? "oneDNN" : "MKL";

    private static string? Start()
    {
        if (Environment.GetEnvironmentVariable("SORA_KERNELS") == "off")
            return "off (SORA_KERNELS=off)";
        if (!NativeLibrary.TryLoad(Library, typeof(KernelLibrary).Assembly, null, out _))
            return "not built (no C++ compiler)";
        var threads = new Threads
        {
            Parallel = Libtorch.Function("GOMP_parallel"),
            Index = Libtorch.Function("omp_get_thread_num"),
            Count = Libtorch.Function("omp_get_num_threads"),
            Most = Libtorch.Function("_ZN2at15get_num_threadsEv"),
        };
        if (threads.Parallel == 0 || threads.Index == 0 || threads.Count == 0 || threads.Most == 0)
            return "off (libtorch has no GNU OpenMP threads)";
        sora_kernels_start(&threads);
        return null;
    }

    /// <summary>
    /// Until it is disposed, results below float's normal range (1.2e-38) are zero on this thread. Gradients where an activation
    /// is flat, as GELU is far below zero, are such numbers by the thousand: none of them moves a weight, and an update takes up to
    /// twice as long with them. libtorch's own switch doesn't turn off again, so it isn't used.
    /// </summary>
    public static SubnormalsFlushed FlushSubnormals() => new(IsUsed ? sora_flush_subnormals() : null);

    /// <summary>See <see cref="FlushSubnormals"/>.</summary>
    public readonly ref struct SubnormalsFlushed(uint? before)
    {
        /// <summary>Restores the previous mode.</summary>
        public void Dispose()
        {
            if (before is { } mode)
                sora_set_mode(mode);
        }
    }

    /// <summary>Attention of <c>[B, heads, n, d]</c> tensors whose rows are dense.</summary>
    internal static (Tensor Out, Tensor LogSum) Attention(Tensor q, Tensor k, Tensor v)
    {
        var result = ResultOf(q, v);
        var logSum = empty([q.size(0), q.size(1), q.size(2)]);
        View qView = Libtorch.ViewOf(q),
            kView = Libtorch.ViewOf(k),
            vView = Libtorch.ViewOf(v),
            outView = Libtorch.ViewOf(result);
        Check(sora_attention(&qView, &kView, &vView, &outView, Libtorch.ViewOf(logSum).Data));
        KeepAlive(q, k, v);
        return (result, logSum);
    }

    /// <summary>Whether <see cref="HalfAttention"/> can take these: bfloat16, and the processor multiplies it.</summary>
    internal static bool TakesHalf(Tensor q, Tensor k, Tensor v)
    {
        if (!IsUsed || q.dtype != bfloat16 || k.dtype != bfloat16 || v.dtype != bfloat16 || sora_attention_bf16_works() == 0)
            return false;
        return q.size(3) % 2 == 0 && v.size(3) % 2 == 0 && q.stride(2) % 2 == 0 && k.stride(2) % 2 == 0 && v.stride(2) % 2 == 0;
    }

    /// <summary><see cref="Attention"/> of bfloat16 tensors, with sums in float32; no gradient.</summary>
    internal static Tensor HalfAttention(Tensor q, Tensor k, Tensor v)
    {
        var result = ResultOf(q, v);
        View qView = Libtorch.ViewOf(q),
            kView = Libtorch.ViewOf(k),
            vView = Libtorch.ViewOf(v),
            resultView = Libtorch.ViewOf(result);
        Check(sora_attention_bf16(&qView, &kView, &vView, &resultView));
        KeepAlive(q, k, v);
        return result;
    }

    /// <summary>In memory a result is ordered as the queries are: heads that were split off a row are rows again at no cost.</summary>
    private static Tensor ResultOf(Tensor q, Tensor v) =>
        q.stride(1) < q.stride(2)
            ? empty([q.size(0), q.size(2), q.size(1), v.size(3)], q.dtype).transpose_(1, 2)
            : empty([q.size(0), q.size(1), q.size(2), v.size(3)], q.dtype);

    /// <summary>The gradients of <see cref="Attention"/>.</summary>
    internal static (Tensor Q, Tensor K, Tensor V) AttentionBackward(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor result,
        Tensor logSum,
        Tensor grad
    )
    {
        Tensor qGrad = empty(q.shape),
            kGrad = empty(k.shape),
            vGrad = empty(v.shape);
        View qView = Libtorch.ViewOf(q),
            kView = Libtorch.ViewOf(k),
            vView = Libtorch.ViewOf(v),
            outView = Libtorch.ViewOf(result);
        View gradView = Libtorch.ViewOf(grad),
            qGradView = Libtorch.ViewOf(qGrad),
            kGradView = Libtorch.ViewOf(kGrad),
            vGradView = Libtorch.ViewOf(vGrad);
        Check(
            sora_attention_backward(
                &qView,
                &kView,
                &vView,
                &outView,
                Libtorch.ViewOf(logSum).Data,
                &gradView,
                &qGradView,
                &kGradView,
                &vGradView
            )
        );
        KeepAlive(q, k, v, result, logSum, grad);
        return (qGrad, kGrad, vGrad);
    }

    /// <summary>Whether <see cref="Convolution"/> is the faster way for these sizes; the padding is smaller than the window.</summary>
    internal static bool ConvolutionPays(Tensor input, Tensor weight, ReadOnlySpan<long> padding, bool trains)
    {
        fixed (long* around = padding)
            return sora_convolution_pays(Libtorch.ViewOf(input).Sizes, Libtorch.ViewOf(weight).Sizes, around, input.dim(), trains ? 1 : 0)
                != 0;
    }

    /// <summary>Convolution of contiguous tensors, <c>[B, C, (T,) H, W]</c>, with unit strides.</summary>
    internal static Tensor Convolution(Tensor input, Tensor weight, Tensor? bias, ReadOnlySpan<long> padding)
    {
        var shape = input.shape;
        shape[1] = weight.size(0);
        for (var i = 2; i < shape.Length; i++)
            shape[i] += 2 * padding[i - 2] - weight.size(i) + 1;
        var result = empty(shape);
        View inputView = Libtorch.ViewOf(input),
            weightView = Libtorch.ViewOf(weight);
        var biasData = bias is null ? null : Libtorch.ViewOf(bias).Data;
        fixed (long* around = padding)
            Check(sora_convolution(&inputView, &weightView, biasData, around, Libtorch.ViewOf(result).Data));
        KeepAlive(input, weight, bias);
        return result;
    }

    /// <summary>The gradient of <see cref="Convolution"/>'s input, of the given shape; the tensors are contiguous.</summary>
    internal static Tensor ConvolutionInputGradient(Tensor grad, Tensor weight, ReadOnlySpan<long> shape, ReadOnlySpan<long> padding)
    {
        var result = empty(shape);
        View gradView = Libtorch.ViewOf(grad),
            weightView = Libtorch.ViewOf(weight);
        fixed (long* around = padding)
            Check(sora_convolution_input_gradient(&gradView, &weightView, around, Libtorch.ViewOf(result).Data));
        KeepAlive(grad, weight);
        return result;
    }

    /// <summary>The gradient of <see cref="Convolution"/>'s weight, of the given shape; the tensors are contiguous.</summary>
    internal static Tensor ConvolutionWeightGradient(Tensor input, Tensor grad, ReadOnlySpan<long> shape, ReadOnlySpan<long> padding)
    {
        var result = empty(shape);
        View inputView = Libtorch.ViewOf(input),
            gradView = Libtorch.ViewOf(grad),
            resultView = Libtorch.ViewOf(result);
        fixed (long* around = padding)
            Check(sora_convolution_weight_gradient(&inputView, &gradView, &resultView, around));
        KeepAlive(input, grad);
        return result;
    }

    /// <summary>SiLU of a norm over channels, of <c>[B, C, T, H, W]</c> tensors whose planes are dense, with a gain <c>[C]</c>.</summary>
    internal static void NormSilu(Tensor input, Tensor gain, Tensor target)
    {
        View inputView = Libtorch.ViewOf(input),
            targetView = Libtorch.ViewOf(target);
        sora_norm_silu(&inputView, Libtorch.ViewOf(gain).Data, &targetView);
        KeepAlive(input, gain, target);
    }

    /// <summary>Bilinear resizing of a contiguous <c>[B, C, H, W]</c> tensor; ends lie on ends.</summary>
    internal static Tensor ResizeBilinear(Tensor input, long height, long width)
    {
        var result = empty([input.size(0), input.size(1), height, width]);
        View inputView = Libtorch.ViewOf(input),
            resultView = Libtorch.ViewOf(result);
        Check(sora_resize_bilinear(&inputView, &resultView));
        KeepAlive(input);
        return result;
    }

    /// <summary>Native code only has pointers: without this, tensors outside dispose scopes could be freed while it computes.</summary>
    private static void KeepAlive(params ReadOnlySpan<Tensor?> tensors)
    {
        foreach (var tensor in tensors)
            GC.KeepAlive(tensor);
    }

    private static void Check(int result)
    {
        if (result != 0)
            throw new InsufficientMemoryException("there is not enough memory for a kernel's workspace");
    }

    /// <summary>Functions of the OpenMP runtime, as Native/cpu.h declares them.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Threads
    {
        public nint Parallel;
        public nint Index;
        public nint Count;
        public nint Most;
    }

    [LibraryImport(Library)]
    private static partial void sora_kernels_start(Threads* threads);

    [LibraryImport(Library)]
    private static partial int sora_kernels_instructions();

    [LibraryImport(Library)]
    private static partial int sora_attention(View* q, View* k, View* v, View* result, float* logSum);

    [LibraryImport(Library)]
    private static partial uint sora_flush_subnormals();

    [LibraryImport(Library)]
    private static partial void sora_set_mode(uint mode);

    [LibraryImport(Library)]
    private static partial int sora_attention_bf16_works();

    [LibraryImport(Library)]
    private static partial int sora_attention_bf16(View* q, View* k, View* v, View* result);

    [LibraryImport(Library)]
    private static partial int sora_attention_backward(
        View* q,
        View* k,
        View* v,
        View* result,
        float* logSum,
        View* grad,
        View* qGrad,
        View* kGrad,
        View* vGrad
    );

    [LibraryImport(Library)]
    private static partial void sora_norm_silu(View* input, float* gain, View* target);

    [LibraryImport(Library)]
    private static partial int sora_resize_bilinear(View* input, View* output);

    [LibraryImport(Library)]
    private static partial int sora_convolution_pays(long* input, long* weight, long* padding, long dims, int trains);

    [LibraryImport(Library)]
    private static partial int sora_convolution(View* input, View* weight, float* bias, long* padding, float* output);

    [LibraryImport(Library)]
    private static partial int sora_convolution_input_gradient(View* grad, View* weight, long* padding, float* inputGradient);

    [LibraryImport(Library)]
    private static partial int sora_convolution_weight_gradient(View* input, View* grad, View* weightGradient, long* padding);
}
