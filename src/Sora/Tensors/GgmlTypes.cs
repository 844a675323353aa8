using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Sora.Tensors;

/// <summary>
/// The block formats of GGUF (ggml-common.h, ggml-quants.c in https://github.com/ggml-org/ggml), widened to float32.
/// Operations run in the reference's order, in plain float32, so the results are equal to the last bit.
/// </summary>
internal static class GgmlTypes
{
    private const int Small = 32;
    private const int Large = 256;

    // The sixteen values of IQ4_NL and IQ4_XS.
    private static readonly sbyte[] Uneven = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    private static readonly Vector128<byte> LowNibble = Vector128.Create((byte)15);

    private delegate void Block(ReadOnlySpan<byte> block, Span<float> values);

    public static void Dequantise(DType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        Block widen = type switch
        {
            DType.Q4_0 => Q4_0,
            DType.Q4_1 => Q4_1,
            DType.Q5_0 => Q5_0,
            DType.Q5_1 => Q5_1,
            DType.Q8_0 => Q8_0,
            DType.Q2_K => Q2_K,
            DType.Q3_K => Q3_K,
            DType.Q4_K => Q4_K,
            DType.Q5_K => Q5_K,
            DType.Q6_K => Q6_K,
            DType.IQ4_NL => IQ4_NL,
            DType.IQ4_XS => IQ4_XS,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };
        var (elements, bytes) = (type.BlockElements(), type.BlockBytes());
        for (var i = 0; i < destination.Length / elements; i++)
            widen(source.Slice(i * bytes, bytes), destination.Slice(i * elements, elements));
    }

    // Blocks of 32: low nibbles are the first half of the elements, high nibbles the second.

    private static void Q4_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var d = Half(block, 0);
        var pairs = Vector128.Create(block.Slice(2, 16));
        Write(pairs & LowNibble, 8, d, 0, values);
        Write(pairs >>> 4, 8, d, 0, values[16..]);
    }

    private static void Q4_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        var (d, m) = (Half(block, 0), Half(block, 2));
        for (var i = 0; i < Small; i++)
            values[i] = d * Nibble(block[4..], i) + m;
    }

    private static void Q5_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var d = Half(block, 0);
        for (var i = 0; i < Small; i++)
            values[i] = d * ((Nibble(block[6..], i) | FifthBit(block[2..], i)) - 16);
    }

    private static void Q5_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        var (d, m) = (Half(block, 0), Half(block, 2));
        for (var i = 0; i < Small; i++)
            values[i] = d * (Nibble(block[8..], i) | FifthBit(block[4..], i)) + m;
    }

    private static void Q8_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var d = Half(block, 0);
        // Signed bytes, stored as 128 more.
        var sign = Vector128.Create((byte)128);
        for (var i = 0; i < Small; i += 16)
            Write(Vector128.Create(block.Slice(2 + i, 16)) ^ sign, 128, d, 0, values[i..]);
    }

    private static void IQ4_NL(ReadOnlySpan<byte> block, Span<float> values)
    {
        var d = Half(block, 0);
        for (var i = 0; i < Small; i++)
            values[i] = d * Uneven[Nibble(block[2..], i)];
    }

    // Blocks of 256: scales of sub-blocks are themselves small integers times d (and minima times m).

    private static void Q2_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scales = block[..16];
        var quants = block.Slice(16, 64);
        var (d, m) = (Half(block, 80), Half(block, 82));
        for (var i = 0; i < Large; i++)
        {
            var scale = scales[i / 16];
            values[i] = d * (scale & 15) * TwoBits(quants, i) - m * (scale >> 4);
        }
    }

    private static void Q3_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var high = block[..32];
        var quants = block.Slice(32, 64);
        var packed = block.Slice(96, 12);
        var d = Half(block, 108);
        for (var i = 0; i < Large; i++)
        {
            var j = i / 16;
            var scale = (j < 8 ? packed[j] & 15 : packed[j - 8] >> 4) | ((packed[8 + j % 4] >> (2 * (j / 4))) & 3) << 4;
            // The high bit is stored inverted: set means no offset.
            var offset = (high[i % 32] >> (i / 32) & 1) == 0 ? 4 : 0;
            values[i] = d * (scale - 32) * (TwoBits(quants, i) - offset);
        }
    }

    private static void Q4_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var (d, m) = (Half(block, 0), Half(block, 2));
        for (var j = 0; j < 8; j++)
        {
            var (scale, minimum) = SixBits(block.Slice(4, 12), j);
            for (var i = 0; i < 32; i += 16)
                Write(PairedNibbles(block[16..], j, i), 0, d * scale, m * minimum, values[(32 * j + i)..]);
        }
    }

    private static void Q5_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var (d, m) = (Half(block, 0), Half(block, 2));
        var fifth = Vector128.Create((byte)16);
        for (var j = 0; j < 8; j++)
        {
            var (scale, minimum) = SixBits(block.Slice(4, 12), j);
            for (var i = 0; i < 32; i += 16)
            {
                var high = (Vector128.Create(block.Slice(16 + i, 16)) >>> j << 4) & fifth;
                Write(PairedNibbles(block[48..], j, i) | high, 0, d * scale, m * minimum, values[(32 * j + i)..]);
            }
        }
    }

    private static void Q6_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var low = block[..128];
        var high = block.Slice(128, 64);
        var scales = block.Slice(192, 16);
        var d = Half(block, 208);
        var upper = Vector128.Create((byte)0x30);
        for (var i = 0; i < Large; i += 16)
        {
            var (group, within) = (i / 128, i % 128);
            var pairs = Vector128.Create(low.Slice(64 * group + within % 64, 16));
            var bits = Vector128.Create(high.Slice(32 * group + within % 32, 16)) >>> (2 * (within / 32)) << 4;
            Write((within < 64 ? pairs & LowNibble : pairs >>> 4) | (bits & upper), 32, d * (sbyte)scales[i / 16], 0, values[i..]);
        }
    }

    private static void IQ4_XS(ReadOnlySpan<byte> block, Span<float> values)
    {
        var (d, highScales) = (Half(block, 0), BinaryPrimitives.ReadUInt16LittleEndian(block[2..]));
        for (var i = 0; i < Large; i++)
        {
            var j = i / 32;
            var scale = (block[4 + j / 2] >> (4 * (j % 2)) & 15) | (highScales >> (2 * j) & 3) << 4;
            values[i] = d * (scale - 32) * Uneven[Nibble(block[(8 + 16 * j)..], i % 32)];
        }
    }

    private static float Half(ReadOnlySpan<byte> block, int offset) => (float)BinaryPrimitives.ReadHalfLittleEndian(block[offset..]);

    private static int Nibble(ReadOnlySpan<byte> quants, int i) => i < 16 ? quants[i] & 15 : quants[i - 16] >> 4;

    private static int FifthBit(ReadOnlySpan<byte> bits, int i) => (bits[i / 8] >> (i % 8) & 1) << 4;

    /// <summary>
    /// Sixteen of sub-block <paramref name="j"/>, from <paramref name="first"/> on: groups of 32 bytes hold two
    /// sub-blocks, the first in the low nibbles.
    /// </summary>
    private static Vector128<byte> PairedNibbles(ReadOnlySpan<byte> quants, int j, int first)
    {
        var pairs = Vector128.Create(quants.Slice(32 * (j / 2) + first, 16));
        return j % 2 == 0 ? pairs & LowNibble : pairs >>> 4;
    }

    /// <summary>
    /// Sixteen values scale (quant - zero) - minimum. The products are
    /// rounded before the difference, as in the reference.
    /// </summary>
    private static void Write(Vector128<byte> quants, int zero, float scale, float minimum, Span<float> values)
    {
        WriteEight(Vector128.WidenLower(quants), zero, scale, minimum, values);
        WriteEight(Vector128.WidenUpper(quants), zero, scale, minimum, values[8..]);
    }

    private static void WriteEight(Vector128<ushort> quants, int zero, float scale, float minimum, Span<float> values)
    {
        var wide = Vector256.Create(Vector128.WidenLower(quants), Vector128.WidenUpper(quants)).AsInt32() - Vector256.Create(zero);
        (Vector256.ConvertToSingle(wide) * scale - Vector256.Create(minimum)).CopyTo(values);
    }

    private static int TwoBits(ReadOnlySpan<byte> quants, int i) => quants[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;

    /// <summary>Eight scales and eight minima of six bits in twelve bytes.</summary>
    private static (int Scale, int Least) SixBits(ReadOnlySpan<byte> packed, int j) =>
        j < 4
            ? (packed[j] & 63, packed[j + 4] & 63)
            : ((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4);
}
