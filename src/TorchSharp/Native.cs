using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TorchSharp;

/// <summary>The C surface of Native/shim.cpp. The library, and libtorch with it, loads at the first call.</summary>
internal static unsafe partial class Native
{
    private const string Library = "torchshim";

    static Native()
    {
        // Idle OpenMP threads otherwise spin and take processor time from the other thread pools at work beside them
        // (BLAS, the video decoder). It must be in the C environment before libgomp starts, so .NET's own
        // SetEnvironmentVariable does not do.
        if (OperatingSystem.IsLinux() || OperatingSystem.IsMacOS()) SetEnvironment("OMP_WAIT_POLICY", "passive", 0);
        // OpenBLAS knows processors by model number, and multiplies with SSE on those that are younger than itself: a fifth of
        // the speed. Its kernels for the instructions that there are serve any of them.
        if (OperatingSystem.IsLinux() && BlasKernels() is { } kernels) SetEnvironment("OPENBLAS_CORETYPE", kernels, 0);
        NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, Resolve);
    }

    private static string? BlasKernels() =>
        Avx512BW.VL.IsSupported && Avx512DQ.VL.IsSupported && Avx512CD.VL.IsSupported ? "SkylakeX"
        : Avx2.IsSupported && Fma.IsSupported ? "Haswell"
        : null;

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library) return 0;
        try
        {
            var library = NativeLibrary.Load(name, assembly, path);
            // libtorch's own guess at the processors is 1 in many containers and virtual machines.
            if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null)
                ((delegate* unmanaged<int, int>)NativeLibrary.GetExport(library, "shim_set_num_threads"))(Environment.ProcessorCount);
            return library;
        }
        catch (DllNotFoundException failure)
        {
            throw new DllNotFoundException(
                "The tensor library cannot be loaded: install libtorch (Debian: libtorch-dev), then build again. "
                + failure.Message, failure);
        }
    }

    /// <summary>The exception that TorchSharp throws for a failure inside libtorch.</summary>
    internal static ExternalException Failure() => new(Marshal.PtrToStringUTF8(shim_error()));

    internal static void Check(int result)
    {
        if (result < 0) throw Failure();
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport(Library)] private static partial nint shim_error();
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint shim_operator(string name, string overload);
    [LibraryImport(Library)]
    internal static partial int shim_call(nint op, NativeValue* arguments, int count, NativeValue** results);

    [LibraryImport(Library)] internal static partial void shim_free(nint tensor);
    [LibraryImport(Library)] internal static partial nint shim_share(nint tensor);
    [LibraryImport(Library)] internal static partial void shim_info(nint tensor, out TensorInfo info);
    [LibraryImport(Library)] internal static partial void shim_sizes(nint tensor, long* sizes);
    [LibraryImport(Library)] internal static partial int shim_strides(nint tensor, long* strides);
    [LibraryImport(Library)] internal static partial int shim_flag(nint tensor, Flag flag);
    [LibraryImport(Library)] internal static partial long shim_storage_offset(nint tensor);
    [LibraryImport(Library)] internal static partial nint shim_data(nint tensor);
    [LibraryImport(Library)]
    internal static partial nint shim_from_blob(nint data, long* sizes, int dims, int dtype, long device,
        delegate* unmanaged<nint, void> free, nint context);

    [LibraryImport(Library)] internal static partial int shim_set_requires_grad(nint tensor, int value);
    [LibraryImport(Library)] internal static partial int shim_grad(nint tensor, out nint grad);
    [LibraryImport(Library)] internal static partial int shim_set_grad(nint tensor, nint grad);
    [LibraryImport(Library)] internal static partial int shim_retain_grad(nint tensor);
    [LibraryImport(Library)]
    internal static partial int shim_backward(nint* tensors, int count, nint* grads, int gradCount, int retainGraph,
        int createGraph, nint* inputs, int inputCount);
    [LibraryImport(Library)]
    internal static partial int shim_autograd_grad(nint* outputs, int count, nint* inputs, int inputCount, nint* grads,
        int gradCount, int retainGraph, int createGraph, int allowUnused, nint* results);

    [LibraryImport(Library)]
    internal static partial int shim_attention(nint query, nint key, nint value, out nint result);
    [LibraryImport(Library)]
    internal static partial int shim_convolution(nint input, nint weight, nint bias, long* padding, int dims, out nint result);

    [LibraryImport(Library)] internal static partial int shim_grad_mode();
    [LibraryImport(Library)] internal static partial void shim_set_grad_mode(int enabled);
    [LibraryImport(Library)] internal static partial int shim_inference_mode();
    [LibraryImport(Library)] internal static partial nint shim_enter_inference_mode(int enabled);
    [LibraryImport(Library)] internal static partial void shim_leave_inference_mode(nint guard);

    [LibraryImport(Library)] internal static partial int shim_num_threads();
    [LibraryImport(Library)] internal static partial int shim_num_interop_threads();
    [LibraryImport(Library)] internal static partial int shim_set_num_threads(int count);
    [LibraryImport(Library)] internal static partial int shim_set_num_interop_threads(int count);

    [LibraryImport(Library)] internal static partial int shim_cuda_device_count();
    [LibraryImport(Library)] internal static partial int shim_has_cudnn();
    [LibraryImport(Library)] internal static partial int shim_cuda_synchronize(int device);
    [LibraryImport(Library)] internal static partial int shim_tf32(int which, int value);

    [LibraryImport(Library)] internal static partial int shim_manual_seed(long seed, int cudaOnly);
    [LibraryImport(Library)] internal static partial nint shim_generator(ulong seed, long device);
    [LibraryImport(Library)] internal static partial nint shim_default_generator();
    [LibraryImport(Library)] internal static partial void shim_generator_free(nint generator);
    [LibraryImport(Library)] internal static partial int shim_generator_seed(nint generator, SeedAction action, ref long seed);
    [LibraryImport(Library)] internal static partial nint shim_generator_state(nint generator);
    [LibraryImport(Library)] internal static partial int shim_generator_set_state(nint generator, nint state);
}

/// <summary>What a <see cref="NativeValue"/> holds; as enum Tag in Native/shim.h.</summary>
internal enum Tag
{
    None, Tensor, Int, Double, Bool, Ints, Doubles, Tensors, OptionalTensors, Device, String, Generator, Default,
}

internal enum Flag { Contiguous, RequiresGrad, Leaf, Inference }

internal enum SeedAction { Read, Set, Randomise }

[StructLayout(LayoutKind.Sequential)]
internal struct NativeValue
{
    public Tag Tag;
    public int Count;
    public long Bits;
}

[StructLayout(LayoutKind.Sequential)]
internal struct TensorInfo
{
    public sbyte Dtype;
    public sbyte DeviceType;
    public sbyte DeviceIndex;
    public sbyte Layout;
    public int Dims;
    public int ElementSize;
    public int Reserved;
    public long Elements;
}
