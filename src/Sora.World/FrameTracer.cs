using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>What eight rays saw.</summary>
internal readonly struct Seen(V3 colour, V depth, V kind)
{
    /// <summary>From here on <see cref="Kind"/> is an object: two kinds for each.</summary>
    public const int FirstObject = 4;

    /// <summary>Linear colour in [0, 1].</summary>
    public readonly V3 Colour = colour;

    /// <summary>Depth in metres.</summary>
    public readonly V Depth = depth;

    /// <summary>0 sky, 2 ground, 2 i + 2 object i (from 1); one more in another object's shadow.</summary>
    public readonly V Kind = kind;
}

/// <summary>One moment of a scene, ready to be looked at: casts rays and lights what they meet.</summary>
internal sealed class FrameTracer
{
    private const float FogDistance = 15;
    private readonly Body[] bodies;
    private readonly Scene scene;
    private readonly SkyModel sky;
    private readonly Arrow eye,
        right,
        up,
        forward,
        light;
    private readonly float seconds,
        pixel,
        hand,
        acrossX,
        acrossZ,
        alongX,
        alongZ;
    private readonly Rgb lit,
        bounce;

    public FrameTracer(Scene scene, Pose[] poses, double seconds, double aspect, int height)
    {
        this.scene = scene;
        sky = SkyModel.Of(scene.Sky);
        var camera = scene.Camera.At(seconds);
        eye = Arrow.Of(camera.Eye);
        forward = Arrow.Of(camera.Forward); // one unit forward: distances along rays are depths
        right = Arrow.Of(camera.Right * (camera.HalfHeight * aspect));
        up = Arrow.Of(camera.Up * camera.HalfHeight);
        this.light = Arrow.Of(scene.Light);
        (acrossX, acrossZ) = (MathF.Abs((float)camera.Right.X), MathF.Abs((float)camera.Right.Z));
        (alongX, alongZ) = (MathF.Abs(forward.X), MathF.Abs(forward.Z));
        this.seconds = (float)seconds;
        pixel = (float)(2 * camera.HalfHeight / height);
        hand = scene.Mirrored ? -1 : 1;
        var ground = Grounds.Mean(scene.Ground);
        var light = sky.Ambient + sky.Sun * (0.5f * (float)scene.Light.Y);
        lit = new Rgb(ground.R * light.R, ground.G * light.G, ground.B * light.B);
        bounce = lit * 0.7f;
        bodies = [.. poses.Select((pose, i) => new Body(scene.Objects[i], pose, camera, aspect))];
    }

    /// <summary>
    /// Looks through eight points of the picture (x and y in [-1, 1], y up).
    /// </summary>
    public Seen Look(V x, V y)
    {
        var eye = All(this.eye);
        var d = All(forward) + All(right) * x + All(up) * y;
        var length = Vector256.Sqrt(V3.Dot(d, d));
        var unit = d * (One / length);

        var (depth, number, _) = Nearest(x, y, d);
        var floor = Floor(d);
        var onGround = Vector256.LessThan(floor, depth);
        depth = Select(onGround, floor, depth);
        number = Select(onGround, V.Zero, number);

        var colour = default(V3);
        var kind = V.Zero;
        if (Any(Vector256.Equals(depth, Infinity)))
            colour = FarColour(unit);
        if (Any(onGround))
        {
            var point = eye + d * floor;
            var lit = Lit(point, -1, onGround);
            colour = V3.Select(onGround, GroundColour(point, unit, floor * length, lit), colour);
            kind = (All(3) - lit) & onGround;
        }
        for (var i = 0; i < bodies.Length; i++)
        {
            var mine = Vector256.Equals(number, All(i + 1f));
            if (!Any(mine))
                continue;
            var point = eye + d * depth;
            var lit = Lit(point, i, mine);
            colour = V3.Select(mine, BodyColour(bodies[i], point, unit, lit), colour);
            kind = Select(mine, All(2f * i + Seen.FirstObject + 1) - lit, kind);
        }
        return new Seen(new V3(Saturate(colour.X), Saturate(colour.Y), Saturate(colour.Z)), depth, kind);
    }

    /// <summary>
    /// Which object eight points of the picture show, from 1, 0 for none; and the sum of 2^(i - 1) over all that are there,
    /// seen or hidden.
    /// </summary>
    public (V Seen, V There) Find(V x, V y)
    {
        var d = All(forward) + All(right) * x + All(up) * y;
        var (depth, number, there) = Nearest(x, y, d);
        var floor = Floor(d);
        return (Select(Vector256.LessThan(floor, depth), V.Zero, number), there);
    }

    /// <summary>The depth in metres at eight points of the picture, without their colours.</summary>
    public V Measure(V x, V y)
    {
        var d = All(forward) + All(right) * x + All(up) * y;
        return Min(Nearest(x, y, d).Depth, Floor(d));
    }

    /// <summary>How far away the ground is; infinite above the horizon.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V Floor(V3 d) => Select(Vector256.LessThan(d.Y, All(-1e-6f)), All(-eye.Y) / d.Y, Infinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private (V Depth, V Number, V There) Nearest(V x, V y, V3 d)
    {
        V depth = Infinity,
            number = V.Zero,
            there = V.Zero;
        for (var i = 0; i < bodies.Length; i++)
        {
            var body = bodies[i];
            var near =
                Vector256.GreaterThan(x, All(body.Left))
                & Vector256.LessThan(x, All(body.Right))
                & Vector256.GreaterThan(y, All(body.Low))
                & Vector256.LessThan(y, All(body.High));
            if (!Any(near))
                continue;
            var t = body.Hit(All(eye), d);
            var closer = Vector256.LessThan(t, depth);
            depth = Select(closer, t, depth);
            number = Select(closer, All(i + 1f), number);
            there += All(1 << i) & Vector256.LessThan(t, Infinity);
        }
        return (depth, number, there);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V3 Handed(V3 d) => new(d.X * All(hand), d.Y, d.Z);

    private V3 FarColour(V3 unit)
    {
        var direction = Handed(unit);
        var sky = this.sky.Colour(direction, Handed(All(light)), pixel);
        return Skyline.Over(sky, direction, Haze(unit), lit, pixel);
    }

    /// <summary>The sky's colour at the horizon.</summary>
    private V3 Haze(V3 unit) => sky.Gradient(new V3(unit.X, V.Zero, unit.Z), All(light));

    private V3 GroundColour(V3 point, V3 unit, V distance, V lit)
    {
        var across = distance * All(pixel);
        var along = across / Max(-unit.Y, All(0.02f));
        var points = new GroundPoints(
            point.X * All(hand),
            point.Z,
            across * All(acrossX) + along * All(alongX),
            across * All(acrossZ) + along * All(alongZ)
        );
        var surface = Grounds.Surface(scene.Ground, points, seconds, scene.TextureSeed);
        var sun = lit * All(light.Y);
        var ambient = One;
        foreach (var body in bodies)
            ambient *= One - All(0.8f) * body.Cover(point);
        var colour = surface.Albedo * (All(sky.Ambient) * ambient + All(sky.Sun) * sun);
        if (scene.Ground == Ground.Water)
            colour = Mirror(colour, surface, point, unit);
        var clear = One / (One + distance * distance * All(1 / (FogDistance * FogDistance)));
        return V3.Lerp(Haze(unit), colour, clear);
    }

    /// <summary>Adds what a wavy surface reflects: the sky, the sun's glitter, and the objects on it.</summary>
    private V3 Mirror(V3 colour, GroundSurface surface, V3 point, V3 unit)
    {
        var normal = new V3(surface.SlopeX * All(hand), One, surface.SlopeZ).Normalised;
        var facing = Min(V3.Dot(unit, normal), All(-0.02f));
        var reflected = unit - normal * (facing + facing);
        reflected = new V3(reflected.X, Max(reflected.Y, All(0.01f)), reflected.Z).Normalised;
        var grazing = One + facing;
        var fresnel = All(0.06f) + All(0.8f) * grazing * grazing * grazing * grazing;
        var seen = sky.Gradient(reflected, All(light));
        foreach (var body in bodies)
        {
            if (!Any(body.Meets(point, reflected)))
                continue;
            var hit = Vector256.LessThan(body.Hit(point, reflected), Infinity);
            seen = V3.Select(hit, All(body.Reflection(sky)), seen);
        }
        return V3.Lerp(colour, seen, fresnel * surface.Mirror);
    }

    private V3 BodyColour(Body body, V3 point, V3 unit, V lit)
    {
        var local = body.ToLocal(point - All(body.Centre));
        var normal = body.ToWorld(Tracer.Normal(body.Solid, local));
        var handed = new V3(local.X * All(hand), local.Y, local.Z);
        var albedo = V3.Select(Tracer.Accent(body.Solid, handed), All(body.Accent), All(body.Main));
        var light = All(this.light);
        var facing = Max(V3.Dot(normal, light), V.Zero);
        var sun = facing * lit;
        var sky = All(0.5f) + All(0.5f) * normal.Y;
        var ambient = V3.Lerp(All(bounce), All(this.sky.Ambient), sky);
        var half = (light - unit).Normalised;
        var shine = Max(V3.Dot(normal, half), V.Zero);
        shine *= shine;
        shine *= shine;
        shine *= shine;
        shine *= shine;
        shine *= shine;
        return albedo * (ambient + All(this.sky.Sun) * sun) + All(this.sky.Sun) * (shine * sun * All(0.25f));
    }

    /// <summary>1 where the light reaches a point, 0 where another object is in its way.</summary>
    private V Lit(V3 point, int self, V wanted)
    {
        var lit = One;
        var light = All(this.light);
        for (var i = 0; i < bodies.Length; i++)
        {
            if (i == self)
                continue;
            var body = bodies[i];
            if (!Any(body.Meets(point, light) & wanted))
                continue;
            var t = body.Hit(point, light);
            lit = Select(Vector256.LessThan(t, Infinity), V.Zero, lit);
        }
        return lit;
    }

    /// <summary>An object at this moment: its axes, its colours, and the rectangle of the picture that it can cover.</summary>
    private sealed class Body
    {
        private readonly Arrow _x,
            _y,
            z;
        private readonly float bound,
            cover;

        public Body(SceneObject source, Pose pose, CameraPose camera, double aspect)
        {
            Solid = source.Solid;
            Centre = Arrow.Of(pose.Position);
            bound = (float)Solid.Bound;
            var radius = 0.5 * (Solid.HalfHeight + Solid.Reach);
            cover = (float)(radius * radius);
            (_x, _y, z) = (Axis(pose, Vector3.UnitX), Axis(pose, Vector3.UnitY), Axis(pose, Vector3.UnitZ));
            (Main, Accent) = Palette.Of(source.Colour);
            var offset = pose.Position - camera.Eye;
            var depth = Point.Dot(offset, camera.Forward);
            (Left, Right) = Extent(Point.Dot(offset, camera.Right), depth, camera.HalfHeight * aspect);
            (Low, High) = Extent(Point.Dot(offset, camera.Up), depth, camera.HalfHeight);
        }

        public Solid Solid { get; }

        public Arrow Centre { get; }

        public Rgb Main { get; }

        public Rgb Accent { get; }

        public float Left { get; }

        public float Right { get; }

        public float Low { get; }

        public float High { get; }

        public V3 ToLocal(V3 world) => new(V3.Dot(All(_x), world), V3.Dot(All(_y), world), V3.Dot(All(z), world));

        public V3 ToWorld(V3 local) => All(_x) * local.X + All(_y) * local.Y + All(z) * local.Z;

        public V Hit(V3 origin, V3 direction) => Tracer.Hit(Solid, ToLocal(origin - All(Centre)), ToLocal(direction));

        /// <summary>A mask of the rays (unit directions) that go through the bounding sphere.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public V Meets(V3 origin, V3 direction)
        {
            var offset = All(Centre) - origin;
            var along = V3.Dot(offset, direction);
            var square = V3.Dot(offset, offset) - along * along;
            return Vector256.LessThan(square, All(bound * bound)) & Vector256.GreaterThan(along, All(-bound));
        }

        /// <summary>The part of the sky above a point of the ground that the object hides, as a ball of its size would.</summary>
        public V Cover(V3 point)
        {
            var offset = All(Centre) - point;
            var square = V3.Dot(offset, offset);
            return Min(All(cover) * offset.Y / (square * Vector256.Sqrt(square)), One);
        }

        /// <summary>Its mean colour as water shows it.</summary>
        public Rgb Reflection(SkyModel sky)
        {
            var light = sky.Ambient * 0.8f + sky.Sun * 0.4f;
            return new Rgb(Main.R * light.R, Main.G * light.G, Main.B * light.B);
        }

        private static Arrow Axis(Pose pose, Vector3 axis)
        {
            var turned = Vector3.Transform(axis, pose.Orientation);
            return new Arrow(turned.X, turned.Y, turned.Z);
        }

        /// <summary>The range of picture coordinates that the bounding sphere covers.</summary>
        private (float Low, float High) Extent(double offset, double depth, double half)
        {
            var r = Solid.Bound * 1.001;
            if (depth <= r)
                return (float.NegativeInfinity, float.PositiveInfinity);
            var root = r * Math.Sqrt(offset * offset + depth * depth - r * r);
            var square = (depth * depth - r * r) * half;
            return ((float)((offset * depth - root) / square), (float)((offset * depth + root) / square));
        }
    }
}
