using System.Globalization;
using System.Text.Json.Nodes;
using Sora.Models;
using Sora.Models.Depth;
using Sora.Models.Wan;
using Sora.Tensors;
using Sora.Training;
using Sora.World;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

[Collection(nameof(Alone))]
public sealed class DepthTrainerTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-depth-").FullName;
    private readonly int threads = get_num_threads();

    public void Dispose()
    {
        set_num_threads(threads);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void AResumedRunIsBitIdenticalToAnUninterruptedOne()
    {
        Train("whole", 6);
        Train("parts", 4);
        Train("parts", 6);
        foreach (var file in (string[])["training/state.safetensors", "depth_head/diffusion_pytorch_model.safetensors"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder, "whole", file)), File.ReadAllBytes(Path.Combine(folder, "parts", file)));
        Assert.Equal(Losses("whole"), Losses("parts"));
        Assert.True(File.Exists(Path.Combine(folder, "whole", "training", "sample-0000006.png")));
        using var head = SafeTensorsFile.Open(Path.Combine(folder, "whole", "depth_head", "diffusion_pytorch_model.safetensors"));
        Assert.All(head.Tensors.Values, tensor => Assert.Equal(DType.F16, tensor.DType));
    }

    [Fact]
    public void TheHeadLearns()
    {
        Train("learns", 60);
        var losses = Losses("learns");
        Assert.True(losses[^5..].Average() < 0.6 * losses[..5].Average(), $"{losses[..5].Average()} became {losses[^5..].Average()}");
    }

    /// <summary>What is trained into a model's own folder is a part of that model.</summary>
    [Fact]
    public void AModelTakesTheHeadThatIsTrainedInItsFolder()
    {
        var model = Path.Combine(folder, "model");
        foreach (var file in Directory.GetFiles(Builtin, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(model, Path.GetRelativePath(Builtin, file));
            if (copy.Contains("depth_head"))
                continue;
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        var index = Path.Combine(model, "model_index.json");
        var parts = JsonNode.Parse(File.ReadAllText(index))!.AsObject();
        parts.Remove("depth_head");
        File.WriteAllText(index, parts.ToJsonString());
        Assert.Null(LatentDepthHead.Open(VideoModel.Open(model)));
        Train("model", 1);
        var opened = VideoModel.Open(model);
        opened.Check();
        using (var head = LatentDepthHead.Open(opened))
            Assert.Equal(opened.Geometry, head?.Config.Geometry);

        // A transformer that is trained there writes the list of parts again.
        MiniPreset.WriteIndex(model, CausalVaeConfig.Wan22, null, distilled: false);
        Assert.True(VideoModel.Open(model).Has(LatentDepthHead.Part));

        // One that is for other latents is no part of it.
        var config = Path.Combine(model, "depth_head", "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("96", "48"));
        var error = Assert.Throws<SoraException>(() => VideoModel.Open(model).Check());
        Assert.Contains("is for the latents of another model", error.Message);
    }

    [Fact]
    public void ClipsWithoutDepthAreRefused()
    {
        var error = Assert.Throws<SoraException>(() =>
            DepthTrainer.Train(
                new TrainingData(new MixedSource([(new WorldSource(), 1)]), [(ClipShape.Parse("32x32x5"), 2)]),
                Options("none", 1),
                Start,
                Reporter.Silent,
                CancellationToken.None
            )
        );
        Assert.Equal("these clips come without their depth", error.Message);
    }

    [Fact]
    public void TheAccuracyIsThatOfTheDepthsAfterOneScaleAndShift()
    {
        // Inverse depths 1, 0.5, 0.25 and the sky, twice as large and 3 more: they fit exactly.
        float[] exact = [1, 2, 4, float.PositiveInfinity],
            exactly = [5, 4, 3.5f, 9];
        var fit = DepthAccuracy.Of(exactly, exact);
        Assert.Equal(0, fit.AbsRel, 6);
        Assert.Equal(1, fit.Delta1, 6);
        Assert.Equal((0.5, -1.5), (Math.Round(fit.Scale, 6), Math.Round(fit.Shift, 6)));
        // Without slope the fit is the median inverse depth: a depth of 2, off by 1, 0 and a half.
        var flat = DepthAccuracy.Of([2, 2, 2, 2], exact);
        Assert.InRange(flat.AbsRel, 0.499, 0.501);
        Assert.Equal(1 / 3.0, flat.Delta1, 6);
        // A place that was missed doesn't tilt the others.
        float[] many = [.. Enumerable.Range(1, 50).Select(i => i / 5f)],
            missed = [.. many.Select((depth, i) => i == 10 ? 0 : 2 / depth + 1)];
        var robust = DepthAccuracy.Of(missed, many);
        Assert.InRange(robust.Scale, 0.499, 0.501);
        Assert.InRange(robust.Delta1, 0.979, 0.981);
        // What would be farther than everything, or behind the camera, is as far as anything can be.
        Assert.Equal(DepthAccuracy.Farthest, fit.Depth(2), 6);
    }

    [Fact]
    public void TheLossIsThatOfLogarithmsAndOfTheirDifferences()
    {
        using var scope = NewDisposeScope();
        // Errors of 1, 0, 0 and -2 in the logarithm, the last of them where the network says less than nothing.
        var (e, far) = (Math.E, 0.03);
        static double Missed(double by) => Math.Exp(by) - 1;
        using var target = tensor([far, far, 0.5, far * (e - 1)], [1, 1, 2, 2]);
        using var predicted = tensor([(2 * e - 1) * far, far, 0.5, -far], [1, 1, 2, 2]);
        const double Depths = (1 + 2) / 4.0 + (1 + 4) / 4.0,
            Down = (1 + 2) / 2.0,
            Across = (1 + 2) / 2.0;
        Assert.Equal(Depths + Missed(2) / 4 + 0.25 * (Down + Across) / 2, DepthTask.Loss(predicted, target).ToDouble(), 6);
        // From frame to frame errors of 1 and -1.
        using var frames = tensor([far, (2 * e - 1) * far], [1, 2, 1, 1]);
        using var swapped = tensor([(2 * e - 1) * far, far], [1, 2, 1, 1]);
        Assert.Equal(1 + 1 + Missed(1) / 2 + 2 * 2.0, DepthTask.Loss(swapped, frames).ToDouble(), 6);
    }

    private static string Builtin => VideoModel.Open(null).Path;

    private DepthStart Start =>
        new(Path.Combine(folder, "latents"), TokensPerStep: 32)
        {
            VaeFolder = Builtin,
            Sizes = new LatentDepthConfig
            {
                Width = 24,
                NumBlocks = 1,
                FineWidth = 12,
                NumFineBlocks = 1,
            },
        };

    private void Train(string name, long steps) =>
        DepthTrainer.Train(
            new TrainingData(new WorldSource(), [(ClipShape.Parse("32x32x5"), 8)]),
            Options(name, steps),
            Start,
            Reporter.Silent,
            CancellationToken.None
        );

    private TrainingOptions Options(string name, long steps) =>
        new(Path.Combine(folder, name), steps, new OptimizerOptions(2e-3, 1e-3))
        {
            Half = true,
            Threads = 1,
            Warmup = 2,
            // At a rate that doesn't fall, a shorter run is the beginning of a longer one.
            DecayFraction = 0,
            ValidateEvery = 6,
            SampleEvery = 6,
            CheckpointEvery = 4,
        };

    private double[] Losses(string name) =>
        [
            .. File.ReadLines(Path.Combine(folder, name, "training", "loss.csv"))
                .Skip(1)
                .Select(line => double.Parse(line.Split(',')[1], CultureInfo.InvariantCulture)),
        ];
}
