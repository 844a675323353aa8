using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Runs of a tiny Wan 2.2 model of random weights: what must hold whatever the model shows.</summary>
public class ClipJoinerTests
{
    private static readonly VideoModel Model = VideoModel.Open(Golden.Path("models", "wan22-ti2v"));

    internal static SamplingSettings Settings =>
        ModelDefaults.Of(Model).Settings with
        {
            Prompt = "a cat",
            Width = 32,
            Height = 32,
            Frames = 9,
            Fps = 8,
            Steps = 2,
            Guidance = 1,
            TextLength = 16,
            Seed = 3,
            Window = 33,
            Overlap = 9,
        };

    public static TheoryData<string> Samplers => ["euler", "heun", "unipc", "dpm++", "dpm++-sde", "lcm"];

    /// <summary>Three windows of four latent frames.</summary>
    private static SamplingSettings InWindows => Settings with { Frames = 25, Window = 13, Overlap = 5 };

    [Theory]
    [MemberData(nameof(Samplers))]
    public void GoingOnIsBitIdenticalToNotStopping(string sampler)
    {
        using var pipeline = PipelineTests.Open(Model);
        var settings = Settings with { Sampler = sampler, Steps = 4 };
        var whole = pipeline.Generate(settings, Conditioning.Nothing);
        var draft = pipeline.Generate(settings, Conditioning.Nothing, null, new RunOptions { Until = 2 });
        Assert.True(draft.IsUnfinished);
        Assert.Equal(whole.FinishedLatents.Shape, draft.Tensors["noise_estimate"].Shape);
        var end = pipeline.Resume(Reread(draft));
        AssertFinishedAs(whole, end);
    }

    [Fact]
    public void ARunWithAPictureGoesOnBitIdentically()
    {
        using var pipeline = PipelineTests.Open(Model);
        var known = new Conditioning
        {
            Stills = [new Still(0, new Image(32, 32, [.. Enumerable.Range(0, 3072).Select(i => (byte)(i * 7))]), Fit.Stretch)],
        };
        var whole = pipeline.Generate(Settings, known);
        var draft = pipeline.Generate(Settings, known, null, new RunOptions { Until = 1 });
        Assert.Equal(whole.FinishedLatents.Data, pipeline.Resume(Reread(draft)).FinishedLatents.Data);
    }

    [Fact]
    public void ASeedGivesTheSameClipInAnyOrderAndAnotherSeedAnother()
    {
        using var pipeline = PipelineTests.Open(Model);
        byte[] Of(long seed) => pipeline.Generate(Settings with { Seed = seed }, Conditioning.Nothing).FinishedLatents.Data;
        var (three, four) = (Of(3), Of(4));
        Assert.NotEqual(three, four);
        using var other = PipelineTests.Open(Model);
        Assert.Equal(four, other.Generate(Settings with { Seed = 4 }, Conditioning.Nothing).FinishedLatents.Data);
        Assert.Equal(three, Of(3));
    }

    /// <summary>With four frames each, clips of five latent frames, and an overlap of three.</summary>
    [Fact]
    public void ThePlanCountsWhatIsSeenAndMade()
    {
        var lengths = new JoinLengths(Model, Settings);
        Assert.Equal(1 + (6 * 4), lengths.After(17, 8));
        Assert.Equal(1 + ((2 + 3) * 4), lengths.Before(17, 8));
        Assert.Equal(1 + (2 * 4), lengths.Before(1, 8));
        Assert.Equal(1 + ((2 + 2 + 3) * 4), lengths.Loop(17, 8));
        Assert.Equal(1 + ((3 + 2 + 3) * 4), lengths.Between(17, 17, 8));
        Assert.Equal(1 + ((0 + 2 + 1) * 4), lengths.Between(1, 5, 5));
        Assert.Equal(int.MaxValue, lengths.After(17, int.MaxValue));
        using var pipeline = PipelineTests.Open(Model);
        var old = pipeline.Generate(Settings with { Frames = 17 }, Conditioning.Nothing);
        var shapes = new List<long>();
        new ClipJoiner(pipeline, Settings, CancellationToken.None).After(
            old,
            8,
            new RunOptions { Checkpoint = now => shapes.Add(now.Tensors["noise_latents"].Shape[2]) }
        );
        Assert.All(shapes, latents => Assert.Equal(lengths.After(17, 8), ((latents - 1) * 4) + 1));
    }

    [Fact]
    public void WindowsAreOneWindowWhenItFits()
    {
        using var scope = NewDisposeScope();
        using var pipeline = PipelineTests.Open(Model);
        var whole = pipeline.Generate(Settings, Conditioning.Nothing).FinishedLatents.Data;
        Assert.Equal(whole, pipeline.ToRaw(new SlidingWindows(pipeline, Settings).Fill(Conditioning.Nothing)).Data);
    }

    [Fact]
    public void AVideoLongerThanAWindowHasTheFirstWindowOfAShorterOne()
    {
        using var pipeline = PipelineTests.Open(Model);
        var settings = Settings with { Window = 9, Overlap = 5 };
        var shorter = pipeline.Generate(settings, Conditioning.Nothing);
        var longer = pipeline.Generate(settings with { Frames = 25 }, Conditioning.Nothing);
        Assert.Equal([1, 24, 7, 2, 2], longer.FinishedLatents.Shape);
        AssertSameFrames(shorter, 0, longer, 0, 3);
        Assert.All(longer.FinishedLatents.ToFloats(), value => Assert.True(float.IsFinite(value)));
    }

    [Theory]
    [MemberData(nameof(Samplers))]
    public void AVideoInWindowsGoesOnBitIdenticallyFromEveryCall(string sampler)
    {
        using var pipeline = PipelineTests.Open(Model);
        var settings = InWindows with { Sampler = sampler };
        var kept = new List<Clip>();
        var whole = pipeline.Generate(settings, Conditioning.Nothing, null, new RunOptions { Checkpoint = clip => kept.Add(Reread(clip)) });
        // Latent frames 0-4, 2-6 and 3-7.
        Assert.Equal(3 * pipeline.CallsOf(settings), kept.Count);
        Assert.Equal(
            "1 of " + pipeline.CallsOf(settings) + " model calls of window 2 of 3",
            SamplingCheckpoint.HowFar(kept[pipeline.CallsOf(settings)])
        );
        foreach (var clip in kept)
            Assert.Equal(whole.FinishedLatents.Data, pipeline.Resume(clip).FinishedLatents.Data);
    }

    [Fact]
    public void StepsCountOverAllWindows()
    {
        using var pipeline = PipelineTests.Open(Model);
        var whole = pipeline.Generate(InWindows, Conditioning.Nothing);
        var stopped = Reread(pipeline.Generate(InWindows, Conditioning.Nothing, null, new RunOptions { Until = 2 }));
        // Two steps are the first window, whose four latent frames are seen as they stay.
        AssertSameFrames(whole, 0, stopped with { Latents = stopped.VisibleLatents }, 0, 4);
        Assert.Equal(4, stopped.VisibleLatents.Shape[2]);
        stopped = Reread(pipeline.Resume(stopped, new RunOptions { Until = 3 }));
        Assert.Equal(6, stopped.VisibleLatents.Shape[2]);
        Assert.Throws<SoraException>(() => pipeline.Resume(stopped, new RunOptions { Until = 3 }));
        var end = pipeline.Resume(stopped, new RunOptions { Until = 6 });
        AssertFinishedAs(whole, end);
    }

    [Fact]
    public void WindowsTakeTheirPartsOfGivenNoise()
    {
        using var pipeline = PipelineTests.Open(Model);
        var whole = pipeline.Generate(InWindows, Conditioning.Nothing);
        var noise = HostTensor.FromFloats(Noise.Normal((ulong)InWindows.Seed, 0, (24, 7, 2, 2)), [1, 24, 7, 2, 2]);
        Assert.Equal(
            whole.FinishedLatents.Data,
            pipeline.Generate(InWindows with { Seed = 8 }, Conditioning.Nothing, noise).FinishedLatents.Data
        );
    }

    [Fact]
    public void InWindowsAClipIsChangedFromWhatItWas()
    {
        using var scope = NewDisposeScope();
        using var pipeline = PipelineTests.Open(Model);
        var clip = pipeline.Generate(InWindows, Conditioning.Nothing);
        var same = pipeline.Generate(InWindows with { Seed = 8, Strength = 0 }, new Conditioning { Known = pipeline.Normalised(clip) });
        Assert.All(
            clip.FinishedLatents.ToFloats().Zip(same.FinishedLatents.ToFloats()),
            pair => Assert.Equal(pair.First, pair.Second, 1e-5)
        );
    }

    [Fact]
    public void AClipThatGoesOnAndOneWithARegionResumeBitIdentically()
    {
        using var scope = NewDisposeScope();
        using var pipeline = PipelineTests.Open(Model);
        var clip = pipeline.Generate(Settings, Conditioning.Nothing);
        foreach (var settings in (SamplingSettings[])[Settings, InWindows])
        {
            var kept = new List<Clip>();
            var watched = new RunOptions { Checkpoint = now => kept.Add(Reread(now)) };
            var longer = new ClipJoiner(pipeline, settings, CancellationToken.None).After(clip, 16, watched);
            Assert.All(kept, now => Assert.Equal(longer.FinishedLatents.Data, pipeline.Resume(now).FinishedLatents.Data));
            Assert.Equal(longer.Info, pipeline.Resume(kept[0]).Info);
            kept.Clear();
            var outside = new Conditioning
            {
                Known = pipeline.Normalised(longer),
                Exact = pipeline.Raw(longer),
                Mask = new Region { Time = (9, 20) }.Known(settings with { Frames = 25 }, Model.Geometry, Model.TokenSize),
            };
            var changed = pipeline.Generate(settings with { Frames = 25, Seed = 8 }, outside, null, watched);
            AssertSameFrames(longer, 0, changed, 0, 3);
            AssertSameFrames(longer, 6, changed, 6, 1);
            Assert.All(kept, now => Assert.Equal(changed.FinishedLatents.Data, pipeline.Resume(now).FinishedLatents.Data));
        }
    }

    [Fact]
    public void AClipThatIsContinuedKeepsItsLatents()
    {
        using var pipeline = PipelineTests.Open(Model);
        var clip = pipeline.Generate(Settings, Conditioning.Nothing);
        var longer = new ClipJoiner(pipeline, Settings, CancellationToken.None).After(clip, 7);
        Assert.Equal([1, 24, 5, 2, 2], longer.FinishedLatents.Shape);
        Assert.Equal(17, longer.Info.Frames);
        AssertSameFrames(clip, 0, longer, 0, 3);
    }

    [Fact]
    public void ExtendingTwiceInWindowsKeepsWhatThereWas()
    {
        using var pipeline = PipelineTests.Open(Model);
        var joins = new ClipJoiner(pipeline, Settings with { Window = 13, Overlap = 5 }, CancellationToken.None);
        var longer = joins.After(pipeline.Generate(Settings, Conditioning.Nothing), 16);
        var longest = joins.After(longer, 16);
        Assert.Equal(11, longest.FinishedLatents.Shape[2]);
        AssertSameFrames(longer, 0, longest, 0, 7);
    }

    [Fact]
    public void BeforeAClipAndInALoopTheLengthsAddUp()
    {
        using var pipeline = PipelineTests.Open(Model);
        var joins = new ClipJoiner(pipeline, Settings, CancellationToken.None);
        var clip = pipeline.Generate(Settings, Conditioning.Nothing);
        Assert.Equal(17, joins.Before(clip, 8).Info.Frames);
        var loop = joins.Loop(clip, 4);
        Assert.Equal(13, loop.Info.Frames);
        AssertSameFrames(clip, 0, loop, 0, 3);
        var still = pipeline.Generate(Settings with { Frames = 1 }, Conditioning.Nothing);
        Assert.Equal(5, joins.Before(still, 4).Info.Frames);
    }

    [Fact]
    public void BetweenTwoClipsTheLengthsAddUp()
    {
        using var pipeline = PipelineTests.Open(Model);
        var a = pipeline.Generate(Settings, Conditioning.Nothing);
        var joins = new ClipJoiner(pipeline, Settings, CancellationToken.None);
        Assert.Equal(9, joins.Between((a, 8), (a, 0), 8).Info.Frames);
        // Rounded up to latent frames; a single frame of each clip is enough.
        Assert.Equal(5, joins.Between((a, 0), (a, 8), 1).Info.Frames);
    }

    [Fact]
    public void OutsideARegionTheLatentsStayBitIdenticalAndInsideTheyChange()
    {
        using var scope = NewDisposeScope();
        using var pipeline = PipelineTests.Open(Model);
        var settings = Settings with { Width = 64 };
        var clip = pipeline.Generate(settings, Conditioning.Nothing);
        var mask = new Region { Box = new Box(0, 0, 20, 32), Time = (5, 9) }.Known(settings, Model.Geometry, Model.TokenSize);
        Assert.Equal([1, 1, 3, 2, 4], mask.shape);
        var outside = new Conditioning
        {
            Known = pipeline.Normalised(clip),
            Mask = mask,
            Exact = pipeline.Raw(clip),
        };
        var kept = pipeline.Generate(settings with { Seed = 8 }, outside).FinishedLatents.ToFloats();
        var (old, known) = (clip.FinishedLatents.ToFloats(), mask.data<float>().ToArray());
        for (var i = 0; i < old.Length; i++)
            Assert.Equal(known[i % known.Length] == 1, kept[i] == old[i]);
        // Frames 5 to 8 are the last latent frame, and 20 columns are one token of 32 pixels: two latents wide, two high.
        Assert.Equal(4, known.Count(value => value == 0));
    }

    [Fact]
    public void ARegionGrowsAndTurnsRound()
    {
        using var scope = NewDisposeScope();
        float[] Known(Region region) =>
            region.Known(1, new FrameSize(64, 32), new LatentGeometry(1, 4, 16), (16, 16)).data<float>().ToArray();
        Assert.Equal([0, 1, 1, 1, 1, 1, 1, 1], Known(new Region { Box = new Box(0, 0, 16, 16) }));
        Assert.Equal([0, 0, 1, 1, 0, 0, 1, 1], Known(new Region { Box = new Box(0, 0, 16, 16), Grow = 1 }));
        Assert.Equal([1, 0, 0, 0, 0, 0, 0, 0], Known(new Region { Box = new Box(0, 0, 16, 16), Invert = true }));
        Assert.Throws<SoraException>(() => Known(new Region { Box = new Box(70, 0, 16, 16) }));
    }

    internal static Clip Reread(Clip clip)
    {
        using var stream = new MemoryStream();
        new ClipWriter(stream).Write(clip);
        stream.Position = 0;
        return new ClipReader().ReadAll(stream, "pipe").Single();
    }

    internal static void AssertSameFrames(Clip a, int fromA, Clip b, int fromB, int count) =>
        Assert.Equal(Frames(a, fromA, count), Frames(b, fromB, count));

    /// <summary>The bytes of latent frames.</summary>
    private static byte[] Frames(Clip clip, int first, int count)
    {
        using var scope = NewDisposeScope();
        return TensorIO.ToHost(TensorIO.ToTensor(clip.FinishedLatents).narrow(2, first, count).contiguous()).Data;
    }

    /// <summary>The same latents, and nothing left of the state.</summary>
    private static void AssertFinishedAs(Clip whole, Clip end)
    {
        Assert.Equal(whole.FinishedLatents.Data, end.FinishedLatents.Data);
        Assert.Empty(end.Tensors);
        Assert.Empty(end.Metadata);
    }
}
