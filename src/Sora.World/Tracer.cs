using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>
/// Intersections of eight rays with a solid around the origin, in its own axes. Rays start outside; distances are in
/// multiples of the direction, infinite where the ray passes by.
/// </summary>
internal static class Tracer
{
    private const float Near = 1e-4f;

    /// <summary>The nearest intersection in front of each ray's origin.</summary>
    public static V Hit(in Solid solid, V3 o, V3 d) =>
        solid.Shape switch
        {
            Shape.Ball => HitBall((float)solid.Radius, o, d),
            Shape.Cube => HitBox((float)solid.Radius, o, d),
            Shape.Cylinder => HitCylinder((float)solid.Radius, (float)solid.HalfHeight, o, d),
            Shape.Cone => HitCone((float)solid.Radius, (float)solid.HalfHeight, o, d),
            Shape.Ring => HitRing((float)solid.Radius, (float)solid.Tube, o, d),
            _ => HitPyramid((float)solid.Radius, (float)solid.HalfHeight, o, d),
        };

    /// <summary>The unit normal at a point of the surface.</summary>
    public static V3 Normal(in Solid solid, V3 p)
    {
        V radius = All((float)solid.Radius),
            half = All((float)solid.HalfHeight),
            zero = V.Zero;
        switch (solid.Shape)
        {
            case Shape.Ball:
                return p * (One / radius);
            case Shape.Cube:
            {
                V x = Vector256.Abs(p.X),
                    y = Vector256.Abs(p.Y),
                    z = Vector256.Abs(p.Z);
                var onX = Vector256.GreaterThanOrEqual(x, Max(y, z));
                var onY = Vector256.AndNot(Vector256.GreaterThanOrEqual(y, z), onX);
                var onZ = Vector256.AndNot(Vector256<float>.AllBitsSet, onX | onY);
                return new V3(Vector256.CopySign(One, p.X) & onX, Vector256.CopySign(One, p.Y) & onY, Vector256.CopySign(One, p.Z) & onZ);
            }
            case Shape.Cylinder:
            {
                var across = Vector256.Sqrt(p.X * p.X + p.Z * p.Z);
                var cap = Vector256.GreaterThan(Vector256.Abs(p.Y) - half, across - radius);
                var inverse = One / Max(across, All(1e-6f));
                return V3.Select(cap, new V3(zero, Vector256.CopySign(One, p.Y), zero), new V3(p.X * inverse, zero, p.Z * inverse));
            }
            case Shape.Cone:
            {
                var across = Vector256.Sqrt(p.X * p.X + p.Z * p.Z);
                var slope = (float)(solid.Radius / (2 * solid.HalfHeight));
                var length = 1 / MathF.Sqrt(1 + slope * slope);
                var inverse = All(length) / Max(across, All(1e-6f));
                var cap = Vector256.GreaterThan(-half - p.Y, across - (half - p.Y) * All(slope));
                return V3.Select(cap, new V3(zero, -One, zero), new V3(p.X * inverse, All(slope * length), p.Z * inverse));
            }
            case Shape.Ring:
            {
                var across = Vector256.Sqrt(p.X * p.X + p.Y * p.Y);
                var shrink = One - radius / Max(across, All(1e-6f));
                return new V3(p.X * shrink, p.Y * shrink, p.Z).Normalised;
            }
            default:
            {
                var slope = (float)(solid.Radius / (2 * solid.HalfHeight));
                var length = 1 / MathF.Sqrt(1 + slope * slope);
                V x = Vector256.Abs(p.X),
                    z = Vector256.Abs(p.Z);
                var onX = Vector256.GreaterThan(x, z);
                var side = new V3(
                    Vector256.CopySign(All(length), p.X) & onX,
                    All(slope * length),
                    Vector256.AndNot(Vector256.CopySign(All(length), p.Z), onX)
                );
                var cap = Vector256.GreaterThan(-half - p.Y, Max(x, z) - (half - p.Y) * All(slope));
                return V3.Select(cap, new V3(zero, -One, zero), side);
            }
        }
    }

    /// <summary>A mask of where a point of the surface has the accent tone.</summary>
    public static V Accent(in Solid solid, V3 p)
    {
        switch (solid.Shape)
        {
            case Shape.Ball: // one side of a plane that no axis of turning is square to
                return Vector256.LessThan(p.X + All(0.6f) * p.Y + All(0.4f) * p.Z, V.Zero);
            case Shape.Cube: // a frame along the edges
            {
                V x = Vector256.Abs(p.X),
                    y = Vector256.Abs(p.Y),
                    z = Vector256.Abs(p.Z);
                var middle = Max(Min(x, y), Min(Max(x, y), z));
                return Vector256.GreaterThan(middle, All(0.76f * (float)solid.Radius));
            }
            case Shape.Cylinder: // one half, cut aslant, or it would look like a box
                return Vector256.LessThan(p.X + All(0.5f) * p.Y, V.Zero);
            case Shape.Cone: // one half
            case Shape.Ring:
                return Vector256.LessThan(p.X, V.Zero);
            default: // a band around the foot
                return Vector256.LessThan(p.Y, All(-0.42f * (float)solid.HalfHeight));
        }
    }

    private static V HitBall(float radius, V3 o, V3 d)
    {
        V a = V3.Dot(d, d),
            b = V3.Dot(o, d),
            c = V3.Dot(o, o) - All(radius * radius);
        var discriminant = b * b - a * c;
        var t = (-b - Vector256.Sqrt(Max(discriminant, V.Zero))) / a;
        return Select(Vector256.GreaterThan(discriminant, V.Zero) & Vector256.GreaterThan(t, All(Near)), t, Infinity);
    }

    private static V HitBox(float half, V3 o, V3 d)
    {
        V near = All(Near),
            far = Infinity;
        Slab(o.X, d.X, half, ref near, ref far);
        Slab(o.Y, d.Y, half, ref near, ref far);
        Slab(o.Z, d.Z, half, ref near, ref far);
        return Inside(near, far);
    }

    private static V HitCylinder(float radius, float half, V3 o, V3 d)
    {
        V near = All(Near),
            far = Infinity;
        Slab(o.Y, d.Y, half, ref near, ref far);
        var a = d.X * d.X + d.Z * d.Z + All(1e-12f);
        var b = o.X * d.X + o.Z * d.Z;
        var c = o.X * o.X + o.Z * o.Z - All(radius * radius);
        var discriminant = b * b - a * c;
        var root = Vector256.Sqrt(Max(discriminant, V.Zero));
        near = Max(near, (-b - root) / a);
        far = Select(Vector256.GreaterThan(discriminant, V.Zero), Min(far, (root - b) / a), -One);
        return Inside(near, far);
    }

    private static V HitCone(float radius, float half, V3 o, V3 d)
    {
        // x² + z² = slope² (half - y)², below the apex and above the base.
        var slope = All(radius * radius / (4 * half * half));
        V height = All(half),
            down = height - o.Y;
        var a = d.X * d.X + d.Z * d.Z - slope * d.Y * d.Y;
        var b = o.X * d.X + o.Z * d.Z + slope * down * d.Y;
        var c = o.X * o.X + o.Z * o.Z - slope * down * down;
        var discriminant = b * b - a * c;
        var root = Vector256.Sqrt(Max(discriminant, V.Zero));
        var real = Vector256.GreaterThan(discriminant, V.Zero);
        var first = Between((-b - root) / a, o.Y, d.Y, height, real);
        var second = Between((root - b) / a, o.Y, d.Y, height, real);
        var foot = (-height - o.Y) / d.Y;
        V x = o.X + d.X * foot,
            z = o.Z + d.Z * foot;
        var onFoot = Vector256.LessThan(x * x + z * z, All(radius * radius)) & Vector256.GreaterThan(foot, All(Near));
        return Min(Min(first, second), Select(onFoot, foot, Infinity));
    }

    private static V Between(V t, V oy, V dy, V half, V real)
    {
        var inside = Vector256.LessThanOrEqual(Vector256.Abs(oy + dy * t), half) & Vector256.GreaterThan(t, All(Near));
        return Select(inside & real, t, Infinity);
    }

    private static V HitPyramid(float radius, float half, V3 o, V3 d)
    {
        // |x| and |z| up to slope (half - y), above the base.
        var slope = radius / (2 * half);
        V near = All(Near),
            far = Infinity,
            limit = All(slope * half);
        Plane(o.X + All(slope) * o.Y, d.X + All(slope) * d.Y, limit, ref near, ref far);
        Plane(All(slope) * o.Y - o.X, All(slope) * d.Y - d.X, limit, ref near, ref far);
        Plane(o.Z + All(slope) * o.Y, d.Z + All(slope) * d.Y, limit, ref near, ref far);
        Plane(All(slope) * o.Y - o.Z, All(slope) * d.Y - d.Z, limit, ref near, ref far);
        Plane(-o.Y, -d.Y, All(half), ref near, ref far);
        return Inside(near, far);
    }

    private static V HitRing(float radius, float tube, V3 o, V3 d)
    {
        // March along the distance to the surface from where the ray enters the bounding sphere, then polish by Newton.
        var bound = radius + tube;
        V a = V3.Dot(d, d),
            b = V3.Dot(o, d),
            c = V3.Dot(o, o) - All(bound * bound * 1.0001f);
        var discriminant = b * b - a * c;
        var alive = Vector256.GreaterThan(discriminant, V.Zero);
        if (!Any(alive))
            return Infinity;
        var root = Vector256.Sqrt(Max(discriminant, V.Zero));
        var t = Max((-b - root) / a, All(Near));
        var end = (root - b) / a;
        var pace = One / Vector256.Sqrt(a);
        V ring = All(radius),
            thick = All(tube),
            close = All(1e-4f * bound);
        for (var i = 0; i < 40; i++)
        {
            var distance = RingDistance(o + d * t, ring, thick);
            alive &= Vector256.LessThan(t, end) & Vector256.GreaterThan(distance, close);
            if (!Any(alive))
                break;
            t += (distance * pace) & alive;
        }
        for (var i = 0; i < 2; i++)
        {
            var p = o + d * t;
            var across = Max(Vector256.Sqrt(p.X * p.X + p.Y * p.Y), All(1e-6f));
            var shrink = One - ring / across;
            var gradient = new V3(p.X * shrink, p.Y * shrink, p.Z).Normalised;
            var descent = Min(V3.Dot(gradient, d), All(-1e-3f) / pace);
            t -= RingDistance(p, ring, thick) / descent;
        }
        var rest = Vector256.Abs(RingDistance(o + d * t, ring, thick));
        var hit =
            Vector256.LessThan(rest, All(1e-3f * bound))
            & Vector256.LessThan(t, end)
            & Vector256.GreaterThan(t, All(Near))
            & Vector256.GreaterThan(discriminant, V.Zero);
        return Select(hit, t, Infinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V RingDistance(V3 p, V radius, V tube)
    {
        var across = Vector256.Sqrt(p.X * p.X + p.Y * p.Y) - radius;
        return Vector256.Sqrt(across * across + p.Z * p.Z) - tube;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Inside(V near, V far) =>
        Select(Vector256.LessThan(near, far) & Vector256.GreaterThan(near, All(Near)), near, Infinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Slab(V o, V d, float half, ref V near, ref V far)
    {
        var inverse = One / d;
        V a = (All(-half) - o) * inverse,
            b = (All(half) - o) * inverse;
        near = Max(near, Min(a, b));
        far = Min(far, Max(a, b));
    }

    /// <summary>Cuts the part of a ray where o + t d is at most the limit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Plane(V o, V d, V limit, ref V near, ref V far)
    {
        var t = (limit - o) / d;
        var enters = Vector256.LessThan(d, V.Zero);
        near = Select(enters, Max(near, t), near);
        far = Select(enters, far, Min(far, t));
    }
}
