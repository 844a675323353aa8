namespace Sora.Nn;

/// <summary>
/// The blocks of a network, in the order in which a pass runs them. The first of them stay in memory, ready to compute.
/// The others stay in their files as stored: each is read and widened when it runs, the next one while it computes, and
/// then freed.
/// </summary>
internal sealed class BlockList<T> : IDisposable
    where T : class
{
    private readonly IReadOnlyList<Weights> parts;
    private readonly Func<int, Weights, T> build;
    private readonly T[] kept;
    private Ahead? ahead;

    /// <param name="parts">The weights of each block; how many stay is <see cref="Weights.Kept"/>.</param>
    /// <param name="build">Makes a block over its weights; it gets the block's number too.</param>
    public BlockList(IReadOnlyList<Weights> parts, Func<int, Weights, T> build)
    {
        (this.parts, this.build) = (parts, build);
        kept = [.. parts.Take(parts.Count == 0 ? 0 : parts[0].Kept ?? parts.Count).Select((part, i) => build(i, part))];
    }

    /// <summary>Whether passes follow each other: then the first block, too, is read ahead while the last one computes.</summary>
    public bool Repeats { get; init; }

    /// <summary>The number of blocks.</summary>
    public int Count => parts.Count;

    /// <summary>Reads once what doesn't stay, so that anything missing or broken shows before anything is computed.</summary>
    public void Check()
    {
        for (var i = kept.Length; i < Count; i++)
            Read(i).Dispose();
    }

    /// <summary>What <paramref name="use"/> makes of block <paramref name="index"/>; it must not hold on to the block.</summary>
    public TResult Run<TResult>(int index, Func<T, TResult> use)
    {
        if (index < kept.Length)
            return use(kept[index]);
        using var borrowed = Take(index);
        return use(borrowed.Block);
    }

    /// <summary>Waits for a block that is being read; then the weights may be disposed.</summary>
    public void Dispose()
    {
        ahead?.Drop();
        ahead = null;
    }

    private Borrowed Take(int index)
    {
        var begun = ahead;
        ahead = null;
        if (begun is not null && begun.Index != index)
        {
            begun.Drop();
            begun = null;
        }
        var block = begun is null ? Read(index) : begun.Block.GetAwaiter().GetResult();
        var next = index + 1 < Count ? index + 1 : kept.Length;
        if (next > index || (Repeats && next < index))
            ahead = new Ahead(next, Task.Run(() => Read(next)));
        return block;
    }

    private Borrowed Read(int index)
    {
        var weights = parts[index].Borrow();
        try
        {
            return new Borrowed(build(index, weights), weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>A block that is in memory while it is used.</summary>
    private sealed record Borrowed(T Block, Weights Weights) : IDisposable
    {
        public void Dispose() => Weights.Dispose();
    }

    /// <summary>The block that is being read while another computes.</summary>
    private sealed record Ahead(int Index, Task<Borrowed> Block)
    {
        public void Drop()
        {
            ((IAsyncResult)Block).AsyncWaitHandle.WaitOne();
            // Nobody has asked for it yet; if it couldn't be read, whoever asks gets the error.
            if (Block.IsCompletedSuccessfully)
                Block.Result.Dispose();
        }
    }
}
