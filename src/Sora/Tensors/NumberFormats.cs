using System.Numerics;
using System.Runtime.InteropServices;

namespace Sora.Tensors;

/// <summary>
/// Exact conversions between stored number formats and float32. Narrowing rounds to nearest, ties to even, as PyTorch does:
/// float8_e4m3fn saturates at 448, every other format overflows to infinity.
/// </summary>
public static class NumberFormats
{
    private static readonly float[] E4M3 = Table(4, 3, 7, infinities: false);
    private static readonly float[] E5M2 = Table(5, 2, 15, infinities: true);

    /// <summary>Widens (or, from 64 bits, rounds) stored elements to float32.</summary>
    /// <param name="type">How <paramref name="source"/> is encoded.</param>
    /// <param name="source">Whole elements, little-endian.</param>
    /// <param name="destination">As many floats as <paramref name="source"/> has elements.</param>
    public static void ToFloats(DType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        var expected = (long)destination.Length / type.BlockElements() * type.BlockBytes();
        if (source.Length != expected)
            throw new ArgumentException($"{destination.Length} {type.Name()} elements are {expected} bytes, not {source.Length}");
        switch (type)
        {
            case DType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case DType.F16:
                FromHalves(source, destination);
                break;
            case DType.BF16:
                FromBFloat16s(source, destination);
                break;
            case DType.F8E4M3:
                Look(E4M3, source, destination);
                break;
            case DType.F8E5M2:
                Look(E5M2, source, destination);
                break;
            case DType.F64:
                Convert<double, FromNumber<double>>(source, destination);
                break;
            case DType.I64:
                Convert<long, FromNumber<long>>(source, destination);
                break;
            case DType.I32:
                Convert<int, FromNumber<int>>(source, destination);
                break;
            case DType.I16:
                Convert<short, FromNumber<short>>(source, destination);
                break;
            case DType.I8:
                Convert<sbyte, FromNumber<sbyte>>(source, destination);
                break;
            case DType.U64:
                Convert<ulong, FromNumber<ulong>>(source, destination);
                break;
            case DType.U32:
                Convert<uint, FromNumber<uint>>(source, destination);
                break;
            case DType.U16:
                Convert<ushort, FromNumber<ushort>>(source, destination);
                break;
            case DType.U8:
                Convert<byte, FromNumber<byte>>(source, destination);
                break;
            case DType.Bool:
                Convert<byte, FromTruth>(source, destination);
                break;
            default:
                GgmlTypes.Dequantise(type, source, destination);
                break;
        }
    }

    /// <summary>Rounds float32 to a floating-point format.</summary>
    /// <param name="source">The values.</param>
    /// <param name="type">A floating-point type.</param>
    /// <param name="destination">Room for as many elements of <paramref name="type"/>.</param>
    public static void FromFloats(ReadOnlySpan<float> source, DType type, Span<byte> destination)
    {
        if (!type.IsFloat() || type.IsBlocks())
            throw new ArgumentException($"float32 is not rounded to {type.Name()}");
        if (destination.Length != (long)source.Length * type.BlockBytes())
            throw new ArgumentException($"{source.Length} {type.Name()} elements do not fill {destination.Length} bytes");
        switch (type)
        {
            case DType.F32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case DType.F64:
                Narrow<double>(source, destination, x => x);
                break;
            case DType.F16:
                Narrow<Half>(source, destination, x => (Half)x);
                break;
            case DType.BF16:
                Narrow<ushort>(source, destination, ToBFloat16);
                break;
            case DType.F8E4M3:
                Narrow<byte>(source, destination, ToE4M3);
                break;
            case DType.F8E5M2:
                Narrow<byte>(source, destination, ToE5M2);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, null);
        }
    }

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
            return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static byte ToE4M3(float value)
    {
        var sign = float.IsNegative(value) ? 0x80u : 0u;
        if (float.IsNaN(value))
            return (byte)(sign | 0x7F);
        const uint largest = 0x7E;
        if (float.IsInfinity(value))
            return (byte)(sign | largest);
        return (byte)(sign | Math.Min(ToFloat8(value, 3, 7), largest));
    }

    private static byte ToE5M2(float value)
    {
        var sign = float.IsNegative(value) ? 0x80u : 0u;
        if (float.IsNaN(value))
            return (byte)(sign | 0x7F);
        const uint infinity = 0x7C;
        if (float.IsInfinity(value))
            return (byte)(sign | infinity);
        return (byte)(sign | Math.Min(ToFloat8(value, 2, 15), infinity));
    }

    /// <summary>
    /// The pattern of |value| with a mantissa of this many bits; past the largest exponent it just keeps counting, for the
    /// caller to clamp. In double the scaling by a power of two is exact, so there is one rounding.
    /// </summary>
    private static uint ToFloat8(float value, int mantissaBits, int bias)
    {
        double magnitude = Math.Abs((double)value);
        var smallest = 1 - bias;
        var exponent = magnitude == 0 ? smallest : Math.Max(Math.ILogB(magnitude), smallest);
        var steps = (uint)Math.Round(Math.ScaleB(magnitude, mantissaBits - exponent), MidpointRounding.ToEven);
        return ((uint)(exponent - smallest) << mantissaBits) + steps;
    }

    private static float[] Table(int exponentBits, int mantissaBits, int bias, bool infinities)
    {
        var table = new float[256];
        var top = (1 << exponentBits) - 1;
        for (var pattern = 0; pattern < 256; pattern++)
        {
            var exponent = (pattern >> mantissaBits) & top;
            var mantissa = pattern & ((1 << mantissaBits) - 1);
            float magnitude;
            if (infinities && exponent == top)
                magnitude = mantissa == 0 ? float.PositiveInfinity : float.NaN;
            else if (!infinities && (pattern & 0x7F) == 0x7F)
                magnitude = float.NaN;
            else if (exponent == 0)
                magnitude = MathF.ScaleB(mantissa, 1 - bias - mantissaBits);
            else
                magnitude = MathF.ScaleB((1 << mantissaBits) + mantissa, exponent - bias - mantissaBits);
            table[pattern] = pattern < 128 ? magnitude : -magnitude;
        }
        return table;
    }

    /// <summary>A conversion as a type, so that the loop over it is compiled for it alone.</summary>
    private interface IWiden<T>
    {
        static abstract float Widen(T stored);
    }

    private readonly struct FromTruth : IWiden<byte>
    {
        public static float Widen(byte stored) => stored == 0 ? 0 : 1;
    }

    private readonly struct FromNumber<T> : IWiden<T>
        where T : INumberBase<T>
    {
        public static float Widen(T stored) => float.CreateTruncating(stored);
    }

    private static void Convert<T, TWiden>(ReadOnlySpan<byte> source, Span<float> destination)
        where T : unmanaged
        where TWiden : IWiden<T>
    {
        var typed = MemoryMarshal.Cast<byte, T>(source);
        for (var i = 0; i < typed.Length && i < destination.Length; i++)
            destination[i] = TWiden.Widen(typed[i]);
    }

    private static void FromBFloat16s(ReadOnlySpan<byte> source, Span<float> destination)
    {
        var typed = MemoryMarshal.Cast<byte, ushort>(source);
        var i = 0;
        for (; i + Vector<ushort>.Count <= typed.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(typed[i..]), out var low, out var high);
            Vector.AsVectorSingle(low << 16).CopyTo(destination[i..]);
            Vector.AsVectorSingle(high << 16).CopyTo(destination[(i + Vector<uint>.Count)..]);
        }
        for (; i < typed.Length; i++)
            destination[i] = BitConverter.UInt32BitsToSingle((uint)typed[i] << 16);
    }

    private static void FromHalves(ReadOnlySpan<byte> source, Span<float> destination)
    {
        var typed = MemoryMarshal.Cast<byte, ushort>(source);
        var i = 0;
        for (; i + Vector<ushort>.Count <= typed.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(typed[i..]), out var low, out var high);
            FromHalf(low).CopyTo(destination[i..]);
            FromHalf(high).CopyTo(destination[(i + Vector<uint>.Count)..]);
        }
        for (; i < typed.Length; i++)
            destination[i] = (float)BitConverter.UInt16BitsToHalf(typed[i]);
    }

    /// <summary>
    /// Exponent and mantissa moved to a single's place and scaled by 2^112, the difference of the biases, which is exact
    /// and serves subnormals too; the largest exponent (infinity, NaN) becomes a single's.
    /// </summary>
    private static Vector<float> FromHalf(Vector<uint> halves)
    {
        var magnitude = halves & new Vector<uint>(0x7FFF);
        var scaled = Vector.AsVectorUInt32(Vector.AsVectorSingle(magnitude << 13) * BitConverter.UInt32BitsToSingle(0x77800000));
        var beyond = Vector.GreaterThanOrEqual(magnitude, new Vector<uint>(0x7C00)) & new Vector<uint>(0x7F800000);
        return Vector.AsVectorSingle(scaled | beyond | (halves & new Vector<uint>(0x8000)) << 16);
    }

    private static void Look(float[] table, ReadOnlySpan<byte> source, Span<float> destination)
    {
        for (var i = 0; i < source.Length && i < destination.Length; i++)
            destination[i] = table[source[i]];
    }

    private static void Narrow<T>(ReadOnlySpan<float> source, Span<byte> destination, Func<float, T> convert)
        where T : unmanaged
    {
        var typed = MemoryMarshal.Cast<byte, T>(destination);
        for (var i = 0; i < source.Length; i++)
            typed[i] = convert(source[i]);
    }
}
