using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>A number handed to an operator. As in libtorch it is a 64-bit integer, a double or a truth value.</summary>
public sealed class Scalar : IDisposable
{
    internal readonly Tag Tag;
    internal readonly long Bits;

    private Scalar(Tag tag, long bits)
    {
        Tag = tag;
        Bits = bits;
    }

    internal Scalar(NativeValue value) : this(value.Tag, value.Bits)
    {
    }

    internal double AsDouble => Tag == Tag.Double ? BitConverter.Int64BitsToDouble(Bits) : Bits;

    internal long AsInteger => Tag == Tag.Double ? checked((long)BitConverter.Int64BitsToDouble(Bits)) : Bits;

    public ScalarType Type => Tag switch
    {
        Tag.Double => ScalarType.Float64,
        Tag.Bool => ScalarType.Bool,
        _ => ScalarType.Int64,
    };

    public void Dispose()
    {
    }

    private static Scalar Whole(long value) => new(Tag.Int, value);

    private static Scalar Real(double value) => new(Tag.Double, BitConverter.DoubleToInt64Bits(value));

    public static implicit operator Scalar(byte value) => Whole(value);
    public static implicit operator Scalar(sbyte value) => Whole(value);
    public static implicit operator Scalar(short value) => Whole(value);
    public static implicit operator Scalar(int value) => Whole(value);
    public static implicit operator Scalar(long value) => Whole(value);
    public static implicit operator Scalar(Half value) => Real((double)value);
    public static implicit operator Scalar(float value) => Real(value);
    public static implicit operator Scalar(double value) => Real(value);
    public static implicit operator Scalar(bool value) => new(Tag.Bool, value ? 1 : 0);
}

public static class ScalarExtensionMethods
{
    public static Scalar ToScalar(this byte value) => value;
    public static Scalar ToScalar(this sbyte value) => value;
    public static Scalar ToScalar(this short value) => value;
    public static Scalar ToScalar(this int value) => value;
    public static Scalar ToScalar(this long value) => value;
    public static Scalar ToScalar(this Half value) => value;
    public static Scalar ToScalar(this float value) => value;
    public static Scalar ToScalar(this double value) => value;
    public static Scalar ToScalar(this bool value) => value;

    public static float ToSingle(this Scalar value) => (float)value.AsDouble;
    public static double ToDouble(this Scalar value) => value.AsDouble;
    public static Half ToHalf(this Scalar value) => (Half)value.AsDouble;
    public static sbyte ToSByte(this Scalar value) => checked((sbyte)value.AsInteger);
    public static byte ToByte(this Scalar value) => checked((byte)value.AsInteger);
    public static short ToInt16(this Scalar value) => checked((short)value.AsInteger);
    public static int ToInt32(this Scalar value) => checked((int)value.AsInteger);
    public static long ToInt64(this Scalar value) => value.AsInteger;
    public static bool ToBoolean(this Scalar value) => value.AsDouble != 0;
}
