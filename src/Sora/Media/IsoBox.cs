using System.Buffers.Binary;
using System.Text;

namespace Sora.Media;

/// <summary>
/// A box of a MOV or MP4 file (ISO/IEC 14496-12, 4.2; QuickTime calls it an atom): its size, its type, fields of its own and,
/// in a container, other boxes. Which types contain boxes, and after how many bytes of fields, is known for those on the way
/// to a video track's sample tables; the content of any other is kept as bytes.
/// </summary>
internal sealed class IsoBox(string type, byte[] fields, params IsoBox[] children)
{
    /// <summary>The way from <c>moov</c> to the tables of the only track.</summary>
    public static readonly string[] ToTables = ["trak", "mdia", "minf", "stbl"];

    private const int HeaderLength = 8;

    /// <summary>The fields of a visual sample entry before the boxes in it (14496-12, 12.1.3).</summary>
    private const int VisualSampleEntry = 78;

    /// <summary>Four characters.</summary>
    public string Type => type;

    /// <summary>What stands before the boxes; all of it where there are none.</summary>
    public byte[] Fields { get; set; } = fields;

    /// <summary>The boxes in it.</summary>
    public List<IsoBox> Children { get; } = [.. children];

    /// <summary>Bytes with the header.</summary>
    public int Length => HeaderLength + Fields.Length + Children.Sum(child => child.Length);

    /// <summary>A box with version and flags 0 before its fields (a full box, 14496-12, 4.2.2).</summary>
    public static IsoBox Full(string type, byte[] fields) => new(type, [0, 0, 0, 0, .. fields]);

    /// <summary>Reads boxes that fill a span.</summary>
    /// <exception cref="InvalidDataException">A size leads out of the span.</exception>
    public static List<IsoBox> ParseAll(ReadOnlySpan<byte> bytes)
    {
        var boxes = new List<IsoBox>();
        // QuickTime ends the boxes of a sample entry with four zeros, which aren't one.
        while (bytes.Length >= HeaderLength)
        {
            var size = BinaryPrimitives.ReadUInt32BigEndian(bytes);
            if (size < HeaderLength || size > bytes.Length)
                throw new InvalidDataException($"a box has a size of {size} where {bytes.Length} bytes are left");
            boxes.Add(Parse(TypeAt(bytes), bytes[HeaderLength..(int)size]));
            bytes = bytes[(int)size..];
        }
        return boxes;
    }

    /// <summary>Reads the boxes of a file but for those of one type, such as the media data, which are passed over.</summary>
    /// <exception cref="InvalidDataException">A size leads out of the file.</exception>
    public static List<IsoBox> ReadAround(Stream file, string leftOut)
    {
        var boxes = new List<IsoBox>();
        while (file.Position < file.Length)
        {
            var (name, end) = ReadHeader(file);
            if (name == leftOut)
                file.Position = end;
            else
                boxes.Add(ReadContent(file, name, end));
        }
        return boxes;
    }

    /// <summary>Reads the boxes of a file before the first one of a type, at whose beginning the file is then, or at its end.</summary>
    /// <exception cref="InvalidDataException">A size leads out of the file.</exception>
    public static List<IsoBox> ReadUntil(Stream file, string first)
    {
        var boxes = new List<IsoBox>();
        while (file.Position < file.Length)
        {
            var start = file.Position;
            var (name, end) = ReadHeader(file);
            if (name == first)
            {
                file.Position = start;
                break;
            }
            boxes.Add(ReadContent(file, name, end));
        }
        return boxes;
    }

    /// <summary>The box that is reached through others.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public IsoBox Find(params string[] path)
    {
        var box = this;
        foreach (var name in path)
            box = box.Children.Find(child => child.Type == name) ?? throw new InvalidDataException($"there is no box {name} in {box.Type}");
        return box;
    }

    /// <summary>Puts a box where the one of another type is.</summary>
    /// <exception cref="InvalidDataException">There is none of that type.</exception>
    public void Replace(string name, IsoBox box) => Children[Children.IndexOf(Find(name))] = box;

    /// <summary>The box as it stands in a file.</summary>
    public byte[] ToArray()
    {
        var bytes = new byte[Length];
        Write(bytes);
        return bytes;
    }

    private void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteInt32BigEndian(bytes, Length);
        Encoding.Latin1.GetBytes(type, bytes[4..]);
        Fields.CopyTo(bytes[HeaderLength..]);
        bytes = bytes[(HeaderLength + Fields.Length)..];
        foreach (var child in Children)
        {
            child.Write(bytes);
            bytes = bytes[child.Length..];
        }
    }

    private static IsoBox Parse(string type, ReadOnlySpan<byte> content)
    {
        var before = type switch
        {
            "moov" or "trak" or "mdia" or "minf" or "stbl" => 0,
            "stsd" => 8,
            "hvc1" or "avc1" => VisualSampleEntry,
            _ => content.Length,
        };
        if (content.Length < before)
            throw new InvalidDataException($"the box {type} has only {content.Length} bytes");
        return new IsoBox(type, content[..before].ToArray(), [.. ParseAll(content[before..])]);
    }

    /// <summary>The type of the box that begins here, and where it ends.</summary>
    private static (string Type, long End) ReadHeader(Stream file)
    {
        var (header, start) = (new byte[HeaderLength], file.Position);
        file.ReadExactly(header);
        long size = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (size == 1)
        {
            // The size follows, in 64 bits.
            var large = new byte[sizeof(long)];
            file.ReadExactly(large);
            size = BinaryPrimitives.ReadInt64BigEndian(large);
        }
        if (size < file.Position - start || size > file.Length - start)
            throw new InvalidDataException($"a box has a size of {size} where {file.Length - start} bytes are left");
        return (TypeAt(header), start + size);
    }

    private static IsoBox ReadContent(Stream file, string name, long end)
    {
        var bytes = new byte[end - file.Position];
        file.ReadExactly(bytes);
        return Parse(name, bytes);
    }

    private static string TypeAt(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes.Slice(4, 4));
}
