using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Sora.Tests.Training;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Providers;

[Collection(nameof(Alone))]
public sealed class ThreadsTests
{
    private const int OpenMP = 2;

    /// <summary>
    /// OpenBLAS over OpenMP gives buffers back without a lock when its count changes, also those that products on other
    /// threads use; it takes the count of the thread that calls it from OpenMP.
    /// </summary>
    [Fact]
    public void AThreadsCountOfThreadsIsNotThatOfAllProducts()
    {
        using var scope = NewDisposeScope();
        eye(4).matmul(eye(4)).Dispose();
        // Where products come from another library, or threads from another, there is nothing to hold.
        if (!NativeLibrary.TryLoad("libopenblas.so.0", out var library)) return;
        if (Function(library, "openblas_get_parallel")() != OpenMP) return;
        var count = Function(library, "openblas_get_num_threads");
        var before = count();
        var (other, own, threads) = (before == 1 ? 2 : 1, 0, get_num_threads());
        var thread = new Thread(() =>
        {
            set_num_threads(other);
            own = get_num_threads();
        });
        thread.Start();
        thread.Join();
        var after = count();
        set_num_threads(threads);
        Assert.Equal(other, own);
        Assert.Equal(before, after);
    }

    /// <summary>OpenBLAS takes a processor that is younger than itself for one of 2004.</summary>
    [Fact]
    public void ProductsUseTheInstructionsOfAnUnknownProcessor()
    {
        using var scope = NewDisposeScope();
        eye(4).matmul(eye(4)).Dispose();
        if (!Avx2.IsSupported || !NativeLibrary.TryLoad("libopenblas.so.0", out var library)) return;
        var kernels = Marshal.PtrToStringUTF8(Marshal.GetDelegateForFunctionPointer<Name>(NativeLibrary.GetExport(library, "openblas_get_corename"))());
        Assert.DoesNotContain(kernels, (string[])["Prescott", "Core2", "Penryn", "Nehalem", "Barcelona", "Sandybridge"]);
        Assert.NotNull(kernels);
    }

    private delegate nint Name();

    private static Func<int> Function(nint library, string name) =>
        Marshal.GetDelegateForFunctionPointer<Count>(NativeLibrary.GetExport(library, name)).Invoke;

    private delegate int Count();
}
