using System.Numerics;
using Sora.World;
using Xunit;

namespace Sora.Tests.World;

/// <summary>Physics against closed forms.</summary>
public class SimulationTests
{
    private const double Fine = 960;

    internal static SceneObject Object(Shape shape, Motion motion, double scale = 0.5) =>
        new()
        {
            Shape = shape,
            Colour = Colour.Red,
            Size = ObjectSize.Medium,
            Motion = motion,
            Scale = scale,
            Start = new Point(0, Solid.Of(shape, scale).HalfHeight, 0),
        };

    internal static Scene Scene(double seconds, params SceneObject[] objects) =>
        new()
        {
            Objects = objects,
            Ground = Ground.Sand,
            Sky = Sky.Clear,
            Camera = new CameraPath
            {
                Move = CameraMove.Static,
                Amount = 0,
                Duration = seconds,
                Distance = 3,
                Height = 0.8,
                TargetHeight = 0.5,
                HalfHeight = 0.27,
            },
            Duration = seconds,
            Light = new Point(0.5, 0.7, 0.5) * (1 / Math.Sqrt(0.99)),
        };

    private static Simulation Run(double seconds, params SceneObject[] objects) =>
        Simulation.Run(Scene(seconds, objects), (int)(seconds * Fine) + 1, Fine);

    [Fact]
    public void AFallingBallFollowsTheParabola()
    {
        var ball = Object(Shape.Ball, Motion.Fall) with { Start = new Point(0, 1.05, 0) };
        var simulation = Simulation.Run(Scene(1, ball), 17, 16);
        var lands = Math.Sqrt(2 * 0.8 / Simulation.Gravity);
        for (var frame = 0; frame / 16.0 < lands; frame++)
        {
            var t = frame / 16.0;
            Assert.Equal(1.05 - 0.5 * Simulation.Gravity * t * t, simulation.At(frame, 0).Position.Y, 1e-9);
            Assert.Equal(-Simulation.Gravity * t, simulation.Velocity(frame, 0).Y, 1e-9);
        }
        Assert.Equal(0.25, simulation.At(16, 0).Position.Y, 1e-12);
    }

    [Fact]
    public void EachBounceReachesTheHeightThatRestitutionLeaves()
    {
        const double drop = 0.6,
            e = 0.85;
        var ball = Object(Shape.Ball, Motion.Bounce) with { Start = new Point(0, 0.25 + drop, 0), Restitution = e };
        var simulation = Run(3, ball);
        var heights = Enumerable.Range(0, simulation.Frames).Select(f => simulation.At(f, 0).Position.Y - 0.25).ToArray();
        var peaks = Enumerable
            .Range(1, heights.Length - 2)
            .Where(f => heights[f] > heights[f - 1] && heights[f] >= heights[f + 1])
            .Select(f => heights[f])
            .ToArray();
        for (var bounce = 0; bounce < 4; bounce++)
            Assert.Equal(drop * Math.Pow(e, 2 * (bounce + 1)), peaks[bounce], 1e-5);
        Assert.True(heights.Min() > -1e-9);
    }

    [Fact]
    public void AJumpTakesAsLongAsItsParabola()
    {
        const double speed = 2.5,
            pause = 0.05;
        var cube = Object(Shape.Cube, Motion.Jump) with { JumpSpeed = speed, JumpPause = pause };
        var simulation = Run(0.7, cube);
        var up = Enumerable.Range(0, simulation.Frames).Where(f => simulation.At(f, 0).Position.Y > 0.21 + 1e-9).ToArray();
        var lands = up.TakeWhile((f, i) => f == up[0] + i).Last();
        Assert.Equal(2 * speed / Simulation.Gravity, (lands - up[0]) / Fine, 5e-3);
        Assert.Equal(0.21 + speed * speed / (2 * Simulation.Gravity), up.Max(f => simulation.At(f, 0).Position.Y), 1e-4);
    }

    [Theory]
    [InlineData(Shape.Ball, Motion.RollLeft, 0.25)]
    [InlineData(Shape.Ball, Motion.RollToward, 0.25)]
    [InlineData(Shape.Ring, Motion.RollRight, 0.25)]
    public void WhatRollsDoesNotSlip(Shape shape, Motion motion, double radius)
    {
        var velocity = motion switch
        {
            Motion.RollLeft => new Point(-1.3, 0, 0.2),
            Motion.RollToward => new Point(0.1, 0, 1.1),
            _ => new Point(1.2, 0, -0.3),
        };
        var simulation = Run(0.6, Object(shape, motion) with { Velocity = velocity, Drag = 0.4 });
        for (var frame = 100; frame < simulation.Frames; frame += 97)
        {
            // The material point that touches the ground now stands still: its place a moment ago and in a moment differ
            // by the second order of time only.
            var now = simulation.At(frame, 0);
            var touching = Vector3.Transform(new Vector3(0, -(float)radius, 0), Quaternion.Inverse(now.Orientation));
            var (before, after) = (Place(simulation.At(frame - 1, 0), touching), Place(simulation.At(frame + 1, 0), touching));
            var speed = (after - before).Length * Fine / 2;
            Assert.InRange(speed, 0, 0.01 * simulation.Velocity(frame, 0).Length);
        }
    }

    private static Point Place(Pose pose, Vector3 local)
    {
        var turned = Vector3.Transform(local, pose.Orientation);
        return pose.Position + new Point(turned.X, turned.Y, turned.Z);
    }

    [Theory]
    [InlineData(Shape.Ball, 0.5, Shape.Ball, 0.7)]
    [InlineData(Shape.Ball, 0.6, Shape.Cube, 0.5)]
    [InlineData(Shape.Cylinder, 0.5, Shape.Cube, 0.7)]
    public void ACollisionKeepsMomentumAndRestitution(Shape first, double firstScale, Shape second, double secondScale)
    {
        var a = Object(first, Motion.SlideRight, firstScale);
        var b = Object(second, Motion.Still, secondScale);
        a = a with { Start = a.Start with { X = -0.9 }, Velocity = new Point(2, 0, 0) };
        var simulation = Run(0.6, a, b);
        var contact = Assert.Single(simulation.Contacts);
        var touch = Simulation.ContactDistance(a, b);
        Assert.Equal((0.9 - touch) / 2, contact.Seconds, 1e-9);

        var (ma, mb) = (a.Solid.Volume, b.Solid.Volume);
        var (va, vb) = (simulation.Velocity(simulation.Frames - 1, 0).X, simulation.Velocity(simulation.Frames - 1, 1).X);
        Assert.Equal(ma * 2, ma * va + mb * vb, 1e-9);
        Assert.Equal(Simulation.ContactRestitution * 2, vb - va, 1e-9);
        // Where they are now agrees with having parted at the exact moment of touching.
        var parted = 0.6 - (0.9 - touch) / 2;
        Assert.Equal(parted * vb, simulation.At(simulation.Frames - 1, 1).Position.X, 1e-9);
        for (var frame = 0; frame < simulation.Frames; frame++)
            Assert.True(simulation.At(frame, 1).Position.X - simulation.At(frame, 0).Position.X > touch - 0.02);
    }

    [Fact]
    public void TwoSpheresTouchAtTheSumOfTheirRadii()
    {
        var (a, b) = (Object(Shape.Ball, Motion.Still, 0.4), Object(Shape.Ball, Motion.Still, 0.8));
        var sideways = Simulation.ContactDistance(a, b);
        Assert.Equal(0.6, Math.Sqrt(sideways * sideways + 0.2 * 0.2), 1e-12);
    }

    [Fact]
    public void AnOrbitIsACircle()
    {
        var cone = Object(Shape.Cone, Motion.Orbit);
        cone = cone with { Start = cone.Start + new Point(0.4, 0, 0), OrbitCentre = new Point(0, 0, 0), OrbitRate = 3 };
        var simulation = Run(1, cone);
        for (var frame = 0; frame < simulation.Frames; frame += 60)
        {
            var place = simulation.At(frame, 0).Position;
            Assert.Equal(0.4 * Math.Cos(3 * frame / Fine), place.X, 1e-9);
            Assert.Equal(-0.4 * Math.Sin(3 * frame / Fine), place.Z, 1e-9);
        }
    }

    [Fact]
    public void ASpinTurnsAtItsRate()
    {
        var simulation = Run(0.5, Object(Shape.Cube, Motion.Spin) with { SpinRate = 2 });
        var x = Vector3.Transform(Vector3.UnitX, simulation.At(simulation.Frames - 1, 0).Orientation);
        Assert.Equal(Math.Cos(1), x.X, 1e-4);
        Assert.Equal(-Math.Sin(1), x.Z, 1e-4);
    }

    [Fact]
    public void DragStopsAnObjectWhereEnergySays()
    {
        var cube = Object(Shape.Cube, Motion.SlideRight) with { Velocity = new Point(1, 0, 0), Drag = 2 };
        var simulation = Run(1, cube);
        Assert.Equal(1.0 / (2 * 2), simulation.At(simulation.Frames - 1, 0).Position.X, 1e-9); // v² / 2a
        Assert.Equal(0, simulation.Velocity(simulation.Frames - 1, 0).Length);
    }

    [Fact]
    public void AnObjectThatStopsAndSpinsDoesSo()
    {
        var cube = Object(Shape.Cube, Motion.SlideRight) with
        {
            Velocity = new Point(1, 0, 0),
            Then = FollowUp.StopAndSpin,
            ThenAt = 0.5,
            SpinRate = 3,
        };
        var simulation = Run(2, cube);
        Assert.Equal(Quaternion.Identity, simulation.At((int)(0.4 * Fine), 0).Orientation);
        var (early, late) = (simulation.At((int)(1.2 * Fine), 0), simulation.At((int)(1.9 * Fine), 0));
        Assert.Equal(early.Position, late.Position);
        Assert.NotEqual(early.Orientation, late.Orientation);
    }

    [Fact]
    public void OtherFrameRatesSeeTheSameMotion()
    {
        var ball = Object(Shape.Ball, Motion.Bounce) with { Start = new Point(0, 0.9, 0), Restitution = 0.8 };
        var (coarse, fine) = (Simulation.Run(Scene(2, ball), 21, 10), Simulation.Run(Scene(2, ball), 61, 30));
        for (var frame = 0; frame < 21; frame++)
            Assert.Equal(coarse.At(frame, 0).Position.Y, fine.At(3 * frame, 0).Position.Y, 1e-6);
    }
}
