using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Sampling;
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
    public void A_guided_run_equals_the_reference(string name)
    {
        using var golden = GoldenCase.Open($"wan/pipeline-{name}");
        var model = ModelFolder.Open(golden.Model);
        var settings = Settings(golden, model);
        using var pipeline = Open(model);
        var calls = 0;
        var clip = pipeline.Generate(settings, Known(golden, settings), Noise(golden), new RunOptions
        {
            Checkpoint = now => AssertClose(golden, $"latents_step{calls++}", now.Tensors["noise_latents"]),
        });
        Assert.Equal(settings.Steps, calls);
        AssertClose(golden, "latents_raw", clip.FinishedLatents);
        AssertClose(golden, "video", Decode(model, clip.FinishedLatents));
    }

    internal static Pipeline Open(ModelFolder model) =>
        new(model, new Precision(CPU, float32), Reporter.Silent, CancellationToken.None);

    internal static SamplingSettings Settings(GoldenCase golden, ModelFolder model)
    {
        var run = golden.Params;
        return ModelDefaults.Of(model).Settings with
        {
            Prompt = run.GetProperty("prompt").GetString()!,
            Negative = ReferenceRun.Text(run, "negative_prompt") ?? "",
            TextLength = run.GetProperty("max_sequence_length").GetInt32(),
            Width = run.GetProperty("width").GetInt32(),
            Height = run.GetProperty("height").GetInt32(),
            Frames = VideoSize.WholeFrames(model, (int)(ReferenceRun.Number(run, "num_frames") ?? golden.InShape("video")[0])),
            Steps = run.GetProperty("steps").GetInt32(),
            Shift = run.GetProperty("flow_shift").GetDouble(),
            Guidance = run.GetProperty("guidance_scale").GetDouble(),
            Guidance2 = ReferenceRun.Number(run, "guidance_scale_2"),
            Strength = ReferenceRun.Number(run, "strength") ?? 1,
        };
    }

    internal static HostTensor Noise(GoldenCase golden) => golden.File.Copy("in.noise");

    private static Conditioning Known(GoldenCase golden, SamplingSettings settings)
    {
        var stills = new List<Still>();
        if (golden.Inputs.Contains("image")) stills.Add(new Still(0, Picture(golden, "image"), Fit.Stretch));
        if (golden.Inputs.Contains("last_image")) stills.Add(new Still(settings.Frames - 1, Picture(golden, "last_image"), Fit.Stretch));
        return new Conditioning { Stills = stills };
    }

    private static Image Picture(GoldenCase golden, string name)
    {
        var tensor = golden.File.Copy("in." + name);
        return new Image((int)tensor.Shape[1], (int)tensor.Shape[0], tensor.Data);
    }

    private static HostTensor Decode(ModelFolder model, HostTensor latents)
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
