using System.Runtime.InteropServices;

namespace Sora.Kernels;

/// <summary>How the C allocator, from which tensors on the CPU come, deals with memory.</summary>
public static partial class HostMemory
{
    // As malloc.h numbers them.
    private const int TrimThreshold = -1;
    private const int TopPad = -2;
    private const int MostMappings = -4;

    /// <summary>
    /// Has glibc keep freed memory for the next tensor. By itself it gives a large block back to the system at once and takes
    /// another one for the next tensor, page after page full of zeros: most of the time of a large model. Elsewhere than on
    /// glibc nothing changes.
    /// </summary>
    internal static void KeepPages()
    {
        if (!NativeLibrary.TryLoad("libc.so.6", out var libc) || !NativeLibrary.TryGetExport(libc, "mallopt", out _)) return;
        SetOption(MostMappings, 0);
        SetOption(TrimThreshold, int.MaxValue);
        SetOption(TopPad, 64 << 20);
    }

    /// <summary>Gives memory that is free back to the system: between stages whose needs differ.</summary>
    public static void Trim()
    {
        if (NativeLibrary.TryLoad("libc.so.6", out var libc) && NativeLibrary.TryGetExport(libc, "malloc_trim", out _)) GiveBack(0);
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static partial int GiveBack(nint kept);
}
