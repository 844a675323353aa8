using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Nn;
using Sora.Pipelines;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

public class StepCacheTests
{
    private const int Steps = 40;

    /// <summary>What the cache says of its error is what its error is, and the result is as near as that.</summary>
    [Theory]
    [InlineData(0.02)]
    [InlineData(0.05)]
    [InlineData(0.1)]
    public void TheEstimateIsOfTheSizeOfTheError(double threshold)
    {
        using var scope = NewDisposeScope();
        var (exact, _) = Sample(null);
        using var cache = new StepCache(threshold, Steps);
        var (cached, errors) = Sample(cache);
        var told = cache.State!.Progress;
        Assert.InRange(told.Skipped, 5, Steps - 6);
        Assert.Equal(told.Skipped, errors.Count(error => error > 0));
        Assert.InRange(told.Largest, threshold / 4, threshold);
        Assert.InRange(errors.Sum() / told.Change, 0.5, 2);
        Assert.InRange(Distance(cached, exact), 1e-5, threshold);
    }

    [Fact]
    public void TheStartAndTheLastCallAreTheNetworks()
    {
        using var scope = NewDisposeScope();
        using var cache = new StepCache(1000, Steps);
        var (_, errors) = Sample(cache);
        Assert.All(errors.Take(Steps / 10), error => Assert.Equal(0, error));
        Assert.All(errors.Skip(Steps / 10).SkipLast(1), error => Assert.NotEqual(0, error));
        Assert.Equal(0, errors[^1]);
    }

    [Fact]
    public void ThresholdZeroLeavesNothingOut()
    {
        using var scope = NewDisposeScope();
        using var cache = new StepCache(0, Steps);
        Assert.Equal(0, Distance(Sample(cache).Result, Sample(null).Result));
        Assert.Equal(0, cache.State!.Progress.Skipped);
    }

    /// <summary>Another expert is asked twice before its answers are foreseen.</summary>
    [Fact]
    public void AChangeOfPhaseStartsAnew()
    {
        using var scope = NewDisposeScope();
        using var cache = new StepCache(1000, Steps);
        var asked = new List<int>();
        for (var call = 0; call < Steps; call++)
        {
            var x = full([4], (float)call);
            cache.Velocity(
                x,
                call,
                call < 20 ? 0 : 1,
                () =>
                {
                    asked.Add(call);
                    return x * 2;
                }
            );
        }
        Assert.Equal([0, 1, 2, 3, 20, 21, Steps - 1], asked);
    }

    /// <summary>A run resumed from a file equals one that never stopped, cache and all, with guidance and two experts too.</summary>
    [Theory]
    [InlineData("wan21-t2v", "unipc")]
    [InlineData("wan21-t2v", "heun")]
    [InlineData("wan22-ti2v", "euler")]
    [InlineData("wan22-a14b-t2v", "dpm++")]
    public void ARunThatIsResumedIsTheSame(string name, string sampler)
    {
        var model = Opened.Wan(Golden.Path("models", name));
        var settings = ModelDefaults.Of(model).Settings with
        {
            Prompt = "cat",
            Negative = "dog",
            Guidance = 3,
            TextLength = 16,
            Width = 32,
            Height = 32,
            Frames = 5,
            Seed = 1,
            Steps = 12,
            Sampler = sampler,
            Cache = 1000,
            Boundary = model.Transformer2 is null ? null : 0.6,
        };
        var said = new Notes();
        using var pipeline = new VideoPipeline(model, new Precision(CPU, float32), said, CancellationToken.None);
        var whole = pipeline.Generate(settings, Conditioning.Nothing);
        var report = Assert.Single(said.Lines);
        Assert.DoesNotContain("stood for 0 of", report);
        var plain = pipeline.Generate(settings with { Cache = null }, Conditioning.Nothing);
        Assert.NotEqual(plain.FinishedLatents.Data, whole.FinishedLatents.Data);
        foreach (var until in (int[])[1, 5, 9])
        {
            using var file = new MemoryStream();
            new ClipWriter(file, isSingle: true).Write(
                pipeline.Generate(settings, Conditioning.Nothing, null, new RunOptions { Until = until })
            );
            file.Position = 0;
            var resumed = pipeline.Resume(Assert.Single(new ClipReader().ReadAll(file, "clip")));
            Assert.Equal(whole.FinishedLatents.Data, resumed.FinishedLatents.Data);
            Assert.Equal(report, said.Lines[^1]);
        }
    }

    /// <summary>A run on the velocity of normal data, and the relative error of every call's answer.</summary>
    private static (Tensor Result, List<double> Errors) Sample(StepCache? cache)
    {
        var schedule = Schedule.Create(
            new ScheduleOptions
            {
                Spacing = Spacing.Flow,
                Steps = Steps,
                Shift = 3,
            }
        );
        using var generator = new Generator(3);
        var (mean, deviation) = (randn([64], generator: generator), rand([64], generator: generator) + 0.1);
        var errors = new List<double>();
        var run = new SamplerRun(
            schedule,
            Samplers.Euler,
            (x, level) =>
            {
                var (alpha, sigma) = (1 - level.Sigma, level.Sigma);
                Tensor Exact() =>
                    (x - mean - (x - mean * alpha) * (deviation.square() * alpha / (deviation.square() * (alpha * alpha) + sigma * sigma)))
                    / sigma;
                var answer = cache?.Velocity(x, level.Call, 0, Exact) ?? Exact();
                errors.Add(Distance(answer, Exact()));
                return answer;
            },
            _ => throw new InvalidOperationException()
        );
        return (run.Run(new SamplerState(0, randn([64], generator: generator)), Steps).Latents, errors);
    }

    private static double Distance(Tensor actual, Tensor expected) => ((actual - expected).abs().mean() / expected.abs().mean()).ToDouble();

    private sealed class Notes : Reporter
    {
        public List<string> Lines { get; } = [];

        public override void Note(string message) => Lines.Add(message);

        public override void Warn(string message) { }

        public override void Progress(string stage, long done, long total) { }
    }
}
