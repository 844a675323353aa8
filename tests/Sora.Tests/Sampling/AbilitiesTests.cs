using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Every ability of every kind of model: what the table promises runs, and what it refuses is refused.</summary>
public class AbilitiesTests
{
    private static readonly string[] Models =
    [
        "wan21-t2v",
        "wan21-i2v",
        "wan21-flf2v",
        "wan21-vace",
        "wan22-ti2v",
        "wan22-a14b-i2v",
        "wan22-a14b-t2v",
    ];

    public static TheoryData<string, Ability> All()
    {
        var all = new TheoryData<string, Ability>();
        foreach (var model in Models)
        foreach (var ability in Enum.GetValues<Ability>())
            all.Add(model, ability);
        return all;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void TheTableIsWhatHappens(string name, Ability ability)
    {
        var model = VideoModel.Open(Golden.Path("models", name));
        var reporter = new Notes();
        using var pipeline = new VideoPipeline(model, new Precision(CPU, float32), reporter, CancellationToken.None);
        using var scope = NewDisposeScope();
        if (model.Supports(ability) == Support.Refused)
        {
            var error = Assert.Throws<SoraException>(() => Make(pipeline, ability));
            Assert.Equal(ErrorKind.Usage, error.Kind);
            Assert.Contains(ability.Name(), error.Message);
            Assert.Contains("Wan2.", error.Hint);
            return;
        }
        foreach (var clip in (Clip[])[Make(pipeline, ability), Make(pipeline, ability)])
            Assert.All(clip.FinishedLatents.ToFloats(), value => Assert.True(float.IsFinite(value)));
        if (model.Supports(ability) == Support.Native)
            Assert.Empty(reporter.Lines);
        else
            Assert.Contains("approximate", Assert.Single(reporter.Lines));
    }

    /// <summary>Nothing is said of how a run is done that is refused.</summary>
    [Theory]
    [InlineData("wan21-flf2v", 9, "needs a first and a last picture", 5)]
    [InlineData("wan21-flf2v", 9, "needs a first and a last picture", 8)]
    [InlineData("wan21-flf2v", 65, "extend", 0, 5, 64)]
    [InlineData("wan21-i2v", 65, "in one piece only", 0, 5)]
    public void WhatIsRefusedIsNotCalledApproximate(string name, int length, string says, params int[] frames)
    {
        var model = VideoModel.Open(Golden.Path("models", name));
        var reporter = new Notes();
        using var pipeline = new VideoPipeline(model, new Precision(CPU, float32), reporter, CancellationToken.None);
        var error = Assert.Throws<SoraException>(() =>
            pipeline.Generate(
                Settings(model) with
                {
                    Frames = length,
                },
                new Conditioning { Stills = [.. frames.Select(frame => new Still(frame, Picture(), Fit.Crop))] }
            )
        );
        Assert.Equal(ErrorKind.Usage, error.Kind);
        Assert.Contains(says, error.Message);
        Assert.Empty(reporter.Lines);
    }

    [Fact]
    public void ModelsTrainedHereKnowEveryMask()
    {
        var model = VideoModel.Open(null);
        Assert.All(Enum.GetValues<Ability>().Except([Ability.Control]), ability => Assert.Equal(Support.Native, model.Supports(ability)));
        Assert.Equal(Support.Refused, model.Supports(Ability.Control));
    }

    /// <summary>VACE is told of a clip in the pixels of its control video.</summary>
    [Fact]
    public void AControlVideoShowsWhatIsKnown()
    {
        using var scope = NewDisposeScope();
        var model = VideoModel.Open(Golden.Path("models", "wan21-vace"));
        var settings = Settings(model);
        var noise = zeros(model.LatentShape(settings));
        var nothing = model.Encode(new Conditioning(), settings, noise, new Precision(CPU, float32)).Inputs["control"];
        var mask = zeros([1, 1, .. noise.shape[2..]]);
        mask.narrow(2, 0, 2).fill_(1);
        var known = model
            .Encode(new Conditioning { Known = ones_like(noise), Mask = mask }, settings, noise, new Precision(CPU, float32))
            .Inputs["control"];
        Assert.Equal(nothing.shape, known.shape);
        // The last 64 channels are the mask: nothing of what is known is remade.
        Assert.Equal(0, known.narrow(1, 32, 64).narrow(2, 0, 2).abs().max().item<float>());
        Assert.Equal(1, known.narrow(1, 32, 64).narrow(2, 2, 1).min().item<float>());
        Assert.True((known - nothing).narrow(1, 0, 16).narrow(2, 0, 1).abs().max().item<float>() > 0.01);
    }

    private static SamplingSettings Settings(VideoModel model) =>
        ModelDefaults.Of(model).Settings with
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
            Overlap = 5,
        };

    private static Clip Make(VideoPipeline pipeline, Ability ability)
    {
        var settings = Settings(pipeline.Model);
        var joins = new ClipJoiner(pipeline, settings, CancellationToken.None);
        Clip Stills(params int[] frames) =>
            pipeline.Generate(settings, new Conditioning { Stills = [.. frames.Select(frame => new Still(frame, Picture(), Fit.Crop))] });
        return ability switch
        {
            Ability.Text => pipeline.Generate(settings, Conditioning.Nothing),
            Ability.Still => Stills(0),
            Ability.FirstAndLast => Stills(0, 8),
            Ability.Keyframes => Stills(0, 5, 8),
            Ability.Extend => joins.After(Old(pipeline.Model), 4),
            Ability.Loop => joins.Loop(Old(pipeline.Model), 4),
            Ability.Interpolate => joins.Between((Old(pipeline.Model), 8), (Old(pipeline.Model), 0), 4),
            Ability.Strength => pipeline.Generate(
                settings with
                {
                    Strength = 0.5,
                },
                new Conditioning { Known = pipeline.Normalised(Old(pipeline.Model)) }
            ),
            Ability.Region => pipeline.Generate(
                settings,
                new Conditioning
                {
                    Known = pipeline.Normalised(Old(pipeline.Model)),
                    Mask = new Region { Box = new Box(0, 0, 32, 16) }.Known(settings, pipeline.Model.Geometry, pipeline.Model.TokenSize),
                }
            ),
            _ => pipeline.Generate(settings, new Conditioning { Control = new Control { References = [Picture()] } }),
        };
    }

    private static Clip Old(VideoModel model)
    {
        using var codec = FrameCodec.Open(model);
        var latents = codec.Encode(Enumerable.Repeat(Picture(), 9), CancellationToken.None).Latents;
        return new Clip
        {
            Latents = latents,
            Info = new ClipInfo
            {
                Width = 32,
                Height = 32,
                Frames = 9,
                Fps = 8,
            },
        };
    }

    private static Image Picture() => new(32, 32, [.. Enumerable.Range(0, 32 * 32 * 3).Select(i => (byte)(i * 7))]);

    private sealed class Notes : Reporter
    {
        public List<string> Lines { get; } = [];

        public override void Note(string message) => Lines.Add(message);

        public override void Warn(string message) => Lines.Add(message);

        public override void Progress(string stage, long done, long total) { }
    }
}
