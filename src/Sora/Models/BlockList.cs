using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>
/// The blocks of a transformer, in the order in which a pass runs them. The first of them stay in memory, ready to compute.
/// The others stay in their files as they are stored: each is read and widened when it runs, the next one while it computes,
/// and freed then.
/// </summary>
internal sealed class BlockList : IDisposable
{
    private readonly WanTransformerConfig config;
    private readonly IReadOnlyList<Weights> parts;
    private readonly (WanBlock Block, TextKeys Text)[] kept;
    private Ahead? ahead;

    /// <param name="config">Sizes.</param>
    /// <param name="parts">The weights of each block.</param>
    /// <param name="keep">Blocks that stay in memory; null: all of them.</param>
    public BlockList(WanTransformerConfig config, IReadOnlyList<Weights> parts, int? keep)
    {
        (this.config, this.parts) = (config, parts);
        kept = [.. parts.Take(keep ?? parts.Count).Select(part => (new WanBlock(config, part), new TextKeys(config, part)))];
        // The rest is read once now, so that what is missing or broken is known before anything is computed.
        foreach (var part in parts.Skip(kept.Length))
        {
            using var borrowed = part.Borrow();
            _ = (new WanBlock(config, borrowed), new TextKeys(config, borrowed));
        }
    }

    /// <summary>What every block's cross attention has for a text and an image.</summary>
    public IReadOnlyList<CrossAttention.Memory> Embed(TextRows text, Tensor? image) =>
        [.. Enumerable.Range(0, parts.Count).Select(i => Embed(i, text, image))];

    /// <summary>A pass of tokens <c>[B, L, dim]</c> through block <paramref name="index"/>; see <see cref="WanBlock.Forward"/>.</summary>
    public Tensor Run(int index, Tensor x, PassContext context, Trace trace = default)
    {
        var own = new BlockContext(context.Time, context.Text[index], context.Rotary);
        if (index < kept.Length) return kept[index].Block.Forward(x, own, trace);
        using var borrowed = Take(index);
        return borrowed.Block.Forward(x, own, trace);
    }

    /// <summary>Waits for a block that is being read: the weights may be disposed then.</summary>
    public void Dispose()
    {
        ahead?.Drop();
        ahead = null;
    }

    private CrossAttention.Memory Embed(int index, TextRows text, Tensor? image)
    {
        if (index < kept.Length) return kept[index].Text.Embed(text, image);
        using var borrowed = parts[index].Borrow();
        return new TextKeys(config, borrowed).Embed(text, image);
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
        var block = begun is null ? new Borrowed(config, parts[index]) : begun.Block.GetAwaiter().GetResult();
        // Behind the last one comes the first of the next pass.
        var next = index + 1 < parts.Count ? index + 1 : kept.Length;
        if (next != index) ahead = new Ahead(next, Task.Run(() => new Borrowed(config, parts[next])));
        return block;
    }

    /// <summary>A block that is in memory for one pass.</summary>
    private sealed class Borrowed : IDisposable
    {
        private readonly Weights weights;

        public Borrowed(WanTransformerConfig config, Weights lender)
        {
            weights = lender.Borrow();
            try
            {
                Block = new WanBlock(config, weights);
            }
            catch
            {
                weights.Dispose();
                throw;
            }
        }

        public WanBlock Block { get; }

        public void Dispose() => weights.Dispose();
    }

    /// <summary>The block that is being read while another computes.</summary>
    private sealed record Ahead(int Index, Task<Borrowed> Block)
    {
        public void Drop()
        {
            ((IAsyncResult)Block).AsyncWaitHandle.WaitOne();
            // Nobody asked for it: if it couldn't be read, that is said when somebody does.
            if (Block.IsCompletedSuccessfully) Block.Result.Dispose();
        }
    }
}
