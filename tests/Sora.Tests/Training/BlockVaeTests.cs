using Sora.Models.Mini;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Training;
using Sora.World;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

/// <summary>A block VAE of 8 channels, and 32 clips of the world.</summary>
public sealed class BlockVaeTests : IDisposable
{
    private const int Channels = 8,
        Clips = 32;
    private static readonly ClipShape Shape = ClipShape.Parse("32x32x5");
    private static readonly CausalVaeConfig Config = new BlockVaeConfig
    {
        BaseDim = 16,
        DecoderBaseDim = null,
        ZDim = Channels,
        DimMult = [1, 1, 1],
        NumResBlocks = 1,
        TemporalDownsample = [true, true],
        InChannels = 48,
        OutChannels = 48,
        PatchSize = 4,
        LatentsMean = [.. new double[Channels]],
        LatentsStd = [.. Enumerable.Repeat(1.0, Channels)],
    };

    private readonly Weights weights = Weights.Initialise(3);
    private readonly CausalVae vae;

    public BlockVaeTests() => vae = new CausalVae(Config, weights) { Clamps = false };

    public void Dispose() => weights.Dispose();

    [Fact]
    public void TheUntrainedCodecLeavesWhatNoLinearOneWithAsManyNumbersCanKeep()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        BlockTransform.Fit(Named(), Config, new TrainingData(new WorldSource(), [(Shape, 1)]), Clips);
        var video = Video();
        // What it is fitted to: groups that move, and the same clips standing still.
        var all = cat([video.narrow(2, 1, 4), video.narrow(2, 0, 1).expand(-1, -1, 4, -1, -1)]);
        var back = vae.Decode(vae.Encode(cat([all.narrow(2, 0, 1), all], 2))).narrow(2, 1, 4);
        // By singular values of the centred blocks, cut out here: the squares of all but the largest.
        AssertNear(Rest(all), (back - all).to(float64).square().sum().ToDouble());
    }

    [Fact]
    public void AFirstFrameHasTheLatentsOfAGroupThatStandsStill()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        BlockTransform.Fit(Named(), Config, new TrainingData(new WorldSource(), [(Shape, 1)]), Clips);
        var still = Video().narrow(2, 0, 1);
        var latents = vae.Encode(still.expand(-1, -1, 5, -1, -1));
        var (first, group) = (latents.narrow(2, 0, 1), latents.narrow(2, 1, 1));
        Assert.True((first - group).norm().ToDouble() <= 1e-5 * group.norm().ToDouble());
        // Least squares knows what first frames are like, so it is no further off than the group.
        double Error(int frame) => (vae.Decode(latents).narrow(2, frame, 1) - still).square().mean().ToDouble();
        Assert.InRange(Error(0) / Error(2), 0.5, 1.02);
    }

    [Fact]
    public void AChunkedStreamEqualsTheWhole()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, weight) in weights.Named())
            if (name.Contains("refiner"))
                weight.normal_(0, 0.1);
        var latents = randn([1, Channels, 5, 2, 3]);
        var whole = vae.Decode(latents);
        using var session = vae.NewDecoder();
        var parts = cat(
            [session.Push(latents.narrow(2, 0, 2)), session.Push(latents.narrow(2, 2, 1)), session.Push(latents.narrow(2, 3, 2))],
            2
        );
        Assert.Equal([1, 3, 17, 32, 48], whole.shape);
        Assert.True((parts - whole).norm().ToDouble() <= 1e-6 * whole.norm().ToDouble());
    }

    [Fact]
    public void OnlyTheRefinerLearns()
    {
        using var scope = NewDisposeScope();
        BlockTransform.Freeze(Named());
        vae.Decode(vae.Encode(Video())).square().mean().backward();
        foreach (var (name, weight) in weights.Named())
            Assert.Equal(name.Contains("refiner"), weight.requires_grad);
        Assert.True(Named()["decoder.refiner.out_later.weight"].grad!.abs().sum().ToDouble() > 0);
    }

    private static Tensor Video() =>
        cat([BlockTransform.Clips(new WorldSource(), Shape, 0, 16), BlockTransform.Clips(new WorldSource(), Shape, 16, 16)]);

    private static double Rest(Tensor video)
    {
        var blocks = video.reshape(2 * Clips, 3, 4, 2, 16, 2, 16).permute(0, 3, 5, 1, 2, 4, 6).reshape(2 * Clips * 4, -1).to(float64);
        blocks -= blocks.mean([0], keepdim: true);
        var (squares, _) = linalg.eigh(blocks.mm(blocks.t())); // of the smaller Gram matrix, ascending
        return squares.narrow(0, 0, squares.shape[0] - Channels).sum().ToDouble();
    }

    private static void AssertNear(double expected, double actual) => Assert.InRange(actual / expected, 1 - 1e-3, 1 + 1e-3);

    private Dictionary<string, Tensor> Named() => weights.Named().ToDictionary(p => p.Key, p => p.Value);
}
