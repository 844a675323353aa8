using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>
/// What the layers of one encoder or decoder remember of one stream of frames: a slot for each layer that looks
/// back in time. Each stream (and each tile of it) has its own.
/// </summary>
internal sealed class StreamMemory : IDisposable
{
    private readonly Dictionary<object, Tensor> slots = new(ReferenceEqualityComparer.Instance);

    /// <summary>True until the first chunk, which is a single frame, has passed the whole network.</summary>
    public bool IsFirstChunk { get; private set; } = true;

    /// <summary>What <paramref name="layer"/> remembers, <c>[B, C, frames, H, W]</c>, or null.</summary>
    public Tensor? Of(object layer) => slots.GetValueOrDefault(layer);

    /// <summary>
    /// Puts the last two frames before <paramref name="x"/> in front of it, zeros where there were none, and
    /// remembers the last two of the result: <c>[B, C, T + 2, H, W]</c>.
    /// </summary>
    public Tensor Extend(object layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        var extended = cat([Before(layer, x), x], 2);
        KeepLast(layer, extended);
        return extended.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// As <see cref="Extend(object, Tensor)"/>, for something like <paramref name="x"/> that <paramref name="fill"/>
    /// writes in place, which saves a copy. Not for gradients.
    /// </summary>
    public Tensor Extend(object layer, Tensor x, Action<Tensor> fill)
    {
        using var scope = NewDisposeScope();
        var frames = x.shape[2];
        var extended = empty([x.shape[0], x.shape[1], frames + 2, x.shape[3], x.shape[4]], x.dtype, x.device);
        extended.narrow(2, 0, 2).copy_(Before(layer, x));
        fill(extended.narrow(2, 2, frames));
        KeepLast(layer, extended);
        return extended.MoveToOuterDisposeScope();
    }

    /// <summary>Remembers a copy of <paramref name="frames"/> instead of what was there.</summary>
    public void Keep(object layer, Tensor frames)
    {
        if (slots.Remove(layer, out var old))
            old.Dispose();
        // A copy, because a view would hold on to the whole chunk.
        slots[layer] = frames.clone().DetachFromDisposeScope();
    }

    /// <summary>The last two frames before <paramref name="x"/>, zeros where there were none.</summary>
    private Tensor Before(object layer, Tensor x)
    {
        var history = Of(layer);
        var missing = 2 - (history?.shape[2] ?? 0);
        if (missing == 0)
            return history!;
        var absent = zeros([x.shape[0], x.shape[1], missing, x.shape[3], x.shape[4]], x.dtype, x.device);
        return history is null ? absent : cat([absent, history], 2);
    }

    private void KeepLast(object layer, Tensor extended) => Keep(layer, extended.narrow(2, extended.shape[2] - 2, 2));

    /// <summary>A chunk has passed the whole network.</summary>
    public void EndChunk() => IsFirstChunk = false;

    public void Dispose()
    {
        foreach (var frames in slots.Values)
            frames.Dispose();
        slots.Clear();
    }
}
