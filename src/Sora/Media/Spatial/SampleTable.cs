using System.Buffers.Binary;

namespace Sora.Media.Spatial;

/// <summary>Where the samples of a track are: the boxes of <c>stbl</c> (ISO/IEC 14496-12, 8.7), written out for each sample.</summary>
internal sealed class SampleTable
{
    private readonly long[] chunks;
    private readonly int[] firstOfChunk;
    private readonly int[] sizes;

    /// <summary>Reads the tables.</summary>
    /// <exception cref="InvalidDataException">They don't fit together.</exception>
    public SampleTable(IsoBox tables)
    {
        sizes = ReadSizes(tables.Find("stsz").Fields);
        chunks = ReadChunks(tables);
        firstOfChunk = ReadFirstOfChunk(tables.Find("stsc").Fields);
    }

    /// <summary>How many samples there are.</summary>
    public int Count => sizes.Length;

    /// <summary>All samples in order: where each begins in the file, its length, and whether it is the first of its chunk.</summary>
    public IEnumerable<(long Offset, int Length, bool StartsChunk)> Samples()
    {
        for (var chunk = 0; chunk < chunks.Length; chunk++)
        {
            var offset = chunks[chunk];
            for (var sample = firstOfChunk[chunk]; sample < firstOfChunk[chunk + 1]; sample++)
            {
                yield return (offset, sizes[sample], sample == firstOfChunk[chunk]);
                offset += sizes[sample];
            }
        }
    }

    /// <summary>The box of the sizes of samples (8.7.3.2).</summary>
    public static IsoBox Sizes(IReadOnlyList<int> sizes)
    {
        var bytes = new byte[8 + 4 * sizes.Count];
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(4), sizes.Count);
        for (var sample = 0; sample < sizes.Count; sample++)
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(8 + 4 * sample), sizes[sample]);
        return IsoBox.Full("stsz", bytes);
    }

    /// <summary>The box of the places of chunks, with 64 bits each (8.7.5).</summary>
    public static IsoBox Chunks(IReadOnlyList<long> offsets)
    {
        var bytes = new byte[4 + 8 * offsets.Count];
        BinaryPrimitives.WriteInt32BigEndian(bytes, offsets.Count);
        for (var chunk = 0; chunk < offsets.Count; chunk++)
            BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(4 + 8 * chunk), offsets[chunk]);
        return IsoBox.Full("co64", bytes);
    }

    /// <summary>How many chunks there are.</summary>
    public int ChunkCount => chunks.Length;

    private static int[] ReadSizes(byte[] fields)
    {
        var equal = Number(fields, 4);
        var sizes = new int[Number(fields, 8)];
        for (var sample = 0; sample < sizes.Length; sample++)
            sizes[sample] = equal != 0 ? equal : Number(fields, 12 + 4 * sample);
        return sizes;
    }

    private static long[] ReadChunks(IsoBox tables)
    {
        var isLong = tables.Children.Exists(child => child.Type == "co64");
        var fields = tables.Find(isLong ? "co64" : "stco").Fields;
        var chunks = new long[Number(fields, 4)];
        for (var chunk = 0; chunk < chunks.Length; chunk++)
            chunks[chunk] = isLong
                ? (long)Number(fields, 8 + 8 * chunk) << 32 | (uint)Number(fields, 12 + 8 * chunk)
                : (uint)Number(fields, 8 + 4 * chunk);
        return chunks;
    }

    /// <summary>Each entry of stsc (8.7.4) holds from a chunk on, counted from 1: how many samples a chunk has.</summary>
    private int[] ReadFirstOfChunk(byte[] fields)
    {
        var first = new int[chunks.Length + 1];
        var (entry, entries) = (0, Number(fields, 4));
        for (var chunk = 0; chunk < chunks.Length; chunk++)
        {
            while (entry + 1 < entries && Number(fields, 8 + 12 * (entry + 1)) <= chunk + 1)
                entry++;
            first[chunk + 1] = first[chunk] + Number(fields, 12 + 12 * entry);
        }
        return first[^1] == Count ? first : throw new InvalidDataException($"the chunks hold {first[^1]} samples, not {Count}");
    }

    private static int Number(byte[] fields, int at) =>
        at + 4 <= fields.Length
            ? BinaryPrimitives.ReadInt32BigEndian(fields.AsSpan(at))
            : throw new InvalidDataException("a table ends too early");
}
