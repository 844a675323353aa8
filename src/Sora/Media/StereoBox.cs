using System.Buffers.Binary;

namespace Sora.Media;

/// <summary>
/// Adds to an MP4 file the box <c>st3d</c>, by which players know that its frames hold two eyes (Google's Spherical Video V2 RFC:
/// a full box with one byte, in the sample entry of the video track). ffmpeg writes that box only when it copies a stream from
/// Matroska, whose times are rounded to milliseconds.
/// </summary>
internal static class StereoBox
{
    /// <summary>Writes a file again with the box in it.</summary>
    /// <param name="path">A file with one track, whose <c>moov</c> comes before its samples.</param>
    /// <param name="mode">What the box says: 1 for top-bottom, 2 for side by side.</param>
    /// <exception cref="InvalidDataException">The file has another structure.</exception>
    public static void AddTo(string path, byte mode)
    {
        using var from = File.OpenRead(path);
        var boxes = IsoBox.ReadUntil(from, "mdat");
        var moov = boxes.Find(box => box.Type == "moov") ?? throw new InvalidDataException($"{path} has no moov in front of its samples");
        var before = moov.Length;
        Add(moov, mode);
        MoveChunks(moov.Find(IsoBox.ToTables), moov.Length - before);
        AtomicFile.Write(
            path,
            to =>
            {
                foreach (var box in boxes)
                    to.Write(box.ToArray());
                from.CopyTo(to);
            }
        );
    }

    /// <summary>Adds the box to the entry of the only track.</summary>
    internal static void Add(IsoBox moov, byte mode)
    {
        var descriptions = moov.Find([.. IsoBox.ToTables, "stsd"]);
        var entry = descriptions.Children is [var only] ? only : throw new InvalidDataException("there isn't one sample description");
        entry.Children.Add(IsoBox.Full("st3d", [mode]));
    }

    /// <summary>Moves where the samples begin.</summary>
    private static void MoveChunks(IsoBox tables, int by)
    {
        foreach (var box in tables.Children)
        {
            // Version and flags, the number of entries, the entries.
            const int EntriesAt = 8;
            var entries = box.Type is "stco" or "co64" ? box.Fields.AsSpan(EntriesAt) : [];
            var width = box.Type == "stco" ? sizeof(uint) : sizeof(ulong);
            for (; entries.Length >= width; entries = entries[width..])
            {
                if (width == sizeof(uint))
                    BinaryPrimitives.WriteUInt32BigEndian(entries, checked(BinaryPrimitives.ReadUInt32BigEndian(entries) + (uint)by));
                else
                    BinaryPrimitives.WriteUInt64BigEndian(entries, checked(BinaryPrimitives.ReadUInt64BigEndian(entries) + (ulong)by));
            }
        }
    }
}
