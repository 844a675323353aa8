using System.Buffers.Binary;
using System.Text;

namespace Sora.Tensors;

/// <summary>Where an uncompressed file lies in a zip archive.</summary>
/// <param name="Offset">Its first byte.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct ZipEntry(long Offset, long Length);

/// <summary>
/// The files of a zip archive (PKWARE's APPNOTE.TXT, with 64-bit sizes), by name, as they lie in the mapped archive.
/// Compressed ones are refused: PyTorch doesn't compress.
/// </summary>
internal static class ZipDirectory
{
    private const uint LocalMark = 0x04034b50,
        EntryMark = 0x02014b50,
        EndMark = 0x06054b50,
        End64Mark = 0x06064b50,
        Locator64Mark = 0x07064b50;
    private const int LocalBytes = 30,
        EntryBytes = 46,
        EndBytes = 22,
        End64Bytes = 56,
        Locator64Bytes = 20,
        MostComment = ushort.MaxValue;
    private const ushort Sizes64 = 1;

    /// <summary>Whether a file begins as zip archives do.</summary>
    public static bool IsZip(ReadOnlySpan<byte> start) => start.StartsWith("PK\x03\x04"u8);

    /// <summary>Reads the directory.</summary>
    /// <exception cref="SoraException">It isn't there, or damaged, or a file is compressed.</exception>
    public static Dictionary<string, ZipEntry> Read(MappedFile file)
    {
        var (count, at) = End(file);
        var entries = new Dictionary<string, ZipEntry>();
        for (var i = 0L; i < count; i++)
        {
            var head = Take(file, at, EntryBytes, EntryMark);
            var (nameBytes, extraBytes, commentBytes) = (U16(head[28..]), U16(head[30..]), U16(head[32..]));
            var name = Encoding.UTF8.GetString(Take(file, at + EntryBytes, nameBytes));
            var (packed, length, local) = Sizes(head, Take(file, at + EntryBytes + nameBytes, extraBytes));
            if (U16(head[10..]) != 0 || packed != length)
                throw SoraException.Failed(
                    $"{file.Path}: '{name}' in it is compressed",
                    "PyTorch writes uncompressed archives: unpack it and save it again"
                );
            var start = Take(file, local, LocalBytes, LocalMark);
            var offset = local + LocalBytes + U16(start[26..]) + U16(start[28..]);
            if (length < 0 || offset < 0 || length > file.Length - offset)
                throw Truncated(file);
            if (!entries.TryAdd(name, new ZipEntry(offset, length)))
                throw SoraException.Failed($"{file.Path}: '{name}' appears twice");
            at += EntryBytes + nameBytes + extraBytes + commentBytes;
        }
        return entries;
    }

    /// <summary>How many entries there are, and where the first one lies: from the archive's last bytes.</summary>
    private static (long Count, long Offset) End(MappedFile file)
    {
        var window = Math.Min(file.Length, EndBytes + MostComment);
        var tail = file.Span(file.Length - window, (int)window);
        Span<byte> mark = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(mark, EndMark);
        var found = tail.LastIndexOf(mark);
        if (found < 0 || found + EndBytes > tail.Length)
            throw Truncated(file);
        var end = tail[found..];
        var (count, offset) = ((long)U16(end[10..]), (long)BinaryPrimitives.ReadUInt32LittleEndian(end[16..]));
        if (count != ushort.MaxValue && offset != uint.MaxValue)
            return (count, offset);
        var locator = Take(file, file.Length - window + found - Locator64Bytes, Locator64Bytes, Locator64Mark);
        var wide = Take(file, BinaryPrimitives.ReadInt64LittleEndian(locator[8..]), End64Bytes, End64Mark);
        return (BinaryPrimitives.ReadInt64LittleEndian(wide[32..]), BinaryPrimitives.ReadInt64LittleEndian(wide[48..]));
    }

    /// <summary>Compressed size, size, and place of the local header: those that don't fit 32 bits are in the extra field.</summary>
    private static (long Packed, long Length, long Local) Sizes(ReadOnlySpan<byte> head, ReadOnlySpan<byte> extra)
    {
        Span<long> sizes =
        [
            BinaryPrimitives.ReadUInt32LittleEndian(head[24..]),
            BinaryPrimitives.ReadUInt32LittleEndian(head[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(head[42..]),
        ];
        while (extra.Length >= 4)
        {
            var (id, bytes) = (U16(extra), Math.Min(U16(extra[2..]), extra.Length - 4));
            var field = extra.Slice(4, bytes);
            extra = extra[(4 + bytes)..];
            if (id != Sizes64)
                continue;
            foreach (ref var size in sizes)
            {
                if (size != uint.MaxValue || field.Length < sizeof(long))
                    continue;
                size = BinaryPrimitives.ReadInt64LittleEndian(field);
                field = field[sizeof(long)..];
            }
        }
        return (sizes[1], sizes[0], sizes[2]);
    }

    private static ReadOnlySpan<byte> Take(MappedFile file, long at, int bytes, uint mark)
    {
        var taken = Take(file, at, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(taken) == mark ? taken : throw Truncated(file);
    }

    private static ReadOnlySpan<byte> Take(MappedFile file, long at, int bytes) =>
        at >= 0 && at <= file.Length - bytes ? file.Span(at, bytes) : throw Truncated(file);

    private static ushort U16(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static SoraException Truncated(MappedFile file) =>
        SoraException.Damaged($"{file.Path}: cut off or damaged: the directory of the archive is incomplete");
}
