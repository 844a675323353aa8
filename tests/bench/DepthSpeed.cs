using Sora.Models.Depth;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Bench;

/// <summary>Depth Anything V2 Small with random weights at 518x518, in float32 on the CPU.</summary>
internal static class DepthSpeed
{
    private const int Side = 518;

    private static readonly DepthAnythingConfig Small = new()
    {
        Backbone = new DinoV2Config
        {
            HiddenSize = 384,
            NumAttentionHeads = 6,
            ImageSize = Side,
            OutFeatures = [3, 6, 9, 12],
        },
    };

    /// <summary>Prints its rate, and how many times as long it takes as its operations at the matrix product's rate.</summary>
    public static void Report()
    {
        using var scope = NewDisposeScope();
        using var weights = Weights.Initialise(1);
        using var network = new DepthAnything(Small, weights);
        var pixels = randn(1, 3, Side, Side);
        Meter.Report($"Depth Anything V2 Small, {Side} x {Side}", new Work(Flops(), [pixels], () => network.Forward(pixels)));
    }

    /// <summary>Operations of its products, its attention and its convolutions, as they are defined.</summary>
    private static double Flops()
    {
        var (backbone, fused) = (Small.Backbone, Small.FusionHiddenSize);
        double patches = backbone.Grid * backbone.Grid,
            tokens = patches + 1,
            width = backbone.HiddenSize;
        var layer = tokens * width * (4 * width + 2 * backbone.IntermediateSize) + 2 * tokens * tokens * width;
        var products = backbone.NumHiddenLayers * layer + patches * width * 3 * backbone.PatchSize * backbone.PatchSize;
        for (var i = 0; i < Small.NeckHiddenSizes.Count; i++)
        {
            var (channels, factor) = (Small.NeckHiddenSizes[i], Small.ReassembleFactors[i]);
            var side = Math.Ceiling(backbone.Grid * factor);
            // To the map's channels, to its size, and to the channels in which maps are fused.
            products += patches * width * channels;
            products += factor == 1 ? 0 : (factor > 1 ? side * side : 9 * side * side) * channels * channels;
            products += 9 * side * side * channels * fused;
            // Two units of two convolutions, of which the coarsest map has one, and the projection at the next map's size.
            var units = i == Small.NeckHiddenSizes.Count - 1 ? 1 : 2;
            var next = i == 0 ? 2 * side : backbone.Grid * Small.ReassembleFactors[i - 1];
            products += (units * 2 * 9 * side * side + next * next) * fused * fused;
        }
        var finest = 2 * backbone.Grid * Small.ReassembleFactors[0];
        products += 9 * finest * finest * fused * (fused / 2);
        products += (9 * (fused / 2) + 1) * Small.HeadHiddenSize * (double)Side * Side;
        return 2 * products;
    }
}
