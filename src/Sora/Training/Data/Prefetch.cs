using System.Threading.Channels;

namespace Sora.Training;

/// <summary>Makes the batches of the coming steps on another thread. A batch depends on its step alone.</summary>
internal sealed class Prefetch<T> : IDisposable
{
    private readonly Channel<T> channel;
    private readonly CancellationTokenSource stop = new();
    private readonly Task producer;

    public Prefetch(long firstStep, Func<long, T> make, int ahead = 3)
    {
        channel = Channel.CreateBounded<T>(ahead);
        producer = Task.Run(async () =>
        {
            try
            {
                for (var step = firstStep; !stop.IsCancellationRequested; step++)
                    await channel.Writer.WriteAsync(make(step), stop.Token);
            }
            catch (Exception e)
            {
                channel.Writer.TryComplete(e);
            }
        });
    }

    /// <summary>The next step's batch.</summary>
    public T Take(CancellationToken cancellation) => channel.Reader.ReadAsync(cancellation).AsTask().GetAwaiter().GetResult();

    public void Dispose()
    {
        stop.Cancel();
        producer.Wait();
        stop.Dispose();
    }
}
