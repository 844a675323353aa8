using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Which latent frames each window sees and fills in; '#' is known, '.' is not.</summary>
public class WindowsTests
{
    private static readonly VideoModel Model = VideoModel.Open(Golden.Path("models", "wan22-ti2v"));

    [Theory]
    [InlineData(".....", "", "0-5")] // fits: one piece
    [InlineData("............", "", "0-8 4-12")] // after at least three latent frames of what there is
    [InlineData("###....", "", "0-7")]
    [InlineData("##########....", "", "6-14")]
    [InlineData("###...###", "", "0-8")] // leads into what is known
    [InlineData("####.........###", "", "1-9 2-10 7-15")] // the last piece sees where it arrives
    [InlineData(".....##", "", "0-7")]
    [InlineData("........", "17", "0-5 0-8")] // another prompt takes over at frame 17
    [InlineData("........", "1 17", "0-1 0-5 0-8")]
    [InlineData("........", "500", "0-8")]
    public void WindowsSlideOverWhatThereIs(string places, string prompts, string expected)
    {
        using var pipeline = PipelineTests.Open(Model);
        var settings = new SamplingSettings
        {
            Window = 29,
            Overlap = 9,
            Frames = (places.Length - 1) * 4 + 1,
            Later =
            [
                .. prompts.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(frame => new TimedPrompt(int.Parse(frame), frame)),
            ],
        };
        var windows = new SlidingWindows(pipeline, settings);
        var known = places.Select(place => place == '#').ToArray();
        var made = new List<string>();
        for (var done = Array.IndexOf(known, false); done >= 0; done = Array.IndexOf(known, false))
        {
            var (start, end) = windows.Next(known, done);
            Assert.InRange(done, start, end - 1);
            Assert.InRange(end - start, 1, 8);
            made.Add($"{start}-{end}");
            Array.Fill(known, true, start, end - start);
        }
        Assert.Equal(expected, string.Join(' ', made));
    }

    [Fact]
    public void EachWindowTakesItsPartOfAControlVideo()
    {
        var vace = VideoModel.Open(Golden.Path("models", "wan21-vace"));
        using var pipeline = PipelineTests.Open(vace);
        var settings = ModelDefaults.Of(vace).Settings with
        {
            Prompt = "a cat",
            Width = 32,
            Height = 32,
            Frames = 17,
            Steps = 1,
            Guidance = 1,
            TextLength = 16,
            Seed = 3,
            Window = 9,
            Overlap = 5,
        };
        Image Grey(int level) => new(32, 32, [.. Enumerable.Repeat((byte)level, 32 * 32 * Image.Channels)]);
        Clip Of(int lastFrame) =>
            pipeline.Generate(
                settings,
                new Conditioning
                {
                    Control = new Control
                    {
                        Video = [.. Enumerable.Range(0, 17).Select(frame => Grey(frame < 16 ? 10 * frame : lastFrame))],
                    },
                }
            );
        var (one, other) = (Of(0), Of(255));
        ClipJoinerTests.AssertSameFrames(one, 0, other, 0, 4);
        Assert.NotEqual(one.FinishedLatents.Data, other.FinishedLatents.Data);
        var tooShort = new Conditioning { Control = new Control { Video = [.. Enumerable.Range(0, 13).Select(Grey)] } };
        Assert.Throws<SoraException>(() => pipeline.Generate(settings, tooShort));
        var stops = new RunOptions { Until = 1 };
        Assert.Throws<SoraException>(() => pipeline.Generate(settings, tooShort, null, stops));
    }

    [Fact]
    public void APromptTakesOverWhereItIsSaidTo()
    {
        using var scope = NewDisposeScope();
        using var pipeline = PipelineTests.Open(Model);
        var settings = ClipJoinerTests.Settings with { Frames = 17 };
        var plain = pipeline.Generate(settings with { Frames = 9 }, Conditioning.Nothing);
        var changed = pipeline.Generate(settings with { Later = [new TimedPrompt(9, "two dogs")] }, Conditioning.Nothing);
        ClipJoinerTests.AssertSameFrames(plain, 0, changed, 0, 3);
        var same = pipeline.Generate(settings with { Later = [new TimedPrompt(9, settings.Prompt)] }, Conditioning.Nothing);
        ClipJoinerTests.AssertSameFrames(changed, 0, same, 0, 3);
        Assert.NotEqual(changed.FinishedLatents.Data, same.FinishedLatents.Data);
    }
}
