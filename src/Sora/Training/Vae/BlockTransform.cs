using Sora.Models.Mini;
using Sora.Models.Wan;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Fits the linear part of a block VAE: the principal components of the blocks of a source (Karhunen-Loève transform), four
/// frames each, moving and standing still. Of all linear codecs with as many numbers it has the least squared error on what it
/// is fitted to.
/// </summary>
internal static class BlockTransform
{
    private const int ClipsAtOnce = 16;
    private const double Doubt = 0.05;
    private const ulong Seed = 0xb10c_0000_0000;

    /// <summary>Sets the weights of encoder and decoder, and keeps training from changing them.</summary>
    /// <param name="weights">Of the VAE, by name.</param>
    /// <param name="config">Its sizes.</param>
    /// <param name="data">The clips to fit; stills are groups that stand still.</param>
    /// <param name="clips">How many clips in all.</param>
    public static void Fit(IReadOnlyDictionary<string, Tensor> weights, CausalVaeConfig config, TrainingData data, int clips)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var shapes = data.Shapes.Select(s => s.Shape).Distinct().ToArray();
        if (shapes.All(s => s.Frames == 1))
            throw SoraException.Usage(
                "this VAE can't be trained on stills alone",
                "add a size with 5 or more frames, as in --clips 64x64x9:8"
            );
        var (first, later) = (new BlockCovariance(), new BlockCovariance());
        foreach (var shape in shapes)
        {
            for (var done = 0; done < clips / shapes.Length; done += ClipsAtOnce)
            {
                using var inner = NewDisposeScope();
                var video = Clips(data.Source, shape, done, Math.Min(ClipsAtOnce, clips / shapes.Length - done));
                var folded = Patches.Fold(video, config.PatchSize);
                var still = folded.narrow(2, 0, 1);
                first.Add(Blocks.Fold(still));
                later.Add(Blocks.Fold(still.expand(-1, -1, Blocks.Frames, -1, -1)));
                if (shape.Frames > 1)
                    later.Add(Blocks.Fold(folded.narrow(2, 1, shape.Frames - 1)));
            }
        }
        var (basis, variances) = later.Principal(config.ZDim); // [z, n], [z]
        var offset = basis.mv(later.Mean).neg();
        Copy(weights, "encoder.later.weight", basis);
        Copy(weights, "encoder.later.bias", offset);
        Copy(weights, "decoder.later.weight", basis.t());
        Copy(weights, "decoder.later.bias", later.Mean);
        SetFirst(weights, first, (basis.unflatten(1, -1, Blocks.Frames).sum(2), offset), variances);
        Freeze(weights);
    }

    /// <summary>Keeps training from changing the transform: latents mean the same from the first step to the last.</summary>
    public static void Freeze(IReadOnlyDictionary<string, Tensor> weights)
    {
        foreach (var (name, weight) in weights)
            if (!name.Contains("refiner"))
                weight.requires_grad_(false);
    }

    /// <summary>The clips that are fitted from number <paramref name="first"/> on, a multiple of 16: <c>[count, 3, F, H, W]</c>.</summary>
    internal static Tensor Clips(ClipSource source, ClipShape shape, int first, int count) =>
        ClipBatches.Draw(source, shape, Seed + (ulong)first, count).Pixels();

    /// <summary>
    /// A first frame has the latents of a group that stands still, so that a picture is worth the same, and means the same
    /// to the transformer, wherever it is. It is decoded by least squares from them, with as much doubt as a transformer's
    /// error of <see cref="Doubt"/> of each channel's deviation gives: channels of motion say nothing about it.
    /// </summary>
    /// <param name="weights">Of the VAE, by name.</param>
    /// <param name="first">What first frames are like.</param>
    /// <param name="encode">The transform of a frame that stands still for a group, [z, n / 4] and [z].</param>
    /// <param name="variances">Of each channel in groups, [z].</param>
    private static void SetFirst(
        IReadOnlyDictionary<string, Tensor> weights,
        BlockCovariance first,
        (Tensor Basis, Tensor Offset) encode,
        Tensor variances
    )
    {
        var (still, offset) = encode;
        var known = still.mm(first.Covariance).mm(still.t()) + (variances * (Doubt * Doubt)).diag();
        var (squares, directions) = linalg.eigh(known);
        var decode = first.Covariance.mm(still.t()).mm(directions / squares).mm(directions.t());
        Copy(weights, "encoder.first.weight", still);
        Copy(weights, "encoder.first.bias", offset);
        Copy(weights, "decoder.first.weight", decode);
        Copy(weights, "decoder.first.bias", first.Mean - decode.mv(still.mv(first.Mean) + offset));
    }

    private static void Copy(IReadOnlyDictionary<string, Tensor> weights, string name, Tensor value) =>
        weights[name].copy_(value.reshape(weights[name].shape));

    /// <summary>Mean and covariance of blocks, added up in double precision.</summary>
    private sealed class BlockCovariance
    {
        private Tensor? sum,
            square;
        private long count;

        /// <param name="blocks"><c>[B, n, t, h, w]</c>.</param>
        public void Add(Tensor blocks)
        {
            var rows = blocks.transpose(0, 1).flatten(1); // [n, blocks]
            count += rows.shape[1];
            sum = Added(sum, rows.sum(1));
            square = Added(square, rows.mm(rows.t()));
        }

        public Tensor Mean => sum! / count;

        public Tensor Covariance => (square! / count) - outer(Mean, Mean);

        /// <summary>The directions of greatest variance, greatest first, each with its largest entry positive, and the variances.</summary>
        public (Tensor Basis, Tensor Variances) Principal(int wanted)
        {
            var (variances, vectors) = linalg.eigh(Covariance);
            var basis = vectors.narrow(1, vectors.shape[1] - wanted, wanted).flip(1).t();
            var largest = basis.gather(1, basis.abs().argmax(1, keepdim: true));
            return (basis * largest.sign(), variances.narrow(0, variances.shape[0] - wanted, wanted).flip(0));
        }

        private static Tensor Added(Tensor? total, Tensor part)
        {
            var wide = part.to(ScalarType.Float64);
            if (total is null)
                return wide.MoveToOuterDisposeScope();
            total.add_(wide);
            return total;
        }
    }
}
