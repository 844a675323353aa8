using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Planning;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>A family that the library doesn't know does what verbs do, once the registry has it.</summary>
public sealed class ModelRegistryTests : IDisposable
{
    private const string Red = "#ff0000",
        Green = "#00ff00";

    private readonly string folder = Directory.CreateTempSubdirectory().FullName;
    private readonly VideoModel model;
    private readonly VideoPipeline pipeline;

    static ModelRegistryTests() => ModelRegistry.Add(ToyModel.Family);

    public ModelRegistryTests()
    {
        File.WriteAllText(Path.Combine(folder, "model_index.json"), """{"_class_name": "ToyPipeline"}""");
        model = VideoModel.Open(folder);
        pipeline = new VideoPipeline(model, new Precision(CPU, float32), Reporter.Silent, CancellationToken.None);
    }

    private SamplingSettings Settings => ModelDefaults.Of(model).Settings with { Prompt = Red, Seed = 3 };

    public void Dispose()
    {
        pipeline.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void GeneratesAndDecodes()
    {
        var clip = Generate(new GenerationRequest(Settings));
        Assert.Equal([1, 3, 4, 4, 4], clip.FinishedLatents.Shape);
        Assert.Equal("2n", clip.Info.FrameGrid);
        var frames = Decode(clip);
        Assert.Equal(8, frames.Count);
        Assert.All(frames, frame => AssertColour(frame, 255, 0));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 2)]
    [InlineData(7, 6)]
    [InlineData(8, 8)]
    public void EncodesWhatItDecodes(int seen, int frames)
    {
        using var codec = FrameCodec.Open(model, CPU);
        var pictures = Enumerable.Range(0, seen).Select(_ => Filled(0, 255)).ToList();
        if (seen < 2)
        {
            Assert.Contains("2 of them", Assert.Throws<SoraException>(() => codec.Encode(pictures, CancellationToken.None)).Message);
            return;
        }
        var (latents, counted) = codec.Encode(pictures, CancellationToken.None);
        Assert.Equal(seen, counted);
        var back = codec.Decode(latents, LatentSpace.Raw, CancellationToken.None).ToList();
        Assert.Equal(frames, back.Count);
        Assert.All(back, frame => AssertColour(frame, 0, 255));
    }

    /// <summary>A video longer than a window, and one that goes on: what is there stays bit for bit.</summary>
    [Fact]
    public void Extends()
    {
        var clip = Generate(new GenerationRequest(Settings));
        var longer = new ClipJoiner(pipeline, Settings with { Prompt = Green }, CancellationToken.None).After(clip, 7);
        Assert.Equal(16, longer.Info.Frames);
        var frames = Decode(longer);
        Assert.Equal(16, frames.Count);
        Assert.All(frames.Take(8), frame => AssertColour(frame, 255, 0));
        Assert.All(frames.Skip(8), frame => AssertColour(frame, 0, 255));
        Assert.Equal(clip.FinishedLatents.ToFloats(), First(longer, 4));
    }

    /// <summary>Inside a box of the second half of the time, on a grid of two frames a latent.</summary>
    [Fact]
    public void EditsARegion()
    {
        var clip = Generate(new GenerationRequest(Settings));
        var region = new Region { Box = new Box(0, 0, 16, 32), Time = (4, 8) };
        var edited = Generate(
            new GenerationRequest(Settings with { Prompt = Green, Strength = 1 }) { Edited = new EditedClip(clip, () => region) }
        );
        var frames = Decode(edited);
        Assert.All(frames.Take(4), frame => AssertColour(frame, 255, 0));
        Assert.All(
            frames.Skip(4),
            frame =>
            {
                AssertColour(frame.Crop(0, 0, 16, 32), 0, 255);
                AssertColour(frame.Crop(16, 0, 16, 32), 255, 0);
            }
        );
    }

    [Fact]
    public void IsPlannedAndRefusedAsOthersAre()
    {
        var plan = MemoryPlan.Of(model, new GenerationRequest(Settings), 4, new Precision(CPU, float32));
        Assert.Equal((64, 4), (plan.Tokens, plan.Stages.Single().Flops));
        var request = new GenerationRequest(Settings) { Conditioning = new Conditioning { Control = new Control() } };
        Assert.Contains("control video", Assert.Throws<SoraException>(() => Generate(request)).Message);
        Assert.Equal((8, 4), (VideoSize.WholeFrames(model, 7), VideoSize.WholeFrames(model, 3)));
    }

    private Clip Generate(GenerationRequest request) => new VideoGenerator(pipeline).Generate(request);

    private List<Image> Decode(Clip clip)
    {
        using var codec = FrameCodec.Open(model, CPU);
        return [.. codec.Decode(clip.FinishedLatents, clip.Info.Space, CancellationToken.None)];
    }

    private static float[] First(Clip clip, int latents)
    {
        using var scope = NewDisposeScope();
        return Tensors.TensorIO.ToTensor(clip.FinishedLatents).narrow(2, 0, latents).contiguous().data<float>().ToArray();
    }

    private static Image Filled(byte red, byte green)
    {
        var image = new Image(32, 32);
        for (var i = 0; i < image.Pixels.Length; i += 3)
            (image.Pixels[i], image.Pixels[i + 1]) = (red, green);
        return image;
    }

    private static void AssertColour(Image frame, int red, int green)
    {
        for (var i = 0; i < frame.Pixels.Length; i += 3)
            Assert.Equal((red, green, 0), (frame.Pixels[i], frame.Pixels[i + 1], frame.Pixels[i + 2]));
    }
}
