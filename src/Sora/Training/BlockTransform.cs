using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Fits the linear part of a block VAE: the principal components of the blocks of a source (Karhunen-Loève transform),
/// for first frames and for the groups of four behind them. Of all linear codecs with as many numbers it has the least
/// squared error on what it is fitted to.
/// </summary>
internal static class BlockTransform
{
    private const int ClipsAtOnce = 16;
    private const ulong Seed = 0xb10c_0000_0000;

    /// <summary>Sets the weights of encoder and decoder, and keeps training from changing them.</summary>
    /// <param name="weights">Of the VAE, by name.</param>
    /// <param name="config">Its sizes.</param>
    /// <param name="data">The clips to fit; of stills, only first frames are.</param>
    /// <param name="clips">How many clips in all.</param>
    public static void Fit(IReadOnlyDictionary<string, Tensor> weights, CausalVaeConfig config, TrainingData data, int clips)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var shapes = data.Shapes.Select(s => s.Shape).Distinct().ToArray();
        if (shapes.All(s => s.Frames == 1)) throw SoraException.Usage("this VAE learns from clips", "add a size with 5 or more frames, as in --clips 64x64x9:8");
        var (first, later) = (new Moments(), new Moments());
        foreach (var shape in shapes)
        {
            for (var done = 0; done < clips / shapes.Length; done += ClipsAtOnce)
            {
                using var inner = NewDisposeScope();
                var video = Clips(data.Source, shape, done, Math.Min(ClipsAtOnce, clips / shapes.Length - done));
                var folded = Patches.Fold(video, config.PatchSize);
                first.Add(Blocks.Fold(folded.narrow(2, 0, 1)));
                if (shape.Frames > 1) later.Add(Blocks.Fold(folded.narrow(2, 1, shape.Frames - 1)));
            }
        }
        // A latent of a group stands for four times as many pixels as one of a first frame: at twice the size, an error
        // of the transformer costs a first frame no more than any other.
        Set(weights, "first", first, config.ZDim, Math.Sqrt(1 << config.TemporalDownsample.Count(down => down)));
        Set(weights, "later", later, config.ZDim, 1);
        Freeze(weights);
    }

    /// <summary>Keeps training from changing the transform: latents mean the same from the first step to the last.</summary>
    public static void Freeze(IReadOnlyDictionary<string, Tensor> weights)
    {
        foreach (var (name, weight) in weights)
            if (!name.Contains("refiner")) weight.requires_grad_(false);
    }

    /// <summary>The clips that are fitted from number <paramref name="first"/> on, a multiple of 16: <c>[count, 3, F, H, W]</c>.</summary>
    internal static Tensor Clips(ClipSource source, ClipShape shape, int first, int count) =>
        ClipBatches.Draw(source, shape, Seed + (ulong)first, count).Pixels();

    private static void Set(IReadOnlyDictionary<string, Tensor> weights, string which, Moments moments, int count, double size)
    {
        var (mean, basis) = moments.Principal(count);                            // [n], [count, n]
        void Copy(string name, Tensor value) => weights[name].copy_(value.reshape(weights[name].shape));
        Copy($"encoder.{which}.weight", basis * size);
        Copy($"encoder.{which}.bias", basis.mv(mean) * -size);
        Copy($"decoder.{which}.weight", basis.t() / size);
        Copy($"decoder.{which}.bias", mean);
    }

    /// <summary>Mean and covariance of blocks, added up in double precision.</summary>
    private sealed class Moments
    {
        private Tensor? sum, square;
        private long count;

        /// <param name="blocks"><c>[B, n, t, h, w]</c>.</param>
        public void Add(Tensor blocks)
        {
            var rows = blocks.transpose(0, 1).flatten(1);                        // [n, blocks]
            count += rows.shape[1];
            sum = Added(sum, rows.sum(1));
            square = Added(square, rows.mm(rows.t()));
        }

        /// <summary>The mean and the directions of greatest variance, greatest first, each with its largest entry positive.</summary>
        public (Tensor Mean, Tensor Basis) Principal(int wanted)
        {
            var mean = sum! / count;
            var (_, vectors) = linalg.eigh((square! / count) - outer(mean, mean));
            var basis = vectors.narrow(1, vectors.shape[1] - wanted, wanted).flip(1).t();
            var largest = basis.gather(1, basis.abs().argmax(1, keepdim: true));
            return (mean.to(ScalarType.Float32), (basis * largest.sign()).to(ScalarType.Float32));
        }

        private static Tensor Added(Tensor? total, Tensor part)
        {
            var wide = part.to(ScalarType.Float64);
            if (total is null) return wide.MoveToOuterDisposeScope();
            total.add_(wide);
            return total;
        }
    }
}
