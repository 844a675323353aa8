using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Sora.Kernels;

/// <summary>
/// Frees TorchSharp's scalars late. A number that an operator takes, as in <c>x * 0.5</c>, becomes a scalar of libtorch, which
/// only a finalizer frees. TorchSharp gives the operator its address and no longer refers to it, so that a garbage collection
/// at that moment frees it before libtorch has read it: "Unknown scalar type", or a wrong number.
/// </summary>
/// <remarks>TorchSharp has no place to put this in, so its exported function is replaced, in memory, by one of this class.</remarks>
internal static unsafe partial class ScalarDisposal
{
    // As mman.h numbers them.
    private const int Readable = 1;
    private const int Writable = 2;
    private const int Executable = 4;

    /// <summary>How long a scalar stays: an operator reads its numbers first, and may have to wait for a processor.</summary>
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(10);

    private static readonly Queue<(long Since, nint Scalar)> Waiting = new();

    private static readonly Lock Gate = new();

    /// <summary>Replaces the function; where the system forbids that, TorchSharp's own stays.</summary>
    /// <param name="function">The address of <c>THSTorch_dispose_scalar</c>.</param>
    internal static void Replace(nint function)
    {
        Debug.Assert(RuntimeInformation.ProcessArchitecture == Architecture.X64);
        // mov r11, target; jmp r11
        Span<byte> jump = [0x49, 0xBB, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xFF, 0xE3];
        delegate* unmanaged<nint, void> target = &Dispose;
        MemoryMarshal.Write(jump[2..], (nint)target);

        var page = function & -Environment.SystemPageSize;
        var length = (nuint)(function + jump.Length - page);
        if (Protect(page, length, Readable | Writable | Executable) != 0)
            return;
        jump.CopyTo(new Span<byte>((void*)function, jump.Length));
        _ = Protect(page, length, Readable | Executable);
    }

    /// <remarks>The scalars are numbers, which own nothing: their memory, which operator new took from malloc, is all there is.</remarks>
    [UnmanagedCallersOnly]
    private static void Dispose(nint scalar)
    {
        lock (Gate)
        {
            Waiting.Enqueue((Stopwatch.GetTimestamp(), scalar));
            while (Stopwatch.GetElapsedTime(Waiting.Peek().Since) > Delay)
                NativeMemory.Free((void*)Waiting.Dequeue().Scalar);
        }
    }

    [LibraryImport("libc.so.6", EntryPoint = "mprotect")]
    private static partial int Protect(nint start, nuint length, int protection);
}
