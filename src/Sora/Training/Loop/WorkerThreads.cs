using System.Runtime.ExceptionServices;
using Sora.Kernels;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Independent pieces of work side by side, one per core. A thread for each piece keeps both cores busy where one
/// operator on two threads does not: a step of a small model is thousands of operators of well under a millisecond.
/// </summary>
internal static class WorkerThreads
{
    /// <summary>
    /// Runs <paramref name="work"/> for 0 to <paramref name="count"/> - 1 on at most <paramref name="threads"/> threads.
    /// With one thread, in order, on the caller's; operators then use as many threads as are set.
    /// Subnormal numbers count as zero.
    /// </summary>
    public static void Run(int threads, int count, Action<int> work)
    {
        if (threads <= 1 || count <= 1)
        {
            using var flushed = KernelLibrary.FlushSubnormals();
            for (var i = 0; i < count; i++)
                work(i);
            return;
        }
        var next = -1;
        ExceptionDispatchInfo? failure = null;
        void Take()
        {
            set_num_threads(1);
            using var flushed = KernelLibrary.FlushSubnormals();
            try
            {
                for (int i; (i = Interlocked.Increment(ref next)) < count; )
                    work(i);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(e), null);
            }
        }
        // Not threads of the pool: those would stay limited to one thread of tensor work.
        var others = Enumerable.Range(1, Math.Min(threads, count) - 1).Select(_ => new Thread(Take)).ToArray();
        foreach (var other in others)
            other.Start();
        Take();
        foreach (var other in others)
            other.Join();
        set_num_threads(threads);
        failure?.Throw();
    }
}
