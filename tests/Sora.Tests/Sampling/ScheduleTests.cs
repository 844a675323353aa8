using Sora.Diffusion;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Sampling;

public class ScheduleTests
{
    public static IEnumerable<object[]> Runs() =>
        Directory
            .EnumerateFiles(Golden.Path("cases", "samplers"))
            .Select(path => Path.GetFileNameWithoutExtension(path))
            .Where(name => !name.StartsWith("tables-") && !name.StartsWith("noise-levels-"))
            .Order(StringComparer.Ordinal)
            .Select(name => new object[] { name });

    [Theory]
    [InlineData("unipc")]
    [InlineData("dpmpp")]
    [InlineData("euler")]
    [InlineData("heun")]
    public void TablesEqualTheReference(string family)
    {
        using var golden = GoldenCase.Open($"samplers/tables-{family}");
        var spacing = ReferenceRun.SpacingOf(golden.Params.GetProperty("cls").GetString()!);
        foreach (var shift in golden.Params.GetProperty("shifts").EnumerateArray().Select(value => value.GetDouble()))
        {
            foreach (var steps in golden.Params.GetProperty("steps").EnumerateArray().Select(value => value.GetInt32()))
            {
                var schedule = Schedule.Create(
                    new ScheduleOptions
                    {
                        Spacing = spacing,
                        Steps = steps,
                        Shift = shift,
                    }
                );
                AssertEqual(golden, schedule, $".shift{shift}.steps{steps}", 0);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void TheTableOfEachRunEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open($"samplers/{name}");
        var schedule = Schedule.Create(ReferenceRun.Schedule(golden.Params));
        var first = (int)(ReferenceRun.Number(golden.Params, "first_index") ?? 0);
        AssertEqual(golden, schedule, "", first);
        if (ReferenceRun.Number(golden.Params, "strength") is { } strength)
            Assert.Equal(first, schedule.FirstCall(strength, golden.Params.GetProperty("order").GetInt32()));
    }

    [Fact]
    public void TheOriginalScheduleIsTheReferenceGivenAsLevels()
    {
        foreach (var (shift, steps) in new[] { (5.0, 4), (5.0, 8), (5.0, 20), (12.0, 20) })
        {
            using var golden = GoldenCase.Open($"samplers/unipc-original-schedule-shift{shift}-steps{steps}");
            AssertEqual(
                golden,
                Schedule.Create(
                    new ScheduleOptions
                    {
                        Spacing = Spacing.Original,
                        Steps = steps,
                        Shift = shift,
                    }
                ),
                "",
                0
            );
        }
    }

    [Theory]
    [InlineData(0.5, 0.5)]
    [InlineData(0.5, 0.7)]
    [InlineData(1.5, 0.7)]
    [InlineData(0.5, 0.0)]
    public void LevelsThatDoNotFallAreRefused(double first, double second)
    {
        var error = Assert.Throws<SoraException>(() => Schedule.Create(new ScheduleOptions { Sigmas = [first, second] }));
        Assert.Equal(ErrorKind.Usage, error.Kind);
    }

    private static void AssertEqual(GoldenCase golden, Schedule schedule, string suffix, int first)
    {
        var error = GoldenCase.RelativeError(schedule.Sigmas.ToArray(), golden.Out("sigmas" + suffix));
        Assert.True(error <= 1e-7, $"sigmas{suffix}: {error}");
        var timesteps = schedule.Timesteps.Skip(first).ToArray();
        if (golden.File.Info("out.timesteps" + suffix).DType == DType.I64)
            Assert.Equal(golden.OutIntegers("timesteps" + suffix), timesteps.Select(t => (long)t));
        else
            Assert.True(GoldenCase.RelativeError(timesteps, golden.Out("timesteps" + suffix)) <= 1e-7, "timesteps" + suffix);
    }
}
