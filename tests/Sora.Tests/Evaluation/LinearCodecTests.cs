using Sora.Eval;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Evaluation;

public class LinearCodecTests
{
    private const int Side = 2,
        Frames = 2,
        Components = 3;

    [Fact]
    public void ReconstructsAsPrincipalComponentsInFloat64()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        // Smooth in time, so that few components tell most; five frames: one, and two groups of two.
        var videos = Enumerable
            .Range(0, 6)
            .Select(_ => (randn([1L, 3, 5, 8, 6]) * 0.1 + randn([1L, 3, 1, 8, 6]) * 0.3).clamp(-1, 1))
            .ToArray();
        var back = LinearCodec.Fit(videos, new LinearCodecSize(Side, Frames, Components)).Reconstruct(videos[0]);

        var first = Blocks(videos, 0, 1, 1);
        var rest = Blocks(videos, 1, 5, Frames);
        var wanted = Assemble(Project(first, Blocks([videos[0]], 0, 1, 1)), Project(rest, Blocks([videos[0]], 1, 5, Frames)));
        for (var c = 0; c < 3; c++)
        for (var f = 0; f < 5; f++)
        for (var y = 0; y < 8; y++)
        for (var x = 0; x < 6; x++)
            Assert.Equal(wanted[c, f, y, x], back[0, c, f, y, x].ToSingle(), 1e-4);
    }

    [Fact]
    public void KeepsEverythingWithAllComponents()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var videos = Enumerable.Range(0, 40).Select(_ => rand([1L, 3, 3, 4, 4]) * 2 - 1).ToArray();
        var back = LinearCodec.Fit(videos, new LinearCodecSize(Side: 2, Frames: 1, Components: 12)).Reconstruct(videos[1]);
        Assert.InRange((back - videos[1]).abs().max().ToDouble(), 0, 1e-4);
    }

    /// <summary>Blocks in the order group, row, column; inside channel, frame, row, column.</summary>
    private static List<double[]> Blocks(Tensor[] videos, int from, int to, int frames)
    {
        var blocks = new List<double[]>();
        foreach (var video in videos)
        {
            var values = video.data<float>().ToArray();
            for (var g = from; g < to; g += frames)
            for (var y = 0; y < 8; y += Side)
            for (var x = 0; x < 6; x += Side)
                blocks.Add([
                    .. from c in Enumerable.Range(0, 3)
                    from f in Enumerable.Range(g, frames)
                    from j in Enumerable.Range(y, Side)
                    from i in Enumerable.Range(x, Side)
                    select (double)values[((c * 5 + f) * 8 + j) * 6 + i],
                ]);
        }
        return blocks;
    }

    /// <summary>Projects blocks onto the leading eigenvectors of the covariance of others: power iteration with deflation.</summary>
    private static List<double[]> Project(List<double[]> fitted, List<double[]> blocks)
    {
        var n = fitted[0].Length;
        var mean = Enumerable.Range(0, n).Select(i => fitted.Average(block => block[i])).ToArray();
        var covariance = new double[n, n];
        foreach (var block in fitted)
            for (var i = 0; i < n; i++)
            for (var j = 0; j < n; j++)
                covariance[i, j] += (block[i] - mean[i]) * (block[j] - mean[j]) / fitted.Count;
        var result = blocks.Select(_ => mean.ToArray()).ToList();
        for (var k = 0; k < Components; k++)
        {
            var v = Enumerable.Range(0, n).Select(i => 1 + Math.Sin(i + 7.0 * k)).ToArray();
            double value = 0;
            for (var step = 0; step < 20_000; step++)
            {
                var w = Enumerable.Range(0, n).Select(i => Enumerable.Range(0, n).Sum(j => covariance[i, j] * v[j])).ToArray();
                value = Math.Sqrt(w.Sum(x => x * x));
                var next = w.Select(x => x / value).ToArray();
                var moved = next.Zip(v, (a, b) => Math.Abs(a - b)).Max();
                v = next;
                if (moved < 1e-12)
                    break;
            }
            for (var i = 0; i < n; i++)
            for (var j = 0; j < n; j++)
                covariance[i, j] -= value * v[i] * v[j];
            foreach (var (block, sum) in blocks.Zip(result))
            {
                var weight = Enumerable.Range(0, n).Sum(i => (block[i] - mean[i]) * v[i]);
                for (var i = 0; i < n; i++)
                    sum[i] += weight * v[i];
            }
        }
        return result;
    }

    private static double[,,,] Assemble(List<double[]> first, List<double[]> rest)
    {
        var video = new double[3, 5, 8, 6];
        void Put(List<double[]> blocks, int from, int to, int frames)
        {
            var next = 0;
            for (var g = from; g < to; g += frames)
            for (var y = 0; y < 8; y += Side)
            for (var x = 0; x < 6; x += Side, next++)
            for (var i = 0; i < blocks[next].Length; i++)
                video[i / (frames * 4), g + i / 4 % frames, y + i / 2 % 2, x + i % 2] = Math.Clamp(blocks[next][i], -1, 1);
        }
        Put(first, 0, 1, 1);
        Put(rest, 1, 5, Frames);
        return video;
    }
}
