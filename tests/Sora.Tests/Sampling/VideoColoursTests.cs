using Sora.Clips;
using Sora.Eval;
using Sora.Media;
using Sora.Models;
using Sora.Sampling;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Colours of video frames where made ones meet known ones, with the built-in model's VAE.</summary>
public class VideoColoursTests
{
    private const int Frames = 25, Made = 4;

    private static readonly ModelFolder Model = ModelFolder.Open(null);

    [Theory]
    [InlineData(0.06, 1)]
    [InlineData(-0.05, 1.15)]
    [InlineData(0, 0.85)]
    public void The_step_at_a_join_becomes_one_that_is_usual(double level, double contrast)
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, level, contrast, 7);
        var mended = Match(codec, drifted, frame => frame < Made);
        var (before, after) = (Step(codec, drifted, Made), Step(codec, mended, Made));
        Assert.True(Math.Max(before.Mean, before.Deviation) > 2, $"{before}");
        Assert.InRange(after.Mean, 0, 1.2);
        Assert.InRange(after.Deviation, 0, 1.2);
        AssertSame(drifted, mended, 0, Made);
        // What was made moves as it did.
        Assert.InRange(Inside(codec, mended) / Inside(codec, drifted), 0.8, 1.2);
    }

    [Fact]
    public void Between_two_known_parts_neither_end_jumps()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var drifted = Drifted(codec, 0.06, 1.1, 5);
        var mended = Match(codec, drifted, frame => frame is < Made or >= 5);
        foreach (var join in new[] { Made, 5 })
        {
            Assert.InRange(Step(codec, mended, join).Mean, 0, 1.2);
            Assert.True(Step(codec, drifted, join).Mean > 2);
        }
        AssertSame(drifted, mended, 0, Made);
        AssertSame(drifted, mended, 5, 2);
    }

    [Theory]
    [InlineData(-0.6, 1)]
    [InlineData(0, 0.5)]
    public void A_change_of_scene_stays(double level, double contrast)
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var changed = Drifted(codec, level, contrast, 7);
        AssertSame(changed, Match(codec, changed, frame => frame < Made), 0, 7);
    }

    [Fact]
    public void Behind_a_single_frame_nothing_is_changed()
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(Model);
        var clip = Drifted(codec, 0.06, 1, 7);
        AssertSame(clip, Match(codec, clip, frame => frame < 1), 0, 7);
    }

    [Fact]
    public void What_the_model_adds_to_a_clip_follows_without_a_flash()
    {
        using var pipeline = PipelineTests.Open(Model);
        using var codec = FrameCodec.Open(Model);
        var settings = ModelDefaults.Of(Model).Settings with
        {
            Prompt = "a red ball rolls left on sand", Width = 64, Height = 64, Frames = 13, Steps = 4, Guidance = 1, Seed = 3,
        };
        var clip = pipeline.Generate(settings, Conditioning.Nothing) with { Latents = codec.Encode(KeptPartTests.World(13), CancellationToken.None).Latents };
        var longer = new Joins(pipeline, settings, CancellationToken.None).After(clip, 12);
        Assert.Equal(clip.FinishedLatents.Data, TensorIO.ToHost(TensorIO.ToTensor(longer.FinishedLatents).narrow(2, 0, 4)).Data);
        var drift = Changes.Drift([.. codec.Decode(longer.FinishedLatents, LatentSpace.Raw, CancellationToken.None)], 13);
        Assert.InRange(drift.MeanAt / drift.MeanInside, 0, 1.3);
        Assert.InRange(drift.DeviationAt / drift.DeviationInside, 0, 1.3);
    }

    /// <summary>Normalised latents of a clip, of which a part has other levels and contrasts.</summary>
    private static Tensor Drifted(FrameCodec codec, double level, double contrast, int end)
    {
        var frames = KeptPartTests.World(Frames);
        var changed = frames.Select((frame, i) => (i + 3) / 4 is var latent && latent >= Made && latent < end ? Changed(frame, level, contrast) : frame);
        return Model.Vae.Normalise(TensorIO.ToTensor(codec.Encode(changed, CancellationToken.None).Latents));
    }

    private static Image Changed(Image frame, double level, double contrast) => new(frame.Width, frame.Height,
        [.. frame.Pixels.Select(value => (byte)Math.Clamp(127.5 + ((value - 127.5) * contrast) + (127.5 * level), 0, 255))]);

    private static Tensor Match(FrameCodec codec, Tensor latents, Func<int, bool> known)
    {
        var mask = tensor(Enumerable.Range(0, (int)latents.shape[2]).Select(frame => known(frame) ? 1f : 0f).ToArray()).view(1, 1, -1, 1, 1);
        return Continuity.Match(new VideoColours(codec, Model.Vae, latents), mask.expand([1, 1, .. latents.shape[2..]]));
    }

    /// <summary>The change at a latent frame's start over the usual one of the frames known before the first made one.</summary>
    private static (double Mean, double Deviation) Step(FrameCodec codec, Tensor latents, int latent)
    {
        var frames = Decode(codec, latents);
        var known = Enumerable.Range(2, 4 * Made - 5).Select(frame => Changes.Drift([.. frames.Skip(frame - 1).Take(2), frames[0]], 1)).ToList();
        var at = Changes.Drift([.. frames.Skip((4 * latent) - 4).Take(2), frames[0]], 1);
        return (at.MeanAt / known.Average(k => k.MeanAt), at.DeviationAt / known.Average(k => k.DeviationAt));
    }

    private static double Inside(FrameCodec codec, Tensor latents) => Changes.Mean(Decode(codec, latents)[((4 * Made) - 3)..]);

    private static List<Image> Decode(FrameCodec codec, Tensor latents) => [.. codec.Decode(TensorIO.ToHost(latents), LatentSpace.Normalised, CancellationToken.None)];

    private static void AssertSame(Tensor expected, Tensor actual, int start, int count) =>
        Assert.True(expected.narrow(2, start, count).equal(actual.narrow(2, start, count)).all().ToBoolean());
}
