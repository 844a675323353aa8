using System.Globalization;
using System.Text.Json;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Tensors;
using Sora.Tests.Clips;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

public class PipelineTests
{
    [Theory]
    [InlineData("t2v")]
    [InlineData("t2v-no-negative")]
    [InlineData("t2v-no-guidance")]
    [InlineData("t2v-frames7")]
    [InlineData("ti2v-text")]
    [InlineData("ti2v-image")]
    [InlineData("ti2v-size48x80")]
    [InlineData("i2v")]
    [InlineData("i2v-resized")]
    [InlineData("flf2v")]
    [InlineData("a14b-t2v")]
    [InlineData("a14b-i2v")]
    [InlineData("vace-text")]
    [InlineData("vace-control")]
    [InlineData("vace-reference")]
    [InlineData("v2v")]
    public void AGuidedRunEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open($"wan/pipeline-{name}");
        var model = Opened.Wan(golden.Model);
        var settings = Settings(golden, model);
        using var pipeline = Open(model);
        var calls = 0;
        using var scope = NewDisposeScope();
        var clip = pipeline.Generate(
            settings,
            Known(golden, settings, model),
            Noise(golden),
            new RunOptions { Checkpoint = now => AssertClose(golden, $"latents_step{calls++}", now.Tensors["noise_latents"]) }
        );
        Assert.Equal(golden.OutShape("timesteps")[0], calls);
        AssertClose(golden, "latents_raw", clip.FinishedLatents);
        AssertClose(golden, "video", Decode(model, clip.FinishedLatents));
    }

    /// <summary>The reference makes two clips in one batch; here they are runs of one pipeline, each with its part of the noise.</summary>
    [Fact]
    public void EachClipOfABatchEqualsTheReference()
    {
        using var golden = GoldenCase.Open("wan/pipeline-t2v-batch2");
        var model = Opened.Wan(golden.Model);
        using var pipeline = Open(model);
        var (prompts, noise, expected) = (golden.Params.GetProperty("prompt"), Noise(golden), golden.Out("latents_raw"));
        Assert.Equal(2, prompts.GetArrayLength());
        for (var i = 0; i < 2; i++)
        {
            var settings = Settings(golden, model, i);
            var part = new HostTensor(noise.DType, [1, .. noise.Shape[1..]], [.. noise.Data.Chunk(noise.Data.Length / 2).ElementAt(i)]);
            var clip = pipeline.Generate(settings, Conditioning.Nothing, part);
            Assert.InRange(
                GoldenCase.RelativeError(clip.FinishedLatents.ToFloats(), expected.Chunk(expected.Length / 2).ElementAt(i)),
                0,
                golden.Tolerance
            );
        }
    }

    [Fact]
    public void OneStepEndsAtTheCleanLatentsThatAPreconditionedNetworkGives()
    {
        const double Sigma = 0.75;
        using var golden = GoldenCase.Open("wan/pipeline-ti2v-text");
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.GetFiles(golden.Model, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(folder.Path, Path.GetRelativePath(golden.Model, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        var scheduler = Path.Combine(folder.Path, "scheduler", "scheduler_config.json");
        float[] OneStep()
        {
            var model = Opened.Wan(folder.Path);
            using var pipeline = Open(model);
            var settings = Settings(golden, model) with { Sigmas = [Sigma], Shift = 1, Guidance = 1, Sampler = "euler" };
            float[] end = [];
            pipeline.Generate(
                settings,
                new Conditioning(),
                Noise(golden),
                new RunOptions { Checkpoint = now => end = now.Tensors["noise_latents"].ToFloats() }
            );
            return end;
        }
        var velocity = OneStep(); // noise - sigma F
        var (channels, frames) = (golden.InShape("noise")[1], golden.InShape("noise")[2]);
        double Variance(long channel, long frame) => (frame == 0 ? 0.2 : 0.01) + (0.5 * channel);
        string List(long frame) =>
            string.Join(", ", Enumerable.Range(0, (int)channels).Select(c => Variance(c, frame).ToString(CultureInfo.InvariantCulture)));
        File.WriteAllText(
            scheduler,
            File.ReadAllText(scheduler)
                .Replace(
                    "\"flow_prediction\"",
                    $"\"preconditioned\", \"first_latents_variance\": [{List(0)}], \"latents_variance\": [{List(1)}]"
                )
        );
        var clean = OneStep();
        // The same network's output F, in double: x0 = (1 - s) v x / D + s sqrt(v / D) F.
        var (noise, each) = (Noise(golden).ToFloats(), velocity.Length / (channels * frames));
        var expected = noise
            .Select(
                (x, i) =>
                {
                    var (variance, output) = (Variance(i / each / frames, i / each % frames), (x - velocity[i]) / Sigma);
                    var total = ((1 - Sigma) * (1 - Sigma) * variance) + (Sigma * Sigma);
                    return (float)(((1 - Sigma) * variance * x / total) + (Sigma * Math.Sqrt(variance / total) * output));
                }
            )
            .ToArray();
        Assert.InRange(GoldenCase.RelativeError(clean, expected), 0, 1e-5);
    }

    internal static VideoPipeline Open(VideoModel model) =>
        new(model, new Precision(CPU, float32), Reporter.Silent, CancellationToken.None);

    /// <param name="golden">The case.</param>
    /// <param name="model">Its model.</param>
    /// <param name="clip">Which of a batch.</param>
    internal static SamplingSettings Settings(GoldenCase golden, WanModel model, int clip = 0)
    {
        var run = golden.Params;
        string? Of(string name) =>
            run.TryGetProperty(name, out var text)
                ? text.ValueKind == JsonValueKind.Array
                    ? text[clip].GetString()
                    : text.GetString()
                : null;
        var size = VideoSize.WholeTokens(model, new FrameSize(run.GetProperty("width").GetInt32(), run.GetProperty("height").GetInt32()));
        return ModelDefaults.Of(model).Settings with
        {
            Prompt = Of("prompt")!,
            Negative = Of("negative_prompt") ?? "",
            TextLength = run.GetProperty("max_sequence_length").GetInt32(),
            Width = size.Width,
            Height = size.Height,
            Frames = VideoSize.WholeFrames(model, (int)(ReferenceRun.Number(run, "num_frames") ?? golden.InShape("video")[0])),
            Steps = run.GetProperty("steps").GetInt32(),
            Shift = run.GetProperty("flow_shift").GetDouble(),
            Guidance = run.GetProperty("guidance_scale").GetDouble(),
            Guidance2 = ReferenceRun.Number(run, "guidance_scale_2"),
            Strength = ReferenceRun.Number(run, "strength") ?? 1,
        };
    }

    internal static HostTensor Noise(GoldenCase golden) => golden.File.Copy("in.noise");

    internal static Conditioning Known(GoldenCase golden, SamplingSettings settings, WanModel model)
    {
        var stills = new List<Still>();
        if (golden.Inputs.Contains("image"))
            stills.Add(new Still(0, Picture(golden, "image"), Fit.Stretch));
        if (golden.Inputs.Contains("last_image"))
            stills.Add(new Still(settings.Frames - 1, Picture(golden, "last_image"), Fit.Stretch));
        var video = golden.Inputs.Contains("video") ? Frames(golden, "video", 3) : [];
        if (model.Transformer.VaceLayers is null)
            return new Conditioning { Stills = stills, Known = video.Count == 0 ? null : Encode(model, video) };
        return new Conditioning
        {
            Control = new Control
            {
                Video = video,
                Mask = golden.Inputs.Contains("mask") ? Frames(golden, "mask", 1) : [],
                References = [.. golden.Inputs.Where(name => name.StartsWith("reference")).Order().Select(name => Picture(golden, name))],
                Scale = ReferenceRun.Numbers(golden.Params, "conditioning_scale") ?? [1],
            },
        };
    }

    private static Tensor Encode(WanModel model, IReadOnlyList<Image> frames)
    {
        using var codec = FrameCodec.Open(model);
        return model.Vae.Normalise(TensorIO.ToTensor(codec.Encode(frames, CancellationToken.None).Latents));
    }

    /// <summary>A video [F, H, W, 3], or a mask [F, H, W] as grey pictures.</summary>
    private static List<Image> Frames(GoldenCase golden, string name, int channels)
    {
        var tensor = golden.File.Copy("in." + name);
        var (height, width) = ((int)tensor.Shape[1], (int)tensor.Shape[2]);
        return
        [
            .. tensor
                .Data.Chunk(height * width * channels)
                .Select(frame => new Image(width, height, channels == 3 ? frame : [.. frame.SelectMany(v => new[] { v, v, v })])),
        ];
    }

    private static Image Picture(GoldenCase golden, string name)
    {
        var tensor = golden.File.Copy("in." + name);
        return new Image((int)tensor.Shape[1], (int)tensor.Shape[0], tensor.Data);
    }

    private static HostTensor Decode(WanModel model, HostTensor latents)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var weights = Weights.From(model.OpenWeights("vae"));
        return TensorIO.ToHost(new CausalVae(model.Vae, weights).Decode(TensorIO.ToTensor(latents)));
    }

    private static void AssertClose(GoldenCase golden, string what, HostTensor actual)
    {
        Assert.Equal(golden.OutShape(what), actual.Shape);
        var error = GoldenCase.RelativeError(actual.ToFloats(), golden.Out(what));
        Assert.True(error <= golden.Tolerance, $"{what}: {error:g3} above {golden.Tolerance:g3}");
    }
}
