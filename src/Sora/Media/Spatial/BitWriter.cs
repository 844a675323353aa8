namespace Sora.Media.Spatial;

/// <summary>Writes bits, the first into the highest bit of a byte: u(n) and ue(v) of H.265 (clauses 7.2 and 9.2).</summary>
internal sealed class BitWriter
{
    private readonly List<byte> bytes = [];
    private int free;

    /// <summary>Whether the last byte is full.</summary>
    public bool IsAligned => free == 0;

    /// <summary>u(n): the low bits of a number, the highest of them first.</summary>
    /// <param name="value">Smaller than 2^<paramref name="count"/>.</param>
    /// <param name="count">How many bits, 0 to 32.</param>
    public void Write(uint value, int count)
    {
        for (var bit = count - 1; bit >= 0; bit--)
        {
            if (free == 0)
            {
                bytes.Add(0);
                free = 8;
            }
            bytes[^1] |= (byte)((value >> bit & 1) << --free);
        }
    }

    /// <summary>u(1).</summary>
    public void Write(bool flag) => Write(flag ? 1u : 0, 1);

    /// <summary>ue(v): an unsigned exp-Golomb code (9.2).</summary>
    /// <param name="value">0 to 2^32 - 2.</param>
    public void WriteUnsigned(uint value)
    {
        var length = 32 - System.Numerics.BitOperations.LeadingZeroCount(value + 1);
        Write(0, length - 1);
        Write(value + 1, length);
    }

    /// <summary>Copies bits from where a reader stood to where it stands.</summary>
    public void Copy(BitReader reader, int from)
    {
        var source = reader.From(from);
        for (var left = reader.Position - from; left > 0; left -= 32)
            Write(source.Read(Math.Min(left, 32)), Math.Min(left, 32));
    }

    /// <summary>Fills the last byte with equal bits.</summary>
    public void Align(bool bit)
    {
        while (!IsAligned)
            Write(bit);
    }

    /// <summary>A one, then zeros to the end of the byte: rbsp_trailing_bits() and byte_alignment() (7.3.2.11 and 7.3.2.12).</summary>
    public void Trail()
    {
        Write(true);
        Align(false);
    }

    /// <summary>What was written, the last byte filled with zeros.</summary>
    public byte[] ToArray() => [.. bytes];
}
