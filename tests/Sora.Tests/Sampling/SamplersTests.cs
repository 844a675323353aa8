using System.Text.Json;
using Sora.Diffusion;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

public class SamplersTests
{
    public static IEnumerable<object[]> Runs() => ScheduleTests.Runs();

    /// <summary>Every run with the closed-form model of the reference, evaluated in float64.</summary>
    [Theory]
    [MemberData(nameof(Runs))]
    public void EachRunEqualsTheReference(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"samplers/{name}");
        var (run, start) = Prepare(golden);
        var states = Split(golden.Out("x"), golden.InShape("x"));
        AssertClose(golden, "start", states[0], start.Latents);
        var calls = 0;
        run.Run(
            start,
            int.MaxValue,
            state =>
            {
                // The reference's last latents with bh1 are not numbers; ours are x0.
                if (++calls < states.Count)
                    AssertClose(golden, $"call {calls}", states[calls], state.Latents);
                else
                    Assert.True(ReferenceRun.Flag(golden.Params, "drop_last") && state.Latents.isfinite().all().item<bool>());
            }
        );
        Assert.Equal(run.Schedule.Calls - start.Call, calls);
    }

    [Fact]
    public void GuidanceLeadsASceneAndTheLatentsByTheRootOfIt()
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var (without, with) = (randn([2, 5, 1, 2, 2]), randn([2, 5, 1, 2, 2]));
        var (plain, scene) = (Samplers.Guided(without, with, 4), Samplers.Guided(without, with, 4, scene: 2));
        for (var channel = 0; channel < 5; channel++)
        {
            double At(Tensor values) => values[1, channel, 0, 1, 0].ToDouble();
            double Expected(double scale) => At(without) + ((At(with) - At(without)) * scale);
            Assert.Equal(Expected(4), At(plain), 1e-4);
            Assert.Equal(Expected(channel < 3 ? 2 : 4), At(scene), 1e-4);
        }
    }

    /// <summary>The same runs with the sampler and the table that the reference's <c>scheduler_config.json</c> asks for.</summary>
    [Theory]
    [MemberData(nameof(ConfiguredRuns))]
    public void EachRunFollowsFromTheConfigurationThatTheReferenceWrites(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"samplers/{name}");
        var config = SchedulerConfig.From(ConfigFile.Parse(name, RawConfig(golden)));
        var set = golden.Params.GetProperty("set");
        var settings = new SamplingSettings
        {
            Steps = (int)(ReferenceRun.Number(set, "num_inference_steps") ?? 0),
            Shift = config.Shift,
            Sigmas = ReferenceRun.Numbers(set, "sigmas"),
        };
        var (run, start) = Prepare(golden);
        var configured = run with { Schedule = settings.MakeSchedule(config), Step = settings.ChooseSampler(config).Step };
        Assert.Equal(run.Schedule.Sigmas, configured.Schedule.Sigmas);
        Assert.Equal(run.Schedule.Timesteps, configured.Schedule.Timesteps);
        Assert.Equal(
            run.Run(start, int.MaxValue).Latents.data<float>().ToArray(),
            configured.Run(start, int.MaxValue).Latents.data<float>().ToArray()
        );
    }

    /// <summary>Those that pipelines of Wan can have: none of them hands a mu, timesteps or another shift to its scheduler.</summary>
    public static IEnumerable<object[]> ConfiguredRuns() =>
        ScheduleTests
            .Runs()
            .Where(run =>
            {
                using var golden = GoldenCase.Open($"samplers/{run[0]}");
                return !ReferenceRun.Flag(golden.Params.GetProperty("config"), "use_dynamic_shifting")
                    && ReferenceRun.Number(golden.Params, "set_shift") is null
                    && ReferenceRun.Numbers(golden.Params.GetProperty("set"), "timesteps") is null;
            });

    /// <summary>A state written as plain numbers and read again goes on bit-identically, for every sampler and at every call.</summary>
    [Theory]
    [InlineData("euler-shift5-steps8")]
    [InlineData("heun-shift5-steps8")]
    [InlineData("unipc-order3-bh2-shift5-steps8")]
    [InlineData("dpmpp-order3-steps8")]
    [InlineData("sde-dpmpp-order2-heun-steps8")]
    [InlineData("lcm-shift8-steps8")]
    public void ARunCutAnywhereGoesOnBitIdentically(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"samplers/{name}");
        var (run, start) = Prepare(golden);
        var whole = run.Run(start, int.MaxValue).Latents.data<float>().ToArray();
        for (var cut = 1; cut < run.Schedule.Calls; cut++)
        {
            var state = run.Run(start, cut);
            Assert.Equal(cut, state.Call);
            Assert.Equal(whole, run.Run(Copy(state), int.MaxValue).Latents.data<float>().ToArray());
        }
    }

    [Theory]
    [InlineData("unipc")]
    [InlineData("dpmpp")]
    [InlineData("euler")]
    public void ACleanLatentIsNoisedToEachLevelAsInTheReference(string family)
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"samplers/noise-levels-{family}");
        var schedule = Schedule.Create(ReferenceRun.Schedule(golden.Params));
        var shape = golden.InShape("clean");
        var (clean, noise) = (tensor(golden.In("clean"), shape), tensor(golden.In("noise"), shape));
        var expected = Split(golden.Out("noised"), shape);
        for (var i = 0; i < schedule.Calls; i++)
            AssertClose(golden, $"level {i}", expected[i], Samplers.Noised(clean, noise, schedule.Sigmas[i]));
    }

    [Fact]
    public void ARunStopsWhenCancelled()
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open("samplers/euler-shift5-steps8");
        var (run, start) = Prepare(golden);
        using var stop = new CancellationTokenSource();
        var calls = 0;
        Assert.Throws<OperationCanceledException>(() =>
            run.Run(
                start,
                int.MaxValue,
                _ =>
                {
                    if (++calls == 3)
                        stop.Cancel();
                },
                stop.Token
            )
        );
        Assert.Equal(3, calls);
    }

    [Fact]
    public void ARunKeepsNothingButItsLastState()
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open("samplers/unipc-order3-bh2-shift5-steps20");
        var (run, start) = Prepare(golden);
        var before = scope.DisposablesCount;
        var end = run.Run(start, int.MaxValue);
        Assert.Equal(end.Tensors().Count(), scope.DisposablesCount - before);
    }

    private static (SamplerRun Run, SamplerState Start) Prepare(GoldenCase golden)
    {
        var schedule = Schedule.Create(ReferenceRun.Schedule(golden.Params));
        var shape = golden.InShape("x");
        var start = tensor(golden.In("x"), shape);
        var first = (int)(ReferenceRun.Number(golden.Params, "first_index") ?? 0);
        if (golden.Inputs.Contains("clean"))
            start = Samplers.Noised(tensor(golden.In("clean"), shape), start, schedule.Sigmas[first]);
        var noise = golden.Inputs.Contains("noise") ? Split(golden.In("noise"), shape) : [];
        var run = new SamplerRun(schedule, StepOf(golden.Params), Model(golden), call => tensor(noise[call], shape));
        return (run, new SamplerState(first, start));
    }

    /// <summary>The configuration as Python wrote it, with words that JSON doesn't have.</summary>
    private static string RawConfig(GoldenCase golden)
    {
        var text = golden.Metadata["params"];
        var start = text.IndexOf('{', text.IndexOf("\"scheduler_config\"", StringComparison.Ordinal));
        return text[start..(text.IndexOf('}', start) + 1)];
    }

    private static SamplerStep StepOf(JsonElement run)
    {
        var config = run.GetProperty("config");
        var order = (int)(ReferenceRun.Number(config, "solver_order") ?? 2);
        return run.GetProperty("cls").GetString() switch
        {
            "FlowMatchEulerDiscreteScheduler" => Samplers.Euler,
            "FlowMatchHeunDiscreteScheduler" => Samplers.Heun,
            "FlowMatchLCMScheduler" => Samplers.Lcm,
            "UniPCMultistepScheduler" => Samplers.UniPc(
                new UniPcOptions(
                    order,
                    ReferenceRun.Text(config, "solver_type") == "bh1",
                    ReferenceRun.Numbers(config, "disable_corrector")?.Select(call => (int)call).ToArray()
                )
            ),
            _ => Samplers.DpmPlusPlus(
                new DpmOptions(
                    order,
                    ReferenceRun.Text(config, "solver_type") == "heun",
                    ReferenceRun.Text(config, "algorithm_type") == "sde-dpmsolver++",
                    !config.TryGetProperty("lower_order_final", out var lower) || lower.GetBoolean()
                )
            ),
        };
    }

    /// <summary>v = tanh(A x + b0 + s b1) + cos(3 s) b2, s = t / 1000.</summary>
    private static Denoiser Model(GoldenCase golden)
    {
        float[] a = golden.In("A"),
            b0 = golden.In("b0"),
            b1 = golden.In("b1"),
            b2 = golden.In("b2");
        return (latents, level) =>
        {
            var x = latents.data<float>().ToArray();
            var s = (double)level.Timestep / 1000;
            var v = new float[x.Length];
            for (var i = 0; i < v.Length; i++)
            {
                double sum = b0[i] + s * b1[i];
                for (var j = 0; j < x.Length; j++)
                    sum += (double)a[i * x.Length + j] * x[j];
                v[i] = (float)(Math.Tanh(sum) + Math.Cos(3 * s) * b2[i]);
            }
            return tensor(v, latents.shape);
        };
    }

    private static SamplerState Copy(SamplerState state) =>
        new(state.Call, Copy(state.Latents))
        {
            Predictions = [.. state.Predictions.Select(Copy)],
            Previous = state.Previous is { } previous ? Copy(previous) : null,
            Order = state.Order,
        };

    private static Tensor Copy(Tensor original) => tensor(original.data<float>().ToArray(), original.shape);

    private static List<float[]> Split(float[] values, long[] shape) => [.. values.Chunk((int)shape.Aggregate((a, b) => a * b))];

    private static void AssertClose(GoldenCase golden, string what, float[] expected, Tensor actual)
    {
        var error = GoldenCase.RelativeError(actual.data<float>().ToArray(), expected);
        Assert.True(error <= golden.Tolerance, $"{what}: {error:g3} above {golden.Tolerance:g3}");
    }
}
