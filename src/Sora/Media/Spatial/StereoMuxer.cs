using System.Buffers.Binary;

namespace Sora.Media.Spatial;

/// <summary>
/// Makes a spatial video of two MOV files with one H.265 track each, those of the two eyes. The left eye's is kept, with
/// its times and colours; every sample gains the right eye's picture as a second layer (MV-HEVC, H.265 annex G), which isn't
/// predicted from the first. One sample at a time is in memory, and the tables of both files.
/// </summary>
internal sealed class StereoMuxer
{
    private readonly Stream left;
    private readonly Stream right;
    private readonly SampleTable leftSamples;
    private readonly SampleTable rightSamples;
    private readonly IsoBox fileType;
    private readonly IsoBox movie;
    private readonly SliceHeader slices;
    private readonly byte[] eyes = ReferenceDisplays.Message().ToArray();

    /// <summary>Reads the tables and parameter sets.</summary>
    /// <exception cref="InvalidDataException">The files don't fit together, or aren't as libx265 and ffmpeg make them here.</exception>
    public StereoMuxer(Stream left, Stream right, SpatialVideoOptions options)
    {
        (this.left, this.right) = (left, right);
        var boxes = IsoBox.ReadAround(left, "mdat");
        fileType = Only(boxes, "ftyp");
        movie = Only(boxes, "moov");
        var rightMovie = Only(IsoBox.ReadAround(right, "mdat"), "moov");
        leftSamples = new SampleTable(movie.Find(IsoBox.ToTables));
        rightSamples = new SampleTable(rightMovie.Find(IsoBox.ToTables));
        if (leftSamples.Count != rightSamples.Count)
            throw new InvalidDataException($"the left eye has {leftSamples.Count} frames, the right one {rightSamples.Count}");
        slices = AddSecondLayer(Entry(movie), Entry(rightMovie), options);
    }

    /// <summary>Writes the file: its index in front, as it has the same length whatever numbers are in it.</summary>
    /// <exception cref="InvalidDataException">The frames of the two eyes don't fit together.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Write(Stream output, CancellationToken cancel)
    {
        SetTables(new int[leftSamples.Count], new long[leftSamples.ChunkCount]);
        var head = fileType.Length + movie.Length;
        const int dataHeader = 16;
        output.Position = head + dataHeader;
        var (sizes, chunks) = (new List<int>(leftSamples.Count), new List<long>(leftSamples.ChunkCount));
        foreach (var (one, other) in leftSamples.Samples().Zip(rightSamples.Samples()))
        {
            cancel.ThrowIfCancellationRequested();
            if (one.StartsChunk)
                chunks.Add(output.Position);
            var sample = Join(ReadSample(left, one.Offset, one.Length), ReadSample(right, other.Offset, other.Length));
            sizes.Add(sample.Length);
            output.Write(sample);
        }
        var length = output.Position - head;
        SetTables(sizes, chunks);
        output.Position = 0;
        output.Write(fileType.ToArray());
        output.Write(movie.ToArray());
        output.Write(DataHeader(length));
    }

    /// <summary>Changes the sample entry of the left eye's track into that of a track for two; returns what moves slices there.</summary>
    private static SliceHeader AddSecondLayer(IsoBox entry, IsoBox other, SpatialVideoOptions options)
    {
        var first = new DecoderConfiguration(entry.Find("hvcC").Fields);
        var second = new DecoderConfiguration(other.Find("hvcC").Fields);
        foreach (var type in new[] { NalType.Vps, NalType.Sps, NalType.Pps })
        {
            if (!first.Only(type).Payload.AsSpan().SequenceEqual(second.Only(type).Payload))
                throw new InvalidDataException($"the eyes differ in their parameter sets of type {type}");
        }
        var (vps, sps, pps) = (first.Only(NalType.Vps), first.Only(NalType.Sps), first.Only(NalType.Pps));
        var (sequence, picture) = (new SequenceParameters(sps), new PictureParameters(pps));
        var views = VideoParameterSet.WithSecondView(vps, sequence, picture);
        entry.Replace("hvcC", first.ForBase(views, sps, pps, ReferenceDisplays.Message()));
        entry.Children.Add(second.ForSecondLayer(sequence.ForSecondLayer(), picture.ForSecondLayer()));
        entry.Children.Add(StereoBoxes.Usage(options));
        entry.Children.Add(StereoBoxes.FieldOfView(options.HorizontalFieldOfView));
        return new SliceHeader(sequence, picture);
    }

    /// <summary>A moment's two pictures: the left one's units as they are, then the right one's slices.</summary>
    private byte[] Join(byte[] leftSample, byte[] rightSample)
    {
        var units = new List<byte[]>();
        NalUnit? picture = null;
        foreach (var bytes in NalUnit.Split(leftSample))
        {
            var unit = NalUnit.Parse(bytes);
            if (unit.IsSlice && picture == null)
            {
                picture = unit;
                if (unit.IsRandomAccess)
                    units.Add(eyes);
            }
            units.Add(bytes);
        }
        foreach (var unit in NalUnit.Split(rightSample).Select(bytes => NalUnit.Parse(bytes)).Where(unit => unit.IsSlice))
        {
            if (unit.Type != picture?.Type)
                throw new InvalidDataException(
                    $"a frame of type {picture?.Type} for the left eye has one of type {unit.Type} for the right"
                );
            units.Add(slices.ForSecondLayer(unit).ToArray());
        }
        return Lengths(units);
    }

    private static byte[] Lengths(List<byte[]> units)
    {
        var sample = new byte[units.Sum(unit => 4 + unit.Length)];
        var rest = sample.AsSpan();
        foreach (var unit in units)
        {
            BinaryPrimitives.WriteInt32BigEndian(rest, unit.Length);
            unit.CopyTo(rest[4..]);
            rest = rest[(4 + unit.Length)..];
        }
        return sample;
    }

    private void SetTables(IReadOnlyList<int> sizes, IReadOnlyList<long> chunks)
    {
        var tables = movie.Find(IsoBox.ToTables);
        tables.Replace("stsz", SampleTable.Sizes(sizes));
        tables.Replace(tables.Children.Exists(child => child.Type == "stco") ? "stco" : "co64", SampleTable.Chunks(chunks));
    }

    private static byte[] ReadSample(Stream file, long offset, int length)
    {
        var sample = new byte[length];
        file.Position = offset;
        file.ReadExactly(sample);
        return sample;
    }

    /// <summary>mdat with a size of 64 bits (14496-12, 4.2.2), whatever the length: the index in front leaves room for no other.</summary>
    private static byte[] DataHeader(long length)
    {
        byte[] header = [0, 0, 0, 1, .. "mdat"u8, 0, 0, 0, 0, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(8), length);
        return header;
    }

    private static IsoBox Entry(IsoBox movie) => movie.Find([.. IsoBox.ToTables, "stsd", "hvc1"]);

    private static IsoBox Only(List<IsoBox> boxes, string type) =>
        boxes.Find(box => box.Type == type) ?? throw new InvalidDataException($"there is no box {type}");
}
