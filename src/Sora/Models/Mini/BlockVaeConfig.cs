using Sora.Models.Wan;
using Sora.Nn;

namespace Sora.Models.Mini;

/// <summary>
/// The sizes of the linear transform of blocks, followed by a network that refines pixels (class <c>SoraBlockVae</c>);
/// the decoder's base width and the residual blocks are that network's.
/// </summary>
public sealed record BlockVaeConfig : CausalVaeConfig
{
    /// <summary>What configs call it.</summary>
    internal const string Class = "SoraBlockVae";

    /// <inheritdoc/>
    public override bool DecodesGroups => true;

    /// <summary>How far the refiner's convolutions see.</summary>
    public override int Reach => (2 * NumResBlocks + 1 + Blocks.Side - 1) / Blocks.Side;

    internal override string ClassName => Class;

    internal override IVaeNetwork NewEncoder(Weights weights) => new BlockEncoderNetwork(this, weights);

    internal override IVaeNetwork NewDecoder(Weights weights) => new BlockDecoderNetwork(this, weights);

    private protected override void Check(Action<bool, string> demand)
    {
        base.Check(demand);
        demand(
            SpatialFactor == PatchSize * Blocks.Side && TemporalFactor == Blocks.Frames,
            $"blocks must have {Blocks.Side} folded pixels a side and {Blocks.Frames} frames"
        );
    }
}
