using System.Buffers.Binary;
using System.Text;

namespace Sora.Media;

/// <summary>
/// Adds to an MP4 file the box <c>st3d</c>, by which players know that its frames hold two eyes (Google's Spherical Video V2 RFC:
/// a full box with one byte, in the sample entry of the video track). ffmpeg writes that box only when it copies a stream from
/// Matroska, whose times are rounded to milliseconds.
/// </summary>
internal static class StereoBox
{
    private const int HeaderBytes = 8;

    /// <summary>Size and name, version and flags, the mode.</summary>
    private const int BoxBytes = HeaderBytes + 4 + 1;

    /// <summary>Of a <c>stsd</c> before its entries: version and flags, their number.</summary>
    private const int CountBytes = 8;

    /// <summary>The way from <c>moov</c> to the entry, without the entry's own name, which is the codec's.</summary>
    private static readonly string[] Way = ["trak", "mdia", "minf", "stbl", "stsd"];

    /// <summary>Writes a file anew with the box in it.</summary>
    /// <param name="path">A file with one track, whose <c>moov</c> comes before its samples.</param>
    /// <param name="mode">What the box says: 1 for top-bottom, 2 for side by side.</param>
    /// <exception cref="SoraException">The file has another structure.</exception>
    public static void AddTo(string path, byte mode)
    {
        using var from = File.OpenRead(path);
        AtomicFile.Write(path, to => Copy(from, to, mode));
    }

    private static void Copy(FileStream from, Stream to, byte mode)
    {
        var header = new byte[HeaderBytes];
        while (true)
        {
            from.ReadExactly(header);
            var size = BinaryPrimitives.ReadUInt32BigEndian(header);
            var name = Name(header);
            // A size of 0 or 1 stands for others, which only samples need.
            if (name == "mdat" || size < HeaderBytes)
                throw SoraException.Failed($"{from.Name}: an MP4 file whose index isn't in front of its samples");
            var box = new byte[size];
            header.CopyTo(box, 0);
            from.ReadExactly(box.AsSpan(HeaderBytes));
            if (name != "moov")
            {
                to.Write(box);
                continue;
            }
            to.Write(WithBox(box, mode));
            from.CopyTo(to);
            return;
        }
    }

    /// <summary>A <c>moov</c> with the box, and with what lies after it farther back by the box's size.</summary>
    internal static byte[] WithBox(byte[] moov, byte mode)
    {
        var (at, inner) = (0, HeaderBytes);
        var sizes = new List<int> { 0 };
        foreach (var name in Way)
        {
            at = Find(moov, at, inner, name);
            sizes.Add(at);
            inner = HeaderBytes;
        }
        var entry = at + HeaderBytes + CountBytes;
        sizes.Add(entry);
        var end = entry + Size(moov, entry);
        byte[] larger = [.. moov.AsSpan(0, end), 0, 0, 0, BoxBytes, .. "st3d"u8, 0, 0, 0, 0, mode, .. moov.AsSpan(end)];
        foreach (var box in sizes)
            BinaryPrimitives.WriteUInt32BigEndian(larger.AsSpan(box), checked((uint)(Size(moov, box) + BoxBytes)));
        MoveChunks(larger, sizes[^3]);
        return larger;
    }

    /// <summary>Adds the box's size to where the samples begin.</summary>
    private static void MoveChunks(byte[] moov, int table)
    {
        var end = table + Size(moov, table);
        for (var at = table + HeaderBytes; at < end; at += Size(moov, at))
        {
            var width = Name(moov.AsSpan(at)) switch
            {
                "stco" => sizeof(uint),
                "co64" => sizeof(ulong),
                _ => 0,
            };
            var entries = moov.AsSpan(at, Size(moov, at))[(HeaderBytes + CountBytes)..];
            for (; width > 0 && entries.Length >= width; entries = entries[width..])
            {
                if (width == sizeof(uint))
                    BinaryPrimitives.WriteUInt32BigEndian(entries, checked(BinaryPrimitives.ReadUInt32BigEndian(entries) + BoxBytes));
                else
                    BinaryPrimitives.WriteUInt64BigEndian(entries, checked(BinaryPrimitives.ReadUInt64BigEndian(entries) + BoxBytes));
            }
        }
    }

    private static int Find(byte[] boxes, int parent, int inner, string name)
    {
        var end = parent + Size(boxes, parent);
        for (var at = parent + inner; at <= end - HeaderBytes; at += Size(boxes, at))
        {
            if (Name(boxes.AsSpan(at)) == name)
                return at;
        }
        throw SoraException.Failed($"an MP4 file without the box {name}");
    }

    private static int Size(byte[] boxes, int at)
    {
        var size = at <= boxes.Length - HeaderBytes ? BinaryPrimitives.ReadUInt32BigEndian(boxes.AsSpan(at)) : 0;
        return size >= HeaderBytes && at + (long)size <= boxes.Length
            ? (int)size
            : throw SoraException.Failed("an MP4 file with a box that is larger than what holds it");
    }

    private static string Name(ReadOnlySpan<byte> box) => Encoding.ASCII.GetString(box.Slice(sizeof(uint), 4));
}
