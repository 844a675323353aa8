using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Training;
using Sora.World;
using Xunit;

namespace Sora.Tests.Sampling;

/// <summary>
/// What is left, after decoding, of frames that a result is to show: with the built-in model's VAE, since a random one carries
/// no pictures.
/// </summary>
public class KeptPartTests
{
    private static readonly VideoModel Model = VideoModel.Open(null);

    private static SamplingSettings Settings =>
        ModelDefaults.Of(Model).Settings with
        {
            Prompt = "a red ball rolls left on sand",
            Width = 64,
            Height = 64,
            Frames = 9,
            Steps = 4,
            Guidance = 1,
            Seed = 3,
        };

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    [InlineData(12)]
    public void AKeyframeShowsItsPictureAndItsNeighboursMove(int at)
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var picture = World(1)[0];
        var clip = pipeline.Generate(Settings with { Frames = 13 }, new Conditioning { Stills = [new Still(at, picture, Fit.Stretch)] });
        var frames = Frames(codec, clip);
        Assert.InRange(Psnr(frames[at], picture) - Psnr(RoundTrip(codec, [picture])[0], picture), -2, double.PositiveInfinity);
        Assert.True(Difference(frames[at], frames[at - 1]) > Difference(frames[0], frames[^1]) / 100);
        Assert.NotEqual(frames[at - 1].Pixels, frames[at - 2].Pixels);
    }

    [Theory]
    [InlineData(2, 8)]
    [InlineData(4, 6)]
    public void AKeyframeShowsAPictureThatTheModelMade(int seed, int at)
    {
        // One that its decoder made as a first frame: encoded as such it comes back almost as it was, which is hard to equal.
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var settings = Settings with { Prompt = "a red ball on snow", Frames = 1, Seed = seed, Steps = 8 };
        var picture = Frames(codec, pipeline.Generate(settings, Conditioning.Nothing))[0];
        var clip = pipeline.Generate(
            settings with
            {
                Frames = 17,
                Seed = 3,
            },
            new Conditioning { Stills = [new Still(at, picture, Fit.Stretch)] }
        );
        var frames = Frames(codec, clip);
        Assert.InRange(Psnr(frames[at], picture) - Psnr(RoundTrip(codec, [picture])[0], picture), -2, double.PositiveInfinity);
        var usual = Enumerable.Range(1, 16).Where(i => i < at - 4 || i > at + 4).Max(i => Difference(frames[i], frames[i - 1]));
        foreach (var i in new[] { at, at + 1 })
            Assert.InRange(Difference(frames[i], frames[i - 1]), 0, 2 * usual);
    }

    [Fact]
    public void BeforeAClipTheFrameAtTheSeamIsWithinADecibelOfAPlainRoundTrip()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var settings = Settings with { Width = 128, Height = 128, Frames = 5, Steps = 8 };
        var clip = pipeline.Generate(settings, Conditioning.Nothing);
        var seam = Frames(codec, clip)[0];
        var now = Frames(codec, new ClipJoiner(pipeline, settings, CancellationToken.None).Before(clip, 4));
        Assert.InRange(Psnr(now[4], seam) - Psnr(RoundTrip(codec, [seam])[0], seam), -1, double.PositiveInfinity);
    }

    [Fact]
    public void ARunWithAKeyframeGoesOnBitIdentically()
    {
        using var pipeline = PipelineTests.Open(Model);
        var picture = new Image(64, 64, [.. Enumerable.Range(0, 64 * 64 * 3).Select(i => (byte)(i / 48))]);
        var known = new Conditioning { Stills = [new Still(0, picture, Fit.Stretch), new Still(6, picture, Fit.Stretch)] };
        var whole = pipeline.Generate(Settings, known).FinishedLatents.Data;
        for (var until = 1; until < 4; until++)
        {
            var draft = pipeline.Generate(Settings, known, null, new RunOptions { Until = until });
            Assert.Equal(whole, pipeline.Resume(ClipJoinerTests.Reread(draft)).FinishedLatents.Data);
        }
    }

    [Fact]
    public void BeforeAClipWhatThereWasIsWithinADecibelOfAPlainRoundTrip()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var video = World(9);
        var clip = pipeline.Generate(Settings, Conditioning.Nothing) with { Latents = codec.Encode(video, CancellationToken.None).Latents };
        // Twelve frames are made in two pieces of windows of 13 frames.
        var longer = new ClipJoiner(pipeline, Settings with { Window = 13, Overlap = 5 }, CancellationToken.None).Before(clip, 12);
        var (plain, now) = (Frames(codec, clip), Frames(codec, longer));
        Assert.Equal(21, now.Count);
        Assert.InRange(Psnr(now[12..], video) - Psnr(plain, video), -1, double.PositiveInfinity);
        Assert.InRange(Psnr(now[12], video[0]) - Psnr(plain[0], video[0]), -1, double.PositiveInfinity);
    }

    [Fact]
    public void ALoopEndsWhereItBegins()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var clip = pipeline.Generate(Settings, Conditioning.Nothing);
        var frames = Frames(codec, new ClipJoiner(pipeline, Settings, CancellationToken.None).Loop(clip, 8));
        var steps = Enumerable.Range(1, frames.Count - 1).Select(i => Difference(frames[i], frames[i - 1])).Order().ToList();
        Assert.Equal(17, frames.Count);
        Assert.True(Difference(frames[^1], frames[0]) <= steps[steps.Count / 2]);
    }

    [Fact]
    public void BetweenTwoClipsTheEndsAreFramesOfThem()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var (a, b) = (
            pipeline.Generate(Settings, Conditioning.Nothing),
            pipeline.Generate(Settings with { Seed = 9 }, Conditioning.Nothing)
        );
        var between = new ClipJoiner(pipeline, Settings, CancellationToken.None).Between((a, 6), (b, 3), 8);
        var (frames, from, to) = (Frames(codec, between), Frames(codec, a)[6], Frames(codec, b)[3]);
        Assert.Equal(9, frames.Count);
        Assert.InRange(Psnr(frames[0], from) - Psnr(RoundTrip(codec, [from])[0], from), -1, double.PositiveInfinity);
        Assert.InRange(Psnr(frames[^1], to) - Psnr(RoundTrip(codec, [to])[0], to), -1, double.PositiveInfinity);
    }

    /// <summary>Frames that no VAE made: those of its own decoder it gives back better than any others.</summary>
    internal static List<Image> World(int frames)
    {
        var shape = new ClipShape(64, 64, frames);
        var rgb = new byte[shape.Bytes];
        new WorldSource().Draw(seed: 5, shape, rgb);
        return [.. rgb.Chunk(64 * 64 * 3).Select(frame => new Image(64, 64, frame))];
    }

    private static List<Image> Frames(FrameCodec codec, Clip clip) =>
        [.. codec.Decode(clip.FinishedLatents, LatentSpace.Raw, CancellationToken.None)];

    private static List<Image> RoundTrip(FrameCodec codec, IEnumerable<Image> frames) =>
        [.. codec.Decode(codec.Encode(frames, CancellationToken.None).Latents, LatentSpace.Raw, CancellationToken.None)];

    private static double Difference(Image a, Image b) => a.Pixels.Zip(b.Pixels, (x, y) => Math.Abs(x - y)).Average();

    private static double Psnr(Image a, Image b) => Psnr([a], [b]);

    private static double Psnr(IEnumerable<Image> a, IEnumerable<Image> b) =>
        10
        * Math.Log10(
            255
                * 255
                / a.Zip(b).SelectMany(pair => pair.First.Pixels.Zip(pair.Second.Pixels, (x, y) => (double)(x - y) * (x - y))).Average()
        );
}
