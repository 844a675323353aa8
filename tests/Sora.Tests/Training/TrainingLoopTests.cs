using Sora.Models.Wan;
using Sora.Nn;
using Sora.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

[Collection(nameof(Alone))]
public sealed class TrainingLoopTests : IDisposable
{
    private static readonly ClipShape Still = new(16, 16, 1),
        Moving = new(16, 16, 5);
    private static readonly CausalVaeConfig Tiny = new()
    {
        BaseDim = 8,
        DecoderBaseDim = 8,
        ZDim = 4,
        DimMult = [1, 1],
        NumResBlocks = 1,
        TemporalDownsample = [true],
        IsResidual = true,
        InChannels = 12,
        OutChannels = 12,
        PatchSize = 2,
        LatentsMean = [0, 0, 0, 0],
        LatentsStd = [1, 1, 1, 1],
    };

    private readonly string folder = Directory.CreateTempSubdirectory("sora-training-").FullName;
    private readonly int threads = get_num_threads();

    public void Dispose()
    {
        set_num_threads(threads);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void AResumedRunIsBitIdenticalToAnUninterruptedOne()
    {
        Train("whole", steps: 6, until: 6);
        Train("parts", steps: 6, until: 4);
        Train("parts", steps: 6, until: 6);
        var (whole, parts) = (Path.Combine(folder, "whole"), Path.Combine(folder, "parts"));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(whole, "training", "state.safetensors")),
            File.ReadAllBytes(Path.Combine(parts, "training", "state.safetensors"))
        );
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(whole, "vae", "diffusion_pytorch_model.safetensors")),
            File.ReadAllBytes(Path.Combine(parts, "vae", "diffusion_pytorch_model.safetensors"))
        );
        Assert.Equal(Losses(whole), Losses(parts));
        Assert.True(File.Exists(Path.Combine(parts, "training", "sample-0000006.png")));
    }

    [Fact]
    public void TheVaeLearns()
    {
        Train("learns", steps: 60, until: 60);
        var losses = Losses(Path.Combine(folder, "learns"));
        Assert.True(losses[^10..].Average() < 0.6 * losses[..5].Average(), $"{losses[..5].Average()} became {losses[^10..].Average()}");
    }

    /// <summary>A kill tears the last row of the losses, which costs nothing; a row that the curve needs is named.</summary>
    [Fact]
    public void LossesThatWereTornAreNoInternalError()
    {
        Train("torn", steps: 6, until: 4);
        var path = Path.Combine(folder, "torn", "training", "loss.csv");
        var lines = File.ReadAllLines(path);
        File.WriteAllText(path, string.Join('\n', [.. lines[..3], "3,0.5", .. lines[4..]]) + "\n");
        var error = Assert.Throws<SoraException>(() => Train("torn", steps: 6, until: 6));
        Assert.Equal($"{path}: line 4 isn't a row of seven numbers", error.Message);
        File.WriteAllText(path, string.Join('\n', lines) + "\n5,0.2");
        Train("torn", steps: 6, until: 6);
        Assert.Equal(6, Losses(Path.Combine(folder, "torn")).Length);
    }

    /// <summary>Two runs that write to one folder would spoil each other's files.</summary>
    [Fact]
    public void ASecondRunInTheSameFolderIsRefused()
    {
        Train("shared", steps: 6, until: 4);
        var losses = Losses(Path.Combine(folder, "shared"));
        using (new LossLog(Path.Combine(folder, "shared", "training"), 4))
        {
            var error = Assert.Throws<SoraException>(() => Train("shared", steps: 6, until: 6));
            Assert.Contains("is another run training here?", error.Message);
        }
        Train("shared", steps: 6, until: 6);
        Assert.Equal(losses, Losses(Path.Combine(folder, "shared")).Take(4));
    }

    [Fact]
    public void TheStateOfAnotherModelIsRefused()
    {
        Train("other", steps: 2, until: 2);
        using var weights = Weights.Initialise(0);
        using var task = new VaeTask(
            new CausalVae(Tiny with { ZDim = 8, LatentsMean = new double[8], LatentsStd = new double[8] }, weights),
            weights,
            new Blobs(),
            Batches(0)
        );
        using var loop = new TrainingLoop(task, Options("other", 4), Reporter.Silent);
        var error = Assert.Throws<SoraException>(() => loop.Run(CancellationToken.None));
        Assert.Contains("state.safetensors", error.Message);
    }

    [Fact]
    public void AnInflatedVaeTreatsEveryFrameAsAStill()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var weights = Weights.Initialise(1);
        var vae = new CausalVae(Tiny, weights);
        VaeTask.Inflate(weights.Named());
        var conv = weights.Named()["encoder.conv_in.weight"];
        Assert.Equal(0, conv.narrow(2, 0, 2).abs().max().ToDouble());
        Assert.NotEqual(0, conv.select(2, 2).abs().max().ToDouble());
        // The same picture five times: both chunks of latents decode, and all frames of a latent frame are alike.
        var still = ClipBatches.Draw(new Blobs(), Still, 3, 1).Pixels();
        var video = vae.Decode(vae.Encode(still.expand(-1, -1, 9, -1, -1).contiguous()));
        var later = video.narrow(2, 5, 4);
        Assert.True((later - video.narrow(2, 5, 1)).abs().max().ToDouble() < 1e-6);
    }

    private static double[] Losses(string run) =>
        [
            .. File.ReadLines(Path.Combine(run, "training", "loss.csv"))
                .Skip(1)
                .Select(line => double.Parse(line.Split(',')[1], System.Globalization.CultureInfo.InvariantCulture)),
        ];

    private TrainingOptions Options(string name, long steps) =>
        new(Path.Combine(folder, name), steps, new OptimizerOptions(5e-3, 5e-3))
        {
            Threads = 1,
            Warmup = 2,
            CheckpointEvery = 2,
            ValidateEvery = 3,
            SampleEvery = 6,
        };

    private static ClipBatches Batches(long first) => new(new Blobs(), [(Still, 3), (Moving, 2)], seed: 7, first);

    /// <summary>Trains up to a step, as a run that is stopped there does.</summary>
    private void Train(string name, long steps, long until)
    {
        var options = Options(name, steps);
        using var weights = Weights.Initialise(5);
        using var task = new VaeTask(new CausalVae(Tiny, weights), weights, new Blobs(), Batches(TrainingLoop.SavedStep(options)));
        using var stop = new CancellationTokenSource();
        using var loop = new TrainingLoop(task, options, new StopAfter(until, steps, stop));
        if (until == steps)
            loop.Run(stop.Token);
        else
            Assert.Throws<OperationCanceledException>(() => loop.Run(stop.Token));
    }

    private sealed class StopAfter(long until, long steps, CancellationTokenSource stop) : Reporter
    {
        public override void Note(string message) { }

        public override void Warn(string message) { }

        public override void Progress(string stage, long done, long total)
        {
            if (done == until && until < steps)
                stop.Cancel();
        }
    }

    /// <summary>A soft bright disc that moves over a plain colour.</summary>
    private sealed class Blobs : ClipSource
    {
        public override IEnumerable<string> Words => ["disc"];

        public override string Caption(ulong seed, ClipShape shape, ulong variant) => "disc";

        public override void Draw(ulong seed, ClipShape shape, Span<byte> rgb)
        {
            var random = new Rng(seed);
            var (x0, y0, dx, ground) = (random.Uniform(3, 13), random.Uniform(3, 13), random.Uniform(-1, 1), random.Uniform(0, 100));
            for (var i = 0; i < rgb.Length; i++)
            {
                var (place, f) = (i / 3 % (shape.Width * shape.Height), i / 3 / (shape.Width * shape.Height));
                var (x, y) = (place % shape.Width - x0 - (dx * f), place / shape.Width - y0);
                rgb[i] = (byte)(ground + (150 * Math.Exp(-((x * x) + (y * y)) / (6 + (i % 3)))));
            }
        }
    }
}
