using System.Buffers.Binary;

namespace Sora.Media.Spatial;

/// <summary>
/// The box <c>hvcC</c> (ISO/IEC 14496-15, 8.3.3.1): fields about the stream, then its parameter sets, in an array for each
/// type. <c>lhvC</c> (9.6.3) is the same for higher layers, with fewer fields.
/// </summary>
internal sealed class DecoderConfiguration
{
    private const int FieldsLength = 22;

    /// <summary>Says that sets of a type are all here, and none in the samples.</summary>
    private const byte Complete = 0x80;

    private readonly byte[] fields;

    /// <summary>Reads the content of the box.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public DecoderConfiguration(ReadOnlySpan<byte> content)
    {
        try
        {
            fields = content[..FieldsLength].ToArray();
            var arrays = content[FieldsLength];
            content = content[(FieldsLength + 1)..];
            for (var array = 0; array < arrays; array++)
            {
                var count = BinaryPrimitives.ReadUInt16BigEndian(content[1..]);
                content = content[3..];
                for (var unit = 0; unit < count; unit++)
                {
                    var length = BinaryPrimitives.ReadUInt16BigEndian(content);
                    Units.Add(NalUnit.Parse(content.Slice(2, length)));
                    content = content[(2 + length)..];
                }
            }
        }
        catch (Exception fault) when (fault is ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            throw new InvalidDataException("the box hvcC ends too early", fault);
        }
    }

    /// <summary>The parameter sets, and messages that hold for the whole stream.</summary>
    public List<NalUnit> Units { get; } = [];

    /// <summary>The one parameter set of a type.</summary>
    /// <exception cref="InvalidDataException">There is none, or several.</exception>
    public NalUnit Only(NalType type)
    {
        var found = Units.FindAll(unit => unit.Type == type);
        return found.Count == 1
            ? found[0]
            : throw new InvalidDataException($"the encoder wrote {found.Count} parameter sets of type {type}");
    }

    /// <summary>hvcC with the same fields and other units.</summary>
    public IsoBox ForBase(params NalUnit[] units) => new("hvcC", [.. fields, .. Arrays(units)]);

    /// <summary>
    /// lhvC of a second layer that has the same properties: the version, min_spatial_segmentation_idc, parallelismType, and
    /// the byte of temporal layers and the length of lengths, of which the two bits of constantFrameRate are reserved here.
    /// </summary>
    public IsoBox ForSecondLayer(params NalUnit[] units) =>
        new("lhvC", [fields[0], fields[13], fields[14], fields[15], (byte)(fields[21] | 0xC0), .. Arrays(units)]);

    private static byte[] Arrays(NalUnit[] units)
    {
        var bytes = new List<byte> { (byte)units.Length };
        foreach (var unit in units)
        {
            var content = unit.ToArray();
            bytes.AddRange([(byte)(Complete | (int)unit.Type), 0, 1, (byte)(content.Length >> 8), (byte)content.Length, .. content]);
        }
        return [.. bytes];
    }
}
