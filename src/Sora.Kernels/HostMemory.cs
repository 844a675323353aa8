using System.Runtime.InteropServices;

namespace Sora.Kernels;

/// <summary>How the C allocator, which tensors on the CPU come from, handles memory.</summary>
public static unsafe partial class HostMemory
{
    // As malloc.h and mman.h number them.
    private const int TrimThreshold = -1;
    private const int TopPad = -2;
    private const int MostMappings = -4;
    private const int HugePages = 14;

    private const int HugePage = 1 << 21;

    /// <summary>
    /// Has glibc keep freed memory for the next tensor, and take it in huge pages. By default it returns a large block to the
    /// system at once and takes another for the next tensor, page after page of zeros: that is most of a large model's time.
    /// Without glibc nothing changes.
    /// </summary>
    internal static void KeepPages()
    {
        if (!HasGlibc)
            return;
        _ = SetOption(MostMappings, 0);
        _ = SetOption(TrimThreshold, -1); // never
        _ = SetOption(TopPad, 64 << 20);
        // The heap grows by a block that nobody has touched yet, and keeps it: small tensors then lie in huge pages too, which
        // libtorch asks for only for large ones.
        const nuint heap = 1 << 30;
        var block = Allocate(HugePage, heap);
        if (block is null)
            return;
        _ = Advise(block, heap, HugePages);
        NativeMemory.Free(block);
    }

    /// <summary>
    /// Starts this process again, with its arguments, unless all of its threads take their memory from one heap. By default
    /// glibc has more heaps for other threads: small ones in small pages, which are returned and taken again all the time. Only
    /// the environment of a new process turns that off. It pays off for hours of tensor work on several threads.
    /// </summary>
    public static void RestartWithOneHeap()
    {
        const string variable = "MALLOC_ARENA_MAX";
        if (!HasGlibc || Environment.GetEnvironmentVariable(variable) is not null)
            return;
        var words = File.ReadAllBytes("/proc/self/cmdline");
        var count = words.AsSpan().Count((byte)0);
        var pointers = stackalloc byte*[count + 1];
        Libtorch.SetEnvironment(variable, "1", 0);
        fixed (byte* text = words)
        {
            for (var (i, at) = (0, 0); i < count; i++)
            {
                pointers[i] = text + at;
                at += words.AsSpan(at).IndexOf((byte)0) + 1;
            }
            pointers[count] = null;
            // It returns only if it failed: then this process goes on as it is.
            _ = Execute("/proc/self/exe", pointers);
        }
    }

    /// <summary>Returns free memory to the system: for between stages whose needs differ.</summary>
    public static void Trim()
    {
        if (HasGlibc)
            _ = GiveBack(0);
    }

    private static bool HasGlibc => NativeLibrary.TryLoad("libc.so.6", out var libc) && NativeLibrary.TryGetExport(libc, "mallopt", out _);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static partial int GiveBack(nint kept);

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc.so.6", EntryPoint = "aligned_alloc")]
    private static partial void* Allocate(nuint alignment, nuint size);

    [LibraryImport("libc.so.6", EntryPoint = "execv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string file, byte** arguments);

    [LibraryImport("libc.so.6", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
