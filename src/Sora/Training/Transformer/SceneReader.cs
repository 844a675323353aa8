using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Predicts from the tokens in the middle of a transformer what is where in the clip, as its source describes it. The network
/// then has to settle early what its objects are, which the error of latents hardly shows. Networks whose middle has to know
/// what is drawn learn to draw many times faster (Yu et al. 2024, "Representation alignment for generation"; there the target
/// comes from a pretrained encoder). The finished model doesn't contain it.
/// </summary>
internal sealed class SceneReader
{
    /// <summary>
    /// Updates in which a new reader of a network that is trained further learns alone: at first it gets everything wrong, which
    /// would make the network forget what it knows.
    /// </summary>
    private const int UpdatesAlone = 250;

    private readonly Linear inner,
        outer;
    private readonly Linear? text;

    /// <param name="transformer">Sizes of the transformer.</param>
    /// <param name="weights">The reader's own.</param>
    /// <param name="descriptors">How many numbers a place is described by.</param>
    /// <param name="share">Weight of its error; that of the latents is 1.</param>
    /// <param name="things">How many numbers describe a thing that a caption mentions; 0: it isn't known what captions mention.</param>
    public SceneReader(WanTransformerConfig transformer, Weights weights, int descriptors, double share, int things)
    {
        (Weights, Share, Block) = (weights, share, (transformer.NumLayers - 1) / 2);
        inner = new(weights.Scope("proj_in"), transformer.Dim, transformer.Dim);
        outer = new(weights.Scope("proj_out"), transformer.Dim, descriptors);
        text = things > 0 ? new(weights.Scope("text_proj_out"), transformer.TextDim, things) : null;
    }

    public Weights Weights { get; }

    /// <summary>Whether it also predicts, from the rows of marks before a caption, what the caption mentions.</summary>
    public bool ReadsText => text is not null;

    public double Share { get; }

    /// <summary>The block whose tokens it reads.</summary>
    public int Block { get; }

    /// <summary>Whether the network has been trained before.</summary>
    public bool ComesLater { get; init; }

    /// <summary>What it reads in tokens <c>[B, L, dim]</c> in an update: <c>[B, L, descriptors]</c>.</summary>
    public Tensor Read(Tensor tokens, long step)
    {
        if (ComesLater && step < UpdatesAlone)
            tokens = tokens.detach();
        return outer.Forward(nn.functional.silu(inner.Forward(nn.functional.layer_norm(tokens, [tokens.shape[^1]]))));
    }

    /// <summary>What it reads in the rows <c>[B, marks, text_dim]</c> of captions' marks: <c>[B, marks, things]</c>.</summary>
    public Tensor ReadText(Tensor rows) => text!.Forward(rows);
}
