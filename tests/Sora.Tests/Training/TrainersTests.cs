using System.Globalization;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using Sora.Training;
using Sora.World;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

[Collection(nameof(Alone))]
public sealed class TrainersTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-trainers-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void VaeThenTransformerMakeAModelFolderInHalfPrecision()
    {
        var (vae, model) = (Path.Combine(folder, "vae"), Path.Combine(folder, "model"));
        VaeTrainer.Train(Clips("32x32x5", 2), Options(vae, 1), new VaeStart { FitClips = 32 }, Reporter.Silent, CancellationToken.None);
        var start = new TransformerStart(Path.Combine(folder, "latents"), TokensPerStep: 16) { VaeFolder = vae };
        TransformerTrainer.Train(Clips("32x32x5", 4), Options(model, 2), start, Reporter.Silent, CancellationToken.None);

        var opened = Opened.Wan(model);
        opened.Check();
        Assert.True(opened.ExpandTimesteps);
        Assert.Equal(96, opened.Vae.ZDim);
        Assert.All(opened.Vae.LatentsStd, deviation => Assert.InRange(deviation, 1e-6, 1e3));
        foreach (var part in new[] { "vae", "transformer", "text_encoder" })
        {
            using var weights = opened.OpenWeights(part);
            Assert.All(weights.Tensors.Values, tensor => Assert.Equal(DType.F16, tensor.DType));
        }
        Assert.Equal(3, File.ReadLines(Path.Combine(model, "training", "loss.csv")).Count());
        Assert.True(File.Exists(Path.Combine(model, "training", "sample-0000002.png")));

        // Encoded clips of another VAE must not be taken for this one's.
        var other = Path.Combine(folder, "other");
        VaeTrainer.Train(
            Clips("32x32x5", 2),
            Options(other, 1) with
            {
                Seed = 9,
            },
            new VaeStart { FitClips = 32 },
            Reporter.Silent,
            CancellationToken.None
        );
        var error = Assert.Throws<SoraException>(() =>
            TransformerTrainer.Train(
                Clips("32x32x5", 4),
                Options(model, 2),
                start with
                {
                    VaeFolder = other,
                },
                Reporter.Silent,
                CancellationToken.None
            )
        );
        Assert.Contains("another vae", error.Message);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheThreadsThatShareABatchDoNotChangeTheStep(bool scenes)
    {
        var start = Untrained() with { Reading = 0.5, Scenes = scenes };
        double[] Losses(int threads)
        {
            var model = Path.Combine(folder, $"{threads}");
            TransformerTrainer.Train(
                Clips("32x32x5", 6),
                Options(model, 3) with
                {
                    Threads = threads,
                },
                start,
                Reporter.Silent,
                CancellationToken.None
            );
            return
            [
                .. File.ReadLines(Path.Combine(model, "training", "loss.csv"))
                    .Skip(1)
                    .Select(line => double.Parse(line.Split(',')[1], CultureInfo.InvariantCulture)),
            ];
        }
        var (one, two) = (Losses(1), Losses(2));
        Assert.All(one.Zip(two), pair => Assert.InRange(pair.Second / pair.First, 0.9999, 1.0001));
    }

    [Fact]
    public void ReadingTheSceneAddsItsShareToTheLossAndNothingToTheModel()
    {
        var start = Untrained();
        string Model(double reading) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"reading-{reading}"));
        double[] Losses(double reading, long steps)
        {
            var options = Options(Model(reading), steps) with { Threads = 1, Optimizer = new OptimizerOptions(5e-3, 5e-3) };
            TransformerTrainer.Train(
                Clips("32x32x5", 12),
                options,
                start with
                {
                    Reading = reading,
                },
                Reporter.Silent,
                CancellationToken.None
            );
            return
            [
                .. File.ReadLines(Path.Combine(Model(reading), "training", "loss.csv"))
                    .Skip(1)
                    .Select(line => double.Parse(line.Split(',')[1], CultureInfo.InvariantCulture)),
            ];
        }
        var (none, half, whole) = (Losses(0, 20), Losses(0.5, 1)[0], Losses(1, 20));
        Assert.InRange((whole[0] - none[0]) / (half - none[0]), 1.999, 2.001);
        // The same clips, noise and captions: what is left between the losses is what is still misread.
        var misread = whole.Zip(none, (with, without) => with - without).ToArray();
        Assert.InRange(misread[^5..].Average() / misread[..5].Average(), 0, 0.9);
        var names = Directory
            .GetFiles(Model(1), "*.safetensors", SearchOption.AllDirectories)
            .Where(f => !f.Contains("training"))
            .SelectMany(f =>
            {
                using var file = SafeTensorsFile.Open(f);
                return file.Tensors.Keys.ToArray();
            });
        Assert.DoesNotContain(names, name => name.Contains("reader") || name.StartsWith("proj_in"));
    }

    [Fact]
    public void AGuidedTeacherIsLearnedInOnePass()
    {
        var start = Untrained();
        var teacher = Path.Combine(folder, "teacher");
        TransformerTrainer.Train(
            Clips("32x32x5", 6),
            Options(teacher, 1) with
            {
                Half = false,
            },
            start,
            Reporter.Silent,
            CancellationToken.None
        );
        double FirstLoss(double guidance)
        {
            var model = Path.Combine(folder, $"guided-{guidance}");
            TransformerTrainer.Train(
                Clips("32x32x5", 6),
                Options(model, 1),
                start with
                {
                    Guidance = guidance,
                    Folder = teacher,
                },
                Reporter.Silent,
                CancellationToken.None
            );
            var defaults = ModelDefaults.Of(Opened.Wan(model)).Settings;
            Assert.Equal((8, 1.0), (defaults.Steps, defaults.Guidance));
            return double.Parse(
                File.ReadLines(Path.Combine(model, "training", "loss.csv")).Last().Split(',')[1],
                CultureInfo.InvariantCulture
            );
        }
        // At scale 1 the teacher is the student; what scale g adds is (g - 1) times a difference.
        Assert.InRange(FirstLoss(1), 0, 1e-9);
        Assert.InRange(FirstLoss(5) / FirstLoss(3), 3.99, 4.01);
    }

    [Fact]
    public void WhatIsGuidedLearnsOnFromClips()
    {
        var start = Untrained();
        var from = Path.Combine(folder, "start");
        TransformerTrainer.Train(
            Clips("32x32x5", 6),
            Options(from, 1) with
            {
                Half = false,
            },
            start,
            Reporter.Silent,
            CancellationToken.None
        );
        double FirstLoss(double? guidance, string kind)
        {
            var model = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{kind}-{guidance}"));
            TransformerTrainer.Train(
                Clips("32x32x5", 6),
                Options(model, 1),
                start with
                {
                    Guidance = guidance,
                    Folder = from,
                    Reading = 0,
                },
                Reporter.Silent,
                CancellationToken.None
            );
            return double.Parse(
                File.ReadLines(Path.Combine(model, "training", "loss.csv")).Last().Split(',')[1],
                CultureInfo.InvariantCulture
            );
        }
        // With g the guided answer, u the one without a caption and v what is wanted, the loss is s |u - v + (g - u) / s|², which is
        // s (a + b / s + c / s²). At scale 1 it is that of an unguided network, and c is what distilling from the same one shows.
        var plain = FirstLoss(null, "unguided");
        var c = FirstLoss(3, "distilled") / 4;
        // The same weights, said to answer guided.
        var index = Path.Combine(from, "model_index.json");
        var text = File.ReadAllText(index);
        var changed = text.Replace($"\"guidance\": {MiniPreset.Guidance.ToString(CultureInfo.InvariantCulture)}", "\"guidance\": 1");
        Assert.NotEqual(text, changed);
        File.WriteAllText(index, changed);
        Assert.InRange(FirstLoss(1, "guided") / plain, 0.99999, 1.00001);
        var (two, four) = (FirstLoss(2, "guided") / 2, FirstLoss(4, "guided") / 4);
        var b = 2 * (plain - two - (0.75 * c));
        var a = plain - b - c;
        Assert.True(c > 1e-4 * a);
        Assert.InRange(four / (a + (b / 4) + (c / 16)), 0.99999, 1.00001);
        Assert.True(Math.Abs(two - four) > 5e-4 * plain, $"{plain} {two} {four}");
    }

    [Fact]
    public void ACacheOfLatentsGrowsToWhatIsAskedOfIt()
    {
        var vaeFolder = Path.Combine(Untrained().VaeFolder!, "vae");
        using var weights = Checkpoint.Load(vaeFolder, new WeightsOptions { DType = float32 });
        var request = new LatentRequest(
            new CausalVae(ModelRegistry.VaeConfig(Path.Combine(vaeFolder, "config.json")), weights),
            "it",
            new WorldSource(),
            ClipShape.Parse("32x32x5")
        )
        {
            Count = 3,
            Seed = 1,
        };
        LatentSet Open(int count) =>
            LatentCache.Open(Path.Combine(folder, "latents"), request with { Count = count }, Reporter.Silent, CancellationToken.None);
        var (few, more) = (Open(3), Open(5));
        Assert.Equal(5, more.Latents.shape[0]);
        Assert.Equal(5, more.Seeds.Length);
        Assert.Equal(0, (more.Latents.narrow(0, 0, 3) - few.Latents).abs().to(float32).max().ToDouble());
    }

    [Fact]
    public void WorldClipsAndCaptionsFollowFromTheSeed()
    {
        var (source, shape) = (new WorldSource(), ClipShape.Parse("32x32x5"));
        var (one, again) = (new byte[shape.Bytes], new byte[shape.Bytes]);
        source.Draw(11, shape, one);
        source.Draw(11, shape, again);
        Assert.Equal(one, again);
        Assert.Equal(source.Caption(11, shape, 3), source.Caption(11, shape, 3));
        Assert.True(Enumerable.Range(0, 20).Select(i => source.Caption(11, shape, (ulong)i)).Distinct().Count() > 5);
    }

    [Theory]
    [InlineData("64x64")]
    [InlineData("64x64x8")]
    [InlineData("0x64x9")]
    public void AShapeThatIsNoneIsAUsageError(string text) =>
        Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(() => ClipShape.Parse(text)).Kind);

    /// <summary>A start of training on a new VAE's latents.</summary>
    private TransformerStart Untrained()
    {
        var vae = Path.Combine(folder, "vae");
        VaeTrainer.Train(Clips("32x32x5", 2), Options(vae, 1), new VaeStart { FitClips = 32 }, Reporter.Silent, CancellationToken.None);
        return new TransformerStart(Path.Combine(folder, "latents"), TokensPerStep: 48) { VaeFolder = vae };
    }

    private static TrainingData Clips(string shape, int count) => new(new WorldSource(), [(ClipShape.Parse(shape), count)]);

    private static TrainingOptions Options(string folder, long steps) =>
        new(folder, steps, new OptimizerOptions(1e-3, 1e-3))
        {
            Half = true,
            ValidateEvery = 2,
            SampleEvery = 2,
            CheckpointEvery = 2,
        };
}
