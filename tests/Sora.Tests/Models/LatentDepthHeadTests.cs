using Sora.Models.Depth;
using Sora.Nn;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

public class LatentDepthHeadTests
{
    private static readonly LatentDepthConfig Tiny = new()
    {
        LatentChannels = 2,
        Width = 3,
        NumBlocks = 2,
        FineWidth = 2,
        NumFineBlocks = 1,
        FineFactor = 2,
        SpatialFactor = 4,
        TemporalFactor = 2,
        FirstFrames = 1,
    };

    [Theory]
    [InlineData(true, 5)]
    [InlineData(false, 6)]
    public void TheForwardPassIsItsFormula(bool isStart, int frames)
    {
        using var scope = NewDisposeScope();
        using var head = Head(Tiny, out var weights);
        using var latents = randn([1, 2, 3, 2, 3]);
        var depth = head.Forward(latents, isStart);
        Assert.Equal([1, frames, 8, 12], depth.shape);
        var expected = new Naive(Tiny, weights).Forward(latents, isStart);
        var worst = 0.0;
        for (var f = 0; f < frames; f++)
        for (var y = 0; y < 8; y++)
        for (var x = 0; x < 12; x++)
            worst = Math.Max(worst, Math.Abs(depth[0, f, y, x].ToDouble() - expected[f + (isStart ? 1 : 0), y, x]));
        Assert.InRange(worst, 0, 2e-5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(20)]
    public void PartsGiveTheDepthOfTheWhole(int atOnce)
    {
        using var scope = NewDisposeScope();
        using var head = Head(Tiny, out _);
        using var latents = randn([1, 2, 9, 3, 2]);
        using var whole = head.Forward(latents).clamp_min(0);
        var maps = head.Measure(latents, atOnce, CancellationToken.None).ToList();
        Assert.Equal(17, maps.Count);
        float[] wanted = [.. whole.contiguous().data<float>()],
            parts = [.. maps.SelectMany(map => map.Values)];
        Assert.Contains(wanted, value => value > 0.1);
        Assert.All(wanted.Zip(parts), pair => Assert.InRange(pair.Second - pair.First, -1e-5, 1e-5));
    }

    [Fact]
    public void ALatentFrameDoesNotReachFartherThanItSays()
    {
        using var scope = NewDisposeScope();
        using var head = Head(Tiny, out _);
        using var latents = randn([1, 2, 9, 2, 2]);
        using var before = head.Forward(latents);
        latents[0, .., 4].add_(1);
        using var after = head.Forward(latents);
        using var change = (after - before).abs().amax([0, 2, 3]);
        // Latent frame t holds the frames from 2 t - 1 to 2 t.
        for (var frame = 0; frame < 17; frame++)
        {
            // What is reached by blocks, and the frames beside it.
            var isReached = Enumerable.Range(frame - 1, 3).Any(f => Math.Abs((f + 1) / 2 - 4) <= Tiny.NumBlocks);
            Assert.Equal(isReached, change[frame].ToDouble() > 1e-6);
        }
    }

    [Fact]
    public void ConfigsComeBackAsTheyWereWritten()
    {
        var file = ConfigFile.Parse("config.json", Tiny.ToJson().ToJsonString());
        Assert.Equal(Tiny, LatentDepthConfig.From(file));
    }

    [Theory]
    [InlineData("""{"_class_name": "DPTHead"}""", "unknown depth head DPTHead")]
    [InlineData("""{"_class_name": "LatentDepthHead", "fine_factor": 3}""", "no multiple of fine_factor (3)")]
    [InlineData("""{"_class_name": "LatentDepthHead", "first_frames": 5}""", "first_frames (5) is above scale_factor_temporal (4)")]
    public void WrongConfigsAreNamed(string json, string message)
    {
        var error = Assert.Throws<SoraException>(() => LatentDepthConfig.From(ConfigFile.Parse("config.json", json)));
        Assert.Contains(message, error.Message);
    }

    /// <summary>A head whose every weight is drawn, those that begin as zeros as well.</summary>
    private static LatentDepthHead Head(LatentDepthConfig config, out Weights weights)
    {
        using var off = no_grad();
        weights = Weights.Initialise(1);
        var head = new LatentDepthHead(config, weights);
        manual_seed(2);
        foreach (var weight in weights.Named().Values)
            weight.add_(randn_like(weight) * 0.3).requires_grad_(false);
        return head;
    }

    /// <summary>The network by loops in double precision.</summary>
    private sealed class Naive(LatentDepthConfig config, Weights weights)
    {
        private const double Eps = 1e-6;

        /// <returns>[T frames of a latent, H, W].</returns>
        public double[,,] Forward(Tensor latents, bool isStart)
        {
            var (frames, rows, columns) = ((int)latents.shape[2], (int)latents.shape[3], (int)latents.shape[4]);
            var pictures = new double[frames][,,];
            for (var t = 0; t < frames; t++)
            {
                var given = Filled(
                    config.LatentChannels + 2,
                    rows,
                    columns,
                    (c, y, x) =>
                        c < config.LatentChannels ? latents[0, c, t, y, x].ToDouble()
                        : c == config.LatentChannels ? (2 * x + 1.0) / columns - 1
                        : (2 * y + 1.0) / rows - 1
                );
                pictures[t] = Convolve(given, "conv_in", 0);
                if (isStart && t == 0)
                    pictures[t] = Filled(config.Width, rows, columns, (c, y, x) => pictures[0][c, y, x] + Value("start", c));
            }
            for (var i = 0; i < config.NumBlocks; i++)
                pictures = SpaceTime(pictures, $"blocks.{i}");
            var pixels = config.SpatialFactor / config.FineFactor;
            var result = new double[frames * config.TemporalFactor, rows * config.SpatialFactor, columns * config.SpatialFactor];
            for (var t = 0; t < frames; t++)
            {
                var x = Shuffle(Convolve(pictures[t], "enlarge", 0), config.FineFactor);
                for (var i = 0; i < config.NumFineBlocks; i++)
                    x = Add(x, Fine(x, $"fine_blocks.{i}"));
                x = Shuffle(Convolve(Activated(x, "norm_out"), "conv_out", 1), pixels);
                for (var f = 0; f < config.TemporalFactor; f++)
                for (var row = 0; row < x.GetLength(1); row++)
                for (var column = 0; column < x.GetLength(2); column++)
                    result[t * config.TemporalFactor + f, row, column] = x[f, row, column];
            }
            return Steadied(result, isStart ? config.TemporalFactor - config.FirstFrames : 0);
        }

        /// <summary>The frames from the first one on, each twice and with both neighbours; the ends stay.</summary>
        private static double[,,] Steadied(double[,,] x, int first)
        {
            var last = x.GetLength(0) - 1;
            return Filled(
                last + 1,
                x.GetLength(1),
                x.GetLength(2),
                (f, row, column) =>
                    f <= first || f == last
                        ? x[f, row, column]
                        : 0.25 * x[f - 1, row, column] + 0.5 * x[f, row, column] + 0.25 * x[f + 1, row, column]
            );
        }

        private double[][,,] SpaceTime(double[][,,] pictures, string name)
        {
            var inner = pictures
                .Select(picture =>
                {
                    var x = Activated(picture, $"{name}.norm1");
                    var means = Filled(
                        config.Width,
                        1,
                        1,
                        (c, _, _) =>
                        {
                            var sum = 0.0;
                            for (var row = 0; row < x.GetLength(1); row++)
                            for (var column = 0; column < x.GetLength(2); column++)
                                sum += x[c, row, column];
                            return sum / (x.GetLength(1) * x.GetLength(2));
                        }
                    );
                    var (local, whole) = (Convolve(x, $"{name}.conv1", 1), Convolve(means, $"{name}.whole", 0));
                    return Activated(
                        Filled(config.Width, x.GetLength(1), x.GetLength(2), (c, r, k) => local[c, r, k] + whole[c, 0, 0]),
                        $"{name}.norm2"
                    );
                })
                .ToArray();
            return
            [
                .. pictures.Select(
                    (picture, t) =>
                        Filled(
                            config.Width,
                            picture.GetLength(1),
                            picture.GetLength(2),
                            (c, row, column) =>
                            {
                                var sum = picture[c, row, column] + Value($"{name}.conv2.bias", c);
                                for (var tap = 0; tap < 3; tap++)
                                for (var from = 0; from < config.Width && t + tap - 1 >= 0 && t + tap - 1 < inner.Length; from++)
                                    sum +=
                                        inner[t + tap - 1][from, row, column]
                                        * Value($"{name}.conv2.weight", c, tap * config.Width + from, 0, 0);
                                return sum;
                            }
                        )
                ),
            ];
        }

        private double[,,] Fine(double[,,] x, string name) =>
            Convolve(Activated(Convolve(Activated(x, $"{name}.norm1"), $"{name}.conv1", 1), $"{name}.norm2"), $"{name}.conv2", 1);

        private double[,,] Convolve(double[,,] x, string name, int around)
        {
            var weight = weights.Named()[$"{name}.weight"];
            return Filled(
                (int)weight.shape[0],
                x.GetLength(1),
                x.GetLength(2),
                (c, row, column) =>
                {
                    var sum = Value($"{name}.bias", c);
                    for (var from = 0; from < x.GetLength(0); from++)
                    for (var dy = -around; dy <= around; dy++)
                    for (var dx = -around; dx <= around; dx++)
                        if (row + dy >= 0 && row + dy < x.GetLength(1) && column + dx >= 0 && column + dx < x.GetLength(2))
                            sum += x[from, row + dy, column + dx] * weight[c, from, dy + around, dx + around].ToDouble();
                    return sum;
                }
            );
        }

        private double[,,] Activated(double[,,] x, string name) =>
            Filled(
                x.GetLength(0),
                x.GetLength(1),
                x.GetLength(2),
                (c, row, column) =>
                {
                    var square = Enumerable.Range(0, x.GetLength(0)).Average(i => x[i, row, column] * x[i, row, column]);
                    var y = x[c, row, column] / Math.Sqrt(square + Eps) * Value($"{name}.gamma", c, 0, 0);
                    return y / (1 + Math.Exp(-y));
                }
            );

        /// <summary>Channel c k k + i k + j is row i and column j of channel c.</summary>
        private static double[,,] Shuffle(double[,,] x, int k) =>
            Filled(
                x.GetLength(0) / (k * k),
                x.GetLength(1) * k,
                x.GetLength(2) * k,
                (c, row, column) => x[c * k * k + row % k * k + column % k, row / k, column / k]
            );

        private static double[,,] Add(double[,,] a, double[,,] b) =>
            Filled(a.GetLength(0), a.GetLength(1), a.GetLength(2), (c, row, column) => a[c, row, column] + b[c, row, column]);

        private static double[,,] Filled(int channels, int rows, int columns, Func<int, int, int, double> value)
        {
            var filled = new double[channels, rows, columns];
            for (var c = 0; c < channels; c++)
            for (var row = 0; row < rows; row++)
            for (var column = 0; column < columns; column++)
                filled[c, row, column] = value(c, row, column);
            return filled;
        }

        private double Value(string name, params long[] at)
        {
            using var scope = NewDisposeScope();
            return weights.Named()[name][[.. at.Select(i => TensorIndex.Single(i))]].ToDouble();
        }
    }
}
