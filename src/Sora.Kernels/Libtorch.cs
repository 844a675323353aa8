using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Kernels;

/// <summary>
/// How this process uses libtorch: what must be set before it loads, the functions of its C interface that TorchSharp doesn't
/// have, and what it is, for people to read.
/// </summary>
public static unsafe partial class Libtorch
{
    private const string Library = "torch_cpu";

    /// <summary>TorchSharp's native library.</summary>
    private const string Shim = "LibTorchSharp";

    private static readonly Lazy<nint> Loaded = new(Load);

    /// <summary>
    /// Prepares the process; it must run before libtorch is loaded, which reads these variables from the C environment. .NET's
    /// own SetEnvironmentVariable doesn't change that.
    /// </summary>
    public static void Prepare()
    {
        if (!OperatingSystem.IsLinux())
            return;
        // Idle OpenMP threads otherwise spin and take processor time from the other threads at work, ffmpeg's among them.
        SetEnvironment("OMP_WAIT_POLICY", "passive", 0);
        // Large tensors in huge pages: a fresh page of 4 kB costs more time than computing what is stored in it.
        SetEnvironment("THP_MEM_ALLOC_ENABLE", "1", 0);
        HostMemory.KeepPages();
    }

    /// <summary>libtorch's version, such as <c>2.10.0</c>.</summary>
    public static string Version => System.Version.Parse(torch.__version__).ToString(3);

    /// <summary>Whether it is a build for CUDA, with or without a GPU to use.</summary>
    public static bool HasCuda => NativeLibrary.TryLoad("torch_cuda", typeof(Libtorch).Assembly, null, out _);

    /// <summary>
    /// Loads libtorch, if it isn't loaded yet, with as many threads as there are processors. The first operation of a model
    /// does it as well.
    /// </summary>
    public static void Start() => _ = Loaded.Value;

    /// <summary>Begins <see cref="Start"/> on its own thread: models are found and pipes wait in the third of a second it takes.</summary>
    public static void Preload() => new Thread(Start) { IsBackground = true }.Start();

    /// <summary>A function that libtorch exports, or one of the OpenMP runtime that it computes with; 0 where there is none.</summary>
    internal static nint Function(string name) => NativeLibrary.TryGetExport(Loaded.Value, name, out var function) ? function : 0;

    /// <summary>The memory of a tensor on the CPU, with its sizes and strides, which last as long as the tensor.</summary>
    internal static View ViewOf(Tensor tensor)
    {
        Check(DataOf(tensor.Handle, out var data));
        Check(SizesOf(tensor.Handle, out var sizes));
        Check(StridesOf(tensor.Handle, out var strides));
        return new View
        {
            Data = (float*)data,
            Sizes = sizes,
            Strides = strides,
            Dims = tensor.dim(),
        };
    }

    /// <summary>oneDNN's product x w' + b, with GELU by its tanh form on top if asked for; no gradient is recorded.</summary>
    internal static Tensor LinearPointwise(Tensor x, Tensor w, Tensor? b, bool gelu)
    {
        var handle = b?.Handle ?? 0;
        var bias = b is null ? null : &handle;
        fixed (
            byte* tanh = "tanh\0"u8,
                none = "\0"u8,
                activation = gelu ? "gelu\0"u8 : "none\0"u8
        )
        {
            var algorithm = gelu ? tanh : none;
            Check(LinearPointwise(x.Handle, w.Handle, bias, activation, null, 0, &algorithm, out var result));
            GC.KeepAlive(x);
            GC.KeepAlive(w);
            GC.KeepAlive(b);
            return Tensor.UnsafeCreateTensor(result);
        }
    }

    private static void Check(int error)
    {
        if (error != 0)
            throw new InvalidOperationException("libtorch failed; its message is above");
    }

    private static nint Load()
    {
        Prepare();
        // TorchSharp's static constructor finds the libraries and loads them.
        torch.InitializeDeviceType(DeviceType.CPU);
        ScalarDisposal.Replace(NativeLibrary.GetExport(NativeLibrary.Load(Shim, typeof(torch).Assembly, null), "THSTorch_dispose_scalar"));
        if (!NativeLibrary.TryLoad(Library, typeof(Libtorch).Assembly, null, out var library))
            throw new DllNotFoundException("libtorch_cpu can't be loaded: reinstall sora");
        // libtorch's own guess at the processors is 1 in many containers and virtual machines.
        if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null)
            torch.set_num_threads(Environment.ProcessorCount);
        // It is used for few convolutions, and complains on standard error about processors that it doesn't know.
        EnableNnpack(GlobalContext(), false);
        return library;
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport(Library, EntryPoint = "aoti_torch_get_data_ptr")]
    private static partial int DataOf(nint tensor, out void* data);

    [LibraryImport(Library, EntryPoint = "aoti_torch_get_sizes")]
    private static partial int SizesOf(nint tensor, out long* sizes);

    [LibraryImport(Library, EntryPoint = "aoti_torch_get_strides")]
    private static partial int StridesOf(nint tensor, out long* strides);

    [LibraryImport(Library, EntryPoint = "aoti_torch_cpu__linear_pointwise")]
    private static partial int LinearPointwise(
        nint x,
        nint w,
        nint* b,
        byte* activation,
        void* scalars,
        long scalarCount,
        byte** algorithm,
        out nint result
    );

    // Methods of at::Context, which have no C interface.
    [LibraryImport(Library, EntryPoint = "_ZN2at13globalContextEv")]
    private static partial nint GlobalContext();

    [LibraryImport(Library, EntryPoint = "_ZN2at7Context20setUserEnabledNNPACKEb")]
    private static partial void EnableNnpack(nint context, [MarshalAs(UnmanagedType.U1)] bool enabled);
}

/// <summary>A float32 tensor in memory, as Native/kernels.h declares it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct View
{
    public float* Data;
    public long* Sizes;
    public long* Strides;
    public long Dims;
}
