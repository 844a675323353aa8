using System.Buffers.Binary;

namespace Sora.Media.Spatial;

/// <summary>The NAL unit types that are told apart here (H.265, table 7-1).</summary>
internal enum NalType
{
    /// <summary>A picture that a decoder can start at, which leading pictures may follow.</summary>
    IdrWithLeading = 19,

    /// <summary>A picture that a decoder can start at, without leading pictures.</summary>
    Idr = 20,

    /// <summary>The last type of a picture's slices; those above are no pictures.</summary>
    LastSlice = 31,

    /// <summary>Video parameter set.</summary>
    Vps = 32,

    /// <summary>Sequence parameter set.</summary>
    Sps = 33,

    /// <summary>Picture parameter set.</summary>
    Pps = 34,

    /// <summary>Supplemental enhancement information before the picture.</summary>
    PrefixSei = 39,
}

/// <summary>
/// A unit of a H.265 stream: its header (7.3.1.2) and its raw byte sequence payload, without emulation prevention bytes.
/// </summary>
internal sealed record NalUnit(NalType Type, int Layer, byte[] Payload)
{
    private const int HeaderLength = 2;

    /// <summary>nuh_temporal_id_plus1: the encoder makes one temporal layer.</summary>
    private const int FirstTemporalLayer = 1;

    /// <summary>Whether it belongs to a picture.</summary>
    public bool IsSlice => Type <= NalType.LastSlice;

    /// <summary>Whether it belongs to a picture that a decoder can start at (IRAP, types 16 to 23).</summary>
    public bool IsRandomAccess => (int)Type is >= 16 and <= 23;

    /// <summary>Whether it belongs to an instantaneous decoding refresh picture, whose order count is 0.</summary>
    public bool IsIdr => Type is NalType.Idr or NalType.IdrWithLeading;

    /// <summary>Reads a unit, which begins with its header.</summary>
    /// <exception cref="InvalidDataException">It has no header.</exception>
    public static NalUnit Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderLength)
            throw new InvalidDataException("a unit of the stream is shorter than its header");
        var header = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        return new NalUnit((NalType)(header >> 9 & 63), header >> 3 & 63, Unescape(bytes[HeaderLength..]));
    }

    /// <summary>The units of a sample, each after its length in four bytes (ISO/IEC 14496-15, 4.3.3).</summary>
    /// <exception cref="InvalidDataException">A length leads out of the sample.</exception>
    public static List<byte[]> Split(ReadOnlySpan<byte> sample)
    {
        var units = new List<byte[]>();
        while (sample.Length > 0)
        {
            if (sample.Length < 4 || BinaryPrimitives.ReadUInt32BigEndian(sample) is var length && length > sample.Length - 4)
                throw new InvalidDataException("a sample ends inside a unit");
            units.Add(sample.Slice(4, (int)length).ToArray());
            sample = sample[(4 + (int)length)..];
        }
        return units;
    }

    /// <summary>The header and the payload with emulation prevention bytes.</summary>
    public byte[] ToArray()
    {
        var header = new byte[HeaderLength];
        BinaryPrimitives.WriteUInt16BigEndian(header, (ushort)((int)Type << 9 | Layer << 3 | FirstTemporalLayer));
        return [.. header, .. Escape(Payload)];
    }

    /// <summary>Removes emulation prevention: a 3 after two zeros (7.3.1.1).</summary>
    public static byte[] Unescape(ReadOnlySpan<byte> bytes)
    {
        var payload = new byte[bytes.Length];
        var (length, zeros) = (0, 0);
        foreach (var value in bytes)
        {
            if (zeros >= 2 && value == 3)
            {
                zeros = 0;
                continue;
            }
            payload[length++] = value;
            zeros = value == 0 ? zeros + 1 : 0;
        }
        return payload[..length];
    }

    /// <summary>Puts a 3 after two zeros where a value of 0 to 3, or the end, follows, so that no start code appears (7.4.2).</summary>
    public static byte[] Escape(ReadOnlySpan<byte> payload)
    {
        var bytes = new List<byte>(payload.Length + payload.Length / 64 + 1);
        var zeros = 0;
        foreach (var value in payload)
        {
            if (zeros >= 2 && value <= 3)
            {
                bytes.Add(3);
                zeros = 0;
            }
            bytes.Add(value);
            zeros = value == 0 ? zeros + 1 : 0;
        }
        if (zeros > 0)
            bytes.Add(3);
        return [.. bytes];
    }
}
