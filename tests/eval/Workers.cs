using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>
/// Threads that each have the model and do a clip at a time: clips are small, and whole ones side by side keep cores
/// busier than several cores on one. Results depend on a clip's number alone.
/// </summary>
internal sealed class Workers : IDisposable
{
    private readonly Subject[] subjects;

    /// <summary>Opens the model once for each thread.</summary>
    public Workers(VideoModel model, int threads) => subjects = [.. Enumerable.Range(0, threads).Select(_ => new Subject(model))];

    /// <summary>Results of 0, 1, … in this order.</summary>
    public T[] Each<T>(string what, int count, Func<Subject, int, T> work)
    {
        var results = new T[count];
        var (next, done, clock) = (-1, 0, System.Diagnostics.Stopwatch.StartNew());
        void Run(Subject subject)
        {
            set_num_threads(1);
            using var noGradients = no_grad();
            for (var i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
            {
                using var scope = NewDisposeScope();
                results[i] = work(subject, i);
                if (Interlocked.Increment(ref done) == count)
                    Console.Error.WriteLine($"eval: {what}: {count} in {clock.Elapsed.TotalSeconds:F0} s");
            }
        }
        var tasks = subjects.Select(subject => Task.Factory.StartNew(() => Run(subject), TaskCreationOptions.LongRunning)).ToArray();
        Task.WhenAll(tasks).GetAwaiter().GetResult();
        return results;
    }

    /// <summary>Frees the models.</summary>
    public void Dispose()
    {
        foreach (var subject in subjects)
            subject.Dispose();
    }
}
