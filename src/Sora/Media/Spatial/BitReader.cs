namespace Sora.Media.Spatial;

/// <summary>
/// Reads the bits of a raw byte sequence payload, the first bit of a byte being its highest: the descriptors u(n), ue(v)
/// and se(v) of H.265 (clauses 7.2 and 9.2). Emulation prevention bytes must be gone (<see cref="NalUnit.Unescape"/>).
/// </summary>
internal sealed class BitReader(byte[] bytes)
{
    /// <summary>How many bits were read.</summary>
    public int Position { get; private set; }

    /// <summary>u(n): the next bits as a number.</summary>
    /// <param name="count">How many, 0 to 32.</param>
    /// <exception cref="InvalidDataException">There are fewer bits.</exception>
    public uint Read(int count)
    {
        if (Position + count > bytes.Length * 8)
            throw new InvalidDataException($"the data ends after {bytes.Length * 8} bits");
        var value = 0u;
        for (var end = Position + count; Position < end; Position++)
            value = value << 1 | (uint)(bytes[Position >> 3] >> (7 - (Position & 7)) & 1);
        return value;
    }

    /// <summary>u(1): the next bit.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public bool ReadFlag() => Read(1) == 1;

    /// <summary>ue(v): an unsigned exp-Golomb code (9.2), 0 to 2^32 - 2.</summary>
    /// <exception cref="InvalidDataException">The code is longer than any number's, or the data ends.</exception>
    public uint ReadUnsigned()
    {
        var zeros = 0;
        while (!ReadFlag())
        {
            if (++zeros == 32)
                throw new InvalidDataException("a number has more than 31 leading zeros");
        }
        return (1u << zeros) - 1 + Read(zeros);
    }

    /// <summary>se(v): a signed exp-Golomb code (9.2.2): 0, 1, -1, 2, -2, …</summary>
    /// <exception cref="InvalidDataException">The code is longer than any number's, or the data ends.</exception>
    public int ReadSigned()
    {
        var code = (long)ReadUnsigned();
        return (int)(code % 2 == 1 ? (code + 1) / 2 : -code / 2);
    }

    /// <summary>Leaves bits out.</summary>
    /// <exception cref="InvalidDataException">There are fewer bits.</exception>
    public void Skip(int count)
    {
        for (; count > 0; count -= 32)
            Read(Math.Min(count, 32));
    }

    /// <summary>Leaves numbers of exp-Golomb codes out.</summary>
    /// <exception cref="InvalidDataException">There are fewer.</exception>
    public void SkipUnsigned(int count)
    {
        for (; count > 0; count--)
            ReadUnsigned();
    }

    /// <summary>The same data, read from a bit on.</summary>
    public BitReader From(int position) => new(bytes) { Position = position };
}
