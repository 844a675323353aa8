using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>The sizes of a linear codec.</summary>
/// <param name="Side">Rows and columns of a block.</param>
/// <param name="Frames">Frames of a block.</param>
/// <param name="Components">Numbers that a block becomes.</param>
internal sealed record LinearCodecSize(int Side, int Frames, int Components);

/// <summary>
/// The best linear codec of the same compression as the VAE's, to compare with: principal components of blocks. As in
/// the causal VAE the first frame of a video stands alone, with components of its own, and the others come in groups.
/// </summary>
internal sealed class LinearCodec
{
    private readonly LinearCodecSize size;
    private readonly (Tensor Mean, Tensor Directions) first,
        rest;

    private LinearCodec(LinearCodecSize size, (Tensor, Tensor) first, (Tensor, Tensor) rest) =>
        (this.size, this.first, this.rest) = (size, first, rest);

    /// <summary>Fits the components to videos [1, 3, 1 + k Frames, H, W] in [-1, 1], whose sides Side divides.</summary>
    public static LinearCodec Fit(IEnumerable<Tensor> videos, LinearCodecSize size)
    {
        using var scope = NewDisposeScope();
        var (first, rest) = (new Moments(3 * size.Side * size.Side), new Moments(3 * size.Frames * size.Side * size.Side));
        foreach (var video in videos)
        {
            using var inner = NewDisposeScope();
            first.Add(Blocks(video.narrow(2, 0, 1), size.Side, 1));
            if (video.shape[2] > 1)
                rest.Add(Blocks(video.narrow(2, 1, video.shape[2] - 1), size.Side, size.Frames));
        }
        return new LinearCodec(size, first.Components(size.Components), rest.Components(size.Components));
    }

    /// <summary>A video, shaped as those of <see cref="Fit"/>, after going through the codec; held in [-1, 1].</summary>
    public Tensor Reconstruct(Tensor video)
    {
        using var scope = NewDisposeScope();
        var frames = video.shape[2];
        var start = Through(video.narrow(2, 0, 1), first, 1);
        var all = frames == 1 ? start : cat([start, Through(video.narrow(2, 1, frames - 1), rest, size.Frames)], 2);
        return all.clamp(-1, 1).MoveToOuterDisposeScope();
    }

    private Tensor Through(Tensor video, (Tensor Mean, Tensor Directions) basis, int frames)
    {
        var blocks = Blocks(video, size.Side, frames) - basis.Mean;
        var back = blocks.matmul(basis.Directions).matmul(basis.Directions.mT) + basis.Mean;
        var (groups, height, width) = (video.shape[2] / frames, video.shape[3] / size.Side, video.shape[4] / size.Side);
        return back.view(groups, height, width, 3, frames, size.Side, size.Side).permute(3, 0, 4, 1, 5, 2, 6).reshape(video.shape);
    }

    /// <summary>[N, 3 frames side side] of [1, 3, F, H, W].</summary>
    private static Tensor Blocks(Tensor video, int side, int frames)
    {
        var (groups, height, width) = (video.shape[2] / frames, video.shape[3] / side, video.shape[4] / side);
        return video
            .reshape(3, groups, frames, height, side, width, side)
            .permute(1, 3, 5, 0, 2, 4, 6)
            .reshape(groups * height * width, -1);
    }

    /// <summary>Sums of blocks and of their products.</summary>
    private sealed class Moments(int dimensions)
    {
        private readonly Tensor sum = zeros(dimensions, dtype: float64);
        private readonly Tensor products = zeros(dimensions, dimensions, dtype: float64);
        private long count;

        public void Add(Tensor blocks)
        {
            sum.add_(blocks.sum(0, type: float64));
            products.add_(blocks.mT.matmul(blocks));
            count += blocks.shape[0];
        }

        /// <summary>The mean [D] and the directions [D, K] of greatest variance.</summary>
        public (Tensor Mean, Tensor Directions) Components(int number)
        {
            var mean = sum / count;
            var covariance = products / count - mean.unsqueeze(1) * mean.unsqueeze(0);
            var (_, vectors) = linalg.eigh(covariance); // ascending
            var directions = vectors.narrow(1, dimensions - number, number).to(float32).contiguous();
            return (mean.to(float32).DetachFromDisposeScope(), directions.DetachFromDisposeScope());
        }
    }
}
