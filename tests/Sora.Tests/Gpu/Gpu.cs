using System.Runtime.InteropServices;
using Sora.Kernels;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Gpu;

/// <summary>A test that needs an NVIDIA GPU and a build for CUDA: skipped elsewhere, run by tests/gpu.sh.</summary>
internal sealed class GpuTheoryAttribute : TheoryAttribute
{
    public GpuTheoryAttribute() => Skip = Cuda.Missing;
}

/// <inheritdoc cref="GpuTheoryAttribute"/>
internal sealed class GpuFactAttribute : FactAttribute
{
    public GpuFactAttribute() => Skip = Cuda.Missing;
}

/// <summary>The first GPU.</summary>
internal static unsafe partial class Cuda
{
    private const int RaiseError = 2;

    public static readonly Device First = new(DeviceType.CUDA, 0);

    /// <summary>Why there is none, or null.</summary>
    public static string? Missing => Libtorch.HasCuda && cuda.is_available() ? null : "no NVIDIA GPU, or no build for CUDA";

    /// <summary>Runs something in which every wait for the GPU, as for a copy to the host, throws.</summary>
    public static void WithoutWaiting(Action work)
    {
        // c10::cuda::WarningState begins with its mode.
        var mode = WarningState();
        var before = *mode;
        *mode = RaiseError;
        try
        {
            work();
        }
        finally
        {
            *mode = before;
        }
    }

    [LibraryImport("c10_cuda", EntryPoint = "_ZN3c104cuda13warning_stateEv")]
    private static partial int* WarningState();
}
