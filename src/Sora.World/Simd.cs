using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>Eight vectors in three dimensions, one for each ray of a group.</summary>
internal readonly struct V3(V x, V y, V z)
{
    public readonly V X = x;
    public readonly V Y = y;
    public readonly V Z = z;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 operator +(V3 a, V3 b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 operator -(V3 a, V3 b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 operator *(V3 a, V k) => new(a.X * k, a.Y * k, a.Z * k);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 operator *(V3 a, V3 b) => new(a.X * b.X, a.Y * b.Y, a.Z * b.Z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Dot(V3 a, V3 b) => a.X * b.X + a.Y * b.Y + a.Z * b.Z;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 Lerp(V3 a, V3 b, V u) => a + (b - a) * u;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 Select(V mask, V3 a, V3 b) =>
        new(Simd.Select(mask, a.X, b.X), Simd.Select(mask, a.Y, b.Y), Simd.Select(mask, a.Z, b.Z));

    public V3 Normalised
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => this * (Simd.One / Vector256.Sqrt(Dot(this, this)));
    }
}

/// <summary>A vector in single precision that all rays of a frame share.</summary>
internal readonly record struct Arrow(float X, float Y, float Z)
{
    public static Arrow Of(Point p) => new((float)p.X, (float)p.Y, (float)p.Z);
}

/// <summary>
/// Arithmetic on eight values at a time, of additions, multiplications, divisions and square roots only: no library
/// function whose last bit depends on the machine.
/// </summary>
internal static class Simd
{
    public static V One
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256<float>.One;
    }

    public static V Infinity
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256.Create(float.PositiveInfinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V All(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 All(Arrow p) => new(All(p.X), All(p.Y), All(p.Z));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V3 All(Rgb c) => new(All(c.R), All(c.G), All(c.B));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Select(V mask, V a, V b) => Vector256.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Any(V mask) => Vector256.ExtractMostSignificantBits(mask) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Min(V a, V b) => Vector256.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Max(V a, V b) => Vector256.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Saturate(V a) => Min(Max(a, V.Zero), One);

    /// <summary>0 up to <paramref name="from"/>, 1 from <paramref name="to"/>, smooth in between.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Smooth(V value, float from, float to)
    {
        var u = Saturate((value - All(from)) * All(1 / (to - from)));
        return u * u * (All(3) - u - u);
    }

    /// <summary>The part of a value above the next lower integer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Fraction(V value) => value - Vector256.Floor(value);

    /// <summary>A smooth wave of period 1 between 0 (at integers) and 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Wave(V value)
    {
        var u = One - Vector256.Abs(All(2) * Fraction(value) - One);
        return u * u * (All(3) - u - u);
    }

    /// <summary>A number in [0, 1) for each pair of integers (given as floats).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Hash(V x, V y, uint seed) =>
        Scramble(Lattice(x) * Vector256.Create(0x8DA6B343u) + Lattice(y) * Vector256.Create(0xD8163841u), seed);

    /// <summary>The seed of what is the same in every scene.</summary>
    public const uint Shared = 0x6A09E667u;

    /// <summary>Smooth noise between 0 and 1 with one feature a unit: random values at integers, blended in between.</summary>
    public static V Noise(V x, V y, uint seed)
    {
        V cellX = Vector256.Floor(x),
            cellY = Vector256.Floor(y);
        V u = x - cellX,
            v = y - cellY;
        u = u * u * (All(3) - u - u);
        v = v * v * (All(3) - v - v);
        var left = Lattice(cellX) * Vector256.Create(0x8DA6B343u);
        var low = Lattice(cellY) * Vector256.Create(0xD8163841u);
        var right = left + Vector256.Create(0x8DA6B343u);
        var high = low + Vector256.Create(0xD8163841u);
        V a = Scramble(left + low, seed),
            b = Scramble(right + low, seed);
        V c = Scramble(left + high, seed),
            d = Scramble(right + high, seed);
        var bottom = a + (b - a) * u;
        var top = c + (d - c) * u;
        return bottom + (top - bottom) * v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Lattice(V value) => Vector256.ConvertToInt32(value).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Scramble(Vector256<uint> key, uint seed)
    {
        key ^= Vector256.Create(seed);
        key ^= key >> 15;
        key *= Vector256.Create(0x2C1B3C6Du);
        key ^= key >> 13;
        key *= Vector256.Create(0x297A2D39u);
        return Vector256.ConvertToSingle((key >> 8).AsInt32()) * All(1f / (1 << 24));
    }
}
