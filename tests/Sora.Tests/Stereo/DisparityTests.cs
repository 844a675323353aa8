using Sora.Eval;
using Sora.Stereo;
using Sora.World;
using Xunit;

namespace Sora.Tests.Stereo;

/// <summary>Against the projections of the world's cameras, and on depths whose disparities are known.</summary>
public class DisparityTests
{
    private const int Columns = 100,
        Rows = 6;

    private static readonly StereoOptions Unlimited = new() { MaxDisparity = 100, EaseFrames = 0 };

    /// <summary>Where the pixels of one camera are in the other one's picture: they move to the left by their disparity.</summary>
    [Fact]
    public void MetricDisparityIsWhatTheCamerasProject()
    {
        for (var number = 0ul; number < 4; number++)
        {
            var world = new EyeWorld(number, 48, 32, 0.07);
            var options = Unlimited with { Baseline = 0.07, FieldOfView = world.FieldOfView, Convergence = double.PositiveInfinity };
            var disparity = Next(world.Depth, 48, 32, DepthKind.Metric, options);
            var before = Next(world.Depth, 48, 32, DepthKind.Metric, options with { Convergence = 3 });
            for (var i = 0; i < disparity.Length; i++)
            {
                var depth = (double)world.Depth[i];
                // Near is crossed: positive, and the nearer the more.
                Assert.Equal(Math.Sign(3 - depth), Math.Sign(before[i]));
                if (double.IsInfinity(depth))
                {
                    Assert.Equal(0, disparity[i]);
                    continue;
                }
                var (x, y) = ((2 * (i % 48) + 1.0) / 48 - 1, 1 - (2 * (i / 48) + 1.0) / 32);
                var (from, to) = (world.LeftCamera, world.RightCamera);
                var ray = from.Forward + from.Right * (x * from.HalfHeight * world.Aspect) + from.Up * (y * from.HalfHeight);
                var (seen, height, far) = to.Project(from.Eye + ray * depth, world.Aspect);
                Assert.Equal((x - seen) * 48 / 2, disparity[i], 0.001);
                Assert.Equal(y, height, 1e-6);
                Assert.Equal(depth, far, 1e-6);
            }
        }
    }

    [Fact]
    public void RelativeDepthFillsTheBudgetAroundTheScreen()
    {
        var depth = Ramp();
        var disparity = Next(depth, Columns, Rows, DepthKind.Relative, new StereoOptions { Convergence = 0.25, MaxDisparity = 4 });
        for (var i = 0; i < depth.Length; i++)
            Assert.Equal(4 * (depth[i] - 0.25), disparity[i], 1e-5);
    }

    [Fact]
    public void AThirdLiesBeforeTheScreenByItself()
    {
        var disparity = Next(Ramp(), Columns, Rows, DepthKind.Relative, new StereoOptions());
        // From 0.02 to 0.98, without the 2 % outside, a third is before 0.66; 0 to 1 takes 3 % of 100 columns.
        Assert.Equal(3 * 0.34, disparity.Max(), 0.01);
        Assert.Equal(-3 * 0.66, disparity.Min(), 0.01);
        // A few wrong pixels move nothing, since no more than 2 % count as outside.
        var damaged = Ramp();
        for (var i = 0; i < 4; i++)
            damaged[i * 130] = 1;
        var moved = Next(damaged, Columns, Rows, DepthKind.Relative, new StereoOptions());
        Assert.InRange(moved[^50] - disparity[^50], -0.05, 0.05);
    }

    [Fact]
    public void ALongBaselineIsShortenedToTheBudget()
    {
        // 1 and 0.5 per metre, in halves.
        var depth = Enumerable.Range(0, Columns * Rows).Select(i => i % Columns < 50 ? 1f : 2).ToArray();
        var options = new StereoOptions { MaxDisparity = 6, FieldOfView = 90 };
        // 50 pixels of focal length: 0.063 m make 3.15 pixels for each of 1 / m, and half of that between the two.
        Assert.Equal(1.575, Range(options), 1e-4);
        Assert.Equal(6, Range(options with { Baseline = 10 }), 1e-4);
        // All that is between the screen, at infinity, and the nearest counts.
        Assert.Equal(3, Range(options with { Baseline = 10, Convergence = double.PositiveInfinity }), 1e-4);

        double Range(StereoOptions options)
        {
            var disparity = Next(depth, Columns, Rows, DepthKind.Metric, options);
            return disparity.Max() - disparity.Min();
        }
    }

    [Fact]
    public void ChangesAreEasedAndCutsAreNot()
    {
        var options = new StereoOptions { EaseFrames = 10 };
        var (eased, cut) = (
            new Disparity(Columns, Rows, DepthKind.Relative, options),
            new Disparity(Columns, Rows, DepthKind.Relative, options)
        );
        var (far, near, disparity) = (Filled(0.2f), Filled(0.8f), new float[Columns * Rows]);
        eased.Next(far, disparity);
        Assert.Equal(0.2, eased.Screen, 1e-6);
        var last = eased.Screen;
        for (var frame = 1; frame <= 10; frame++)
        {
            eased.Next(near, disparity);
            // At most a tenth of the way in a frame.
            Assert.InRange(eased.Screen - last, 0.001, 0.06);
            last = eased.Screen;
        }
        Assert.Equal(0.2 + 0.6 * (1 - Math.Exp(-1)), eased.Screen, 1e-6);
        eased.Next(near, disparity, cut: true);
        Assert.Equal(0.8, eased.Screen, 1e-6);
        // The first frame is no change of anything.
        cut.Next(near, disparity);
        Assert.Equal(eased.Screen, cut.Screen);
        Assert.All(disparity, d => Assert.Equal(0, d, 1e-5));
    }

    [Theory]
    [InlineData(DepthKind.Metric, 1, 1)]
    [InlineData(DepthKind.Metric, float.PositiveInfinity, 0)]
    [InlineData(DepthKind.Metric, float.NaN, 0)]
    [InlineData(DepthKind.Metric, 0, 0)]
    [InlineData(DepthKind.Metric, -2, 0)]
    [InlineData(DepthKind.Relative, 0.5f, 0.5f)]
    [InlineData(DepthKind.Relative, 1.5f, 1)]
    [InlineData(DepthKind.Relative, float.PositiveInfinity, 1)]
    [InlineData(DepthKind.Relative, float.NaN, 0)]
    [InlineData(DepthKind.Relative, -1, 0)]
    public void WhatIsNoDepthIsFar(DepthKind kind, float depth, float inverse)
    {
        // 19 columns end within a vector.
        var options = new StereoOptions
        {
            Convergence = kind == DepthKind.Metric ? double.PositiveInfinity : 0,
            MaxDisparity = 100,
            FieldOfView = 90,
            Baseline = 2,
        };
        Assert.All(
            Next([.. Enumerable.Repeat(depth, 19)], 19, 1, kind, options),
            // 9.5 pixels of focal length by 2 m, or 100 % of the width.
            disparity => Assert.Equal(inverse * 19, disparity, 1e-4f)
        );
    }

    [Fact]
    public void MeaninglessOptionsAreRefused()
    {
        StereoOptions[] refused =
        [
            new() { Baseline = 0 },
            new() { Baseline = double.NaN },
            new() { MaxDisparity = 0 },
            new() { MaxDisparity = 101 },
            new() { FieldOfView = 180 },
            new() { EdgeDilation = -1 },
            new() { EaseFrames = -1 },
            new() { Convergence = -1 },
            new() { Convergence = double.NaN },
        ];
        Assert.All(refused, options => Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(options.Validate).Kind));
        Assert.Throws<SoraException>(() => new Disparity(4, 4, DepthKind.Relative, new StereoOptions { Convergence = 1.5 }));
        Assert.Throws<SoraException>(() => new Disparity(4, 4, DepthKind.Metric, new StereoOptions { Convergence = 0 }));
        Assert.Throws<ArgumentException>(() => Next(new float[15], 4, 4, DepthKind.Metric, new StereoOptions()));
        new StereoOptions().Validate();
    }

    /// <summary>Moving aside is no turning: the world's two cameras look the same way, one to the right of the other.</summary>
    [Fact]
    public void TheOtherCameraStandsToTheRight()
    {
        var world = new EyeWorld(3, 16, 16, 0.5);
        var offset = world.RightCamera.Eye - world.LeftCamera.Eye;
        Assert.Equal(0.5, Point.Dot(offset, world.LeftCamera.Right), 1e-9);
        Assert.Equal(0.5, offset.Length, 1e-9);
        Assert.Equal(world.LeftCamera.Forward, world.RightCamera.Forward);
    }

    private static float[] Next(float[] depth, int width, int height, DepthKind kind, StereoOptions options)
    {
        var disparity = new float[width * height];
        new Disparity(width, height, kind, options).Next(depth, disparity);
        return disparity;
    }

    /// <summary>From 0 to 1 over all pixels.</summary>
    private static float[] Ramp() => [.. Enumerable.Range(0, Columns * Rows).Select(i => i / (Columns * Rows - 1f))];

    private static float[] Filled(float value) => [.. Enumerable.Repeat(value, Columns * Rows)];
}
