using System.Buffers.Binary;
using Sora.Media;
using Sora.Media.Spatial;
using Xunit;

namespace Sora.Tests.Media.Spatial;

public class BoxesTests
{
    [Fact]
    public void BoxesHaveTheirSizes()
    {
        var box = new IsoBox("moov", [], new IsoBox("free", [1, 2, 3]), new IsoBox("trak", [], IsoBox.Full("tkhd", [9])));
        Assert.Equal(
            "00000028" + "6D6F6F76" + "0000000B" + "66726565" + "010203" + "00000015" + "7472616B" + "0000000D" + "746B6864" + "0000000009",
            Convert.ToHexString(box.ToArray())
        );
        var read = Assert.Single(IsoBox.ParseAll(box.ToArray()));
        Assert.Equal([0, 0, 0, 0, 9], read.Find("trak", "tkhd").Fields);
        Assert.Equal(box.ToArray(), read.ToArray());
        read.Replace("free", new IsoBox("wide", []));
        Assert.Equal(40 - 3, read.Length);
        Assert.Throws<InvalidDataException>(() => read.Find("trak", "mdia"));
    }

    [Theory]
    [InlineData("0000000766726565")]
    [InlineData("0000000966726565")]
    [InlineData("0000000C73747364000000")]
    public void DamagedBoxesAreRefused(string bytes) =>
        Assert.Throws<InvalidDataException>(() => IsoBox.ParseAll(Convert.FromHexString(bytes)));

    [Fact]
    public void MediaDataIsNotRead()
    {
        byte[] file = [.. new IsoBox("ftyp", [1]).ToArray(), 0, 0, 0, 1, .. "mdat"u8, 0, 0, 0, 0, 0, 0, 0, 20, 7, 7, 7, 7];
        var boxes = IsoBox.ReadAround(new MemoryStream([.. file, .. new IsoBox("moov", []).ToArray()]), "mdat");
        Assert.Equal(["ftyp", "moov"], boxes.Select(box => box.Type));
        boxes = IsoBox.ReadAround(new MemoryStream(file), "ftyp");
        Assert.Equal([7, 7, 7, 7], Assert.Single(boxes).Fields);
        Assert.Throws<InvalidDataException>(() => IsoBox.ReadAround(new MemoryStream(file[..^1]), "mdat"));
    }

    /// <summary>Seven samples in chunks of 2, 2, 1, 1 and 1, with offsets of either width.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SamplesAreFoundThroughTheirChunks(bool isLong)
    {
        long[] chunks = isLong ? [5_000_000_000, 100, 200, 300, 400] : [50, 100, 200, 300, 4_000_000_000];
        var table = new SampleTable(Tables([10, 20, 30, 40, 50, 60, 70], chunks, isLong, (1, 2), (3, 1)));
        Assert.Equal(
            [
                (chunks[0], 10, true),
                (chunks[0] + 10, 20, false),
                (chunks[1], 30, true),
                (chunks[1] + 30, 40, false),
                (chunks[2], 50, true),
                (chunks[3], 60, true),
                (chunks[4], 70, true),
            ],
            table.Samples()
        );
        Assert.Equal((7, 5), (table.Count, table.ChunkCount));
    }

    [Fact]
    public void SamplesOfOneSizeNeedNoList()
    {
        var tables = Tables([], [1000], false, (1, 3));
        tables.Replace("stsz", IsoBox.Full("stsz", [0, 0, 0, 12, 0, 0, 0, 3]));
        Assert.Equal([(1000L, 12, true), (1012L, 12, false), (1024L, 12, false)], new SampleTable(tables).Samples());
    }

    [Fact]
    public void TablesThatContradictEachOtherAreRefused()
    {
        Assert.Throws<InvalidDataException>(() => new SampleTable(Tables([10, 20], [50], false, (1, 3))));
        var cut = Tables([10, 20], [50], false, (1, 2));
        cut.Find("stsz").Fields = cut.Find("stsz").Fields[..^1];
        Assert.Throws<InvalidDataException>(() => new SampleTable(cut));
    }

    private static IsoBox Tables(int[] sizes, long[] chunks, bool isLong, params (int First, int Samples)[] runs)
    {
        var offsets = SampleTable.Chunks(chunks);
        if (!isLong)
            offsets = IsoBox.Full("stco", [.. Numbers(chunks.Length), .. Numbers([.. chunks.Select(offset => (int)(uint)offset)])]);
        var entries = runs.SelectMany(run => Numbers(run.First, run.Samples, 1));
        return new IsoBox("stbl", [], SampleTable.Sizes(sizes), offsets, IsoBox.Full("stsc", [.. Numbers(runs.Length), .. entries]));
    }

    private static byte[] Numbers(params int[] values)
    {
        var bytes = new byte[4 * values.Length];
        for (var i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(4 * i), values[i]);
        return bytes;
    }
}
