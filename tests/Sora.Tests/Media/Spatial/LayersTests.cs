using Sora.Media.Spatial;
using Xunit;

namespace Sora.Tests.Media.Spatial;

/// <summary>The parameter sets that libx265 3.5 wrote for 160x90 with the settings in use, and slices of it.</summary>
public class LayersTests
{
    private const string Vps = "40010C01FFFF01600000030090000003000003001E928090";
    private const string Sps = "42010101600000030090000003000003001EA0142061F26592A4932BC05A808080820000030002000003003010";
    private const string Pps = "4401C172B06240";

    private static SequenceParameters Sequence => new(Unit(Sps));

    [Fact]
    public void ASequenceParameterSetIsRead()
    {
        var sequence = Sequence;
        Assert.Equal(
            (160u, 96u, 1u, 8u, 8u),
            (sequence.Width, sequence.Height, sequence.ChromaFormat, sequence.LumaBits, sequence.ChromaBits)
        );
        Assert.Equal([0, 0, 0, 3], sequence.Window!);
        Assert.Equal(30u, sequence.Level);
        Assert.True(sequence.AdaptiveOffset);
        Assert.True(sequence.TemporalMotion);
    }

    /// <summary>Parses the extension field by field, as F.7.3.2.1.1 lists them.</summary>
    [Fact]
    public void TheVideoParameterSetHasTwoViews()
    {
        var unit = VideoParameterSet.WithSecondView(Unit(Vps), Sequence, new PictureParameters(Unit(Pps)));
        Assert.Equal((NalType.Vps, 0), (unit.Type, unit.Layer));
        var reader = new BitReader(unit.Payload);
        Read(reader, (4, 0), (2, 3), (6, 1), (3, 0), (1, 1), (16, 0xFFFF));
        reader.Skip(88); // profile, and its constraints
        Read(reader, (8, 30), (1, 1));
        Numbers(reader, Sequence.Buffering.PicturesMinus1, Sequence.Buffering.Reordered, Sequence.Buffering.LatencyPlus1);
        Read(reader, (6, 1));
        Numbers(reader, 1);
        Read(reader, (2, 3), (1, 0), (1, 1));
        while (reader.Position % 8 != 0)
            Read(reader, (1, 1));
        // Level, splitting, mask, length, layer numbers, dimension, views.
        Read(reader, (8, 30), (1, 0), (16, 0x4000), (3, 0), (1, 0), (1, 1), (4, 1), (1, 0), (1, 1));
        // Dependency, sub-layers, temporal references, default references.
        Read(reader, (1, 1), (1, 0), (1, 0), (1, 0));
        Numbers(reader, 2);
        // The third profile: present, space, tier, Multiview Main, compatible with it.
        Read(reader, (1, 1), (2, 0), (1, 0), (5, 6), (32, 1u << 25), (4, 0b1011), (9, 0b111110001), (32, 0), (3, 0), (8, 30));
        Numbers(reader, 0);
        Read(reader, (2, 0), (2, 1), (2, 2));
        Numbers(reader, 0);
        Read(reader, (16, 160), (16, 96), (1, 1), (2, 1), (4, 0), (4, 0), (1, 1));
        Numbers(reader, 0, 0, 0, 3);
        Read(reader, (1, 1), (1, 1), (1, 0));
        var pictures = Sequence.Buffering.PicturesMinus1;
        Numbers(reader, pictures, pictures, Sequence.Buffering.Reordered, Sequence.Buffering.LatencyPlus1, 0);
        Read(reader, (1, 1), (2, 2));
        Numbers(reader, 0);
        Read(reader, (1, 1));
        while (reader.Position % 8 != 0)
            Read(reader, (1, 1));
        // VUI: nothing aligned, no rates, one signal: unspecified, video range, BT.709 thrice.
        Read(reader, (4, 0), (1, 1), (4, 0), (3, 5), (1, 0), (8, 1), (8, 1), (8, 1));
        // No tiles; rows of blocks that are coded side by side in both layers; nothing else.
        Read(reader, (3, 0), (1, 0), (2, 3), (4, 0));
        Read(reader, (1, 0), (1, 1));
        Assert.InRange(unit.Payload.Length * 8 - reader.Position, 0, 7);
    }

    [Fact]
    public void TheSecondLayersSetsHaveItsNumber()
    {
        var sps = Sequence.ForSecondLayer();
        Assert.Equal((NalType.Sps, 1), (sps.Type, sps.Layer));
        var reader = new BitReader(sps.Payload);
        Read(reader, (4, 0), (3, 7));
        Numbers(reader, 1);
        Read(reader, (1, 0));
        Numbers(reader, (uint)Sequence.OrderCountBits - 4);
        // Block sizes from 8 to 64, transforms from 4 to 32, depths; then flags as in the first layer's set.
        Numbers(reader, 0, 3, 0, 3, 0, 0);
        Read(reader, (1, 0), (1, 0), (1, 1), (1, 0));
        Numbers(reader, 0);
        Read(reader, (1, 0), (1, 1), (1, 1), (1, 0), (1, 1), (8, 0x40), (1, 1), (1, 1));

        var pps = new PictureParameters(Unit(Pps)).ForSecondLayer();
        Assert.Equal((NalType.Pps, 1), (pps.Type, pps.Layer));
        var (first, second) = (new BitReader(Unit(Pps).Payload), new BitReader(pps.Payload));
        Numbers(first, 0, 0);
        Numbers(second, 1, 1);
        // The rest is the same, up to the one that ends it.
        for (var left = Unit(Pps).Payload.Length * 8 - first.Position - 8; left > 0; left--)
            Assert.Equal(first.Read(1), second.Read(1));
    }

    [Fact]
    public void SlicesGainTwoFieldsAndKeepTheirData()
    {
        var header = new SliceHeader(Sequence, new PictureParameters(Unit(Pps)));
        var bits = Sequence.OrderCountBits;

        // IDR, type I: first slice, keep prior pictures, set 0, type 2, both offsets, quantiser -3, filter across slices, no entry
        // points, end.
        var idr = new BitWriter();
        Write(idr, "1 0 1 011 11 00111 1 1 1");
        idr.Align(false);
        byte[] data = [0, 0, 3, 0x80];
        var moved = header.ForSecondLayer(new NalUnit(NalType.Idr, 0, [.. idr.ToArray(), .. data]));
        var expected = new BitWriter();
        Write(expected, $"1 0 010 011 {new string('0', bits)} 0 11 00111 1 1 1");
        expected.Align(false);
        Assert.Equal((NalType.Idr, 1), (moved.Type, moved.Layer));
        Assert.Equal([.. expected.ToArray(), .. data], moved.Payload);

        // P: first slice, set 0, type 1, order count 5, references in the slice: 2 earlier at 1 and 2, used, none later; motion
        // is predicted; no offsets; 2 of them, the first's motion; merge candidates, quantiser 0, filter across slices; 1 entry
        // point of 4 bits, end.
        const string before = "1 ";
        var order = Convert.ToString(5, 2).PadLeft(bits, '0');
        var references = $"{order} 0 011 1 1 1 1 1 1";
        const string after = "00 1 010 1 011 1 1 010 00100 1010 1";
        var p = new BitWriter();
        Write(p, $"{before} 1 010 {references} {after}");
        p.Align(false);
        moved = header.ForSecondLayer(new NalUnit((NalType)1, 0, [.. p.ToArray(), .. data]));
        expected = new BitWriter();
        Write(expected, $"{before} 010 010 {references} 0 {after}");
        expected.Align(false);
        Assert.Equal([.. expected.ToArray(), .. data], moved.Payload);
    }

    [Theory]
    [InlineData("0", "several slices")]
    [InlineData("1 1 1", "type B")]
    public void OtherSlicesAreRefused(string bits, string expected)
    {
        var writer = new BitWriter();
        Write(writer, bits + " 0000 0000 0000 0000 0000");
        var header = new SliceHeader(Sequence, new PictureParameters(Unit(Pps)));
        var fault = Assert.Throws<InvalidDataException>(() => header.ForSecondLayer(new NalUnit((NalType)1, 0, writer.ToArray())));
        Assert.Contains(expected, fault.Message);
    }

    [Fact]
    public void TheViewsAreLeftAndRight()
    {
        var unit = ReferenceDisplays.Message();
        Assert.Equal((NalType.PrefixSei, 0), (unit.Type, unit.Layer));
        Assert.Equal([176, 4], unit.Payload[..2]);
        var reader = new BitReader(unit.Payload[2..]);
        Numbers(reader, 31);
        Read(reader, (1, 0));
        Numbers(reader, 0, 0, 1);
        Read(reader, (6, 0), (1, 0), (1, 0), (1, 0));
        Assert.Equal(0x80, unit.Payload[^1]);
        Assert.Equal(7, unit.Payload.Length);
    }

    [Fact]
    public void AConfigurationIsReadAndMadeAnew()
    {
        var fields = Enumerable.Range(1, 22).Select(i => (byte)i).ToArray();
        byte[] content = [.. fields, 2, .. Array(33, Sps), .. Array(34, Pps)];
        var read = new DecoderConfiguration(content);
        Assert.Equal(Unit(Sps).Payload, read.Only(NalType.Sps).Payload);
        Assert.Equal(content, read.ForBase(read.Only(NalType.Sps), read.Only(NalType.Pps)).Fields);
        Assert.Equal([1, 14, 15, 16, 22 | 0xC0, 1, .. Array(34, Pps)], read.ForSecondLayer(Unit(Pps)).Fields);
        Assert.Throws<InvalidDataException>(() => read.Only(NalType.Vps));
        Assert.Throws<InvalidDataException>(() => new DecoderConfiguration(content.AsSpan(..^1)));
        Assert.Throws<InvalidDataException>(() => new DecoderConfiguration(content.AsSpan(..22)));

        static byte[] Array(int type, string hex) => [(byte)(0x80 | type), 0, 1, 0, (byte)(hex.Length / 2), .. Convert.FromHexString(hex)];
    }

    private static NalUnit Unit(string hex) => NalUnit.Parse(Convert.FromHexString(hex));

    private static void Write(BitWriter writer, string bits)
    {
        foreach (var bit in bits.Where(bit => bit != ' '))
            writer.Write(bit == '1');
    }

    private static void Read(BitReader reader, params (int Bits, uint Value)[] fields)
    {
        foreach (var (bits, value) in fields)
        {
            var at = reader.Position;
            Assert.Equal((at, value), (at, reader.Read(bits)));
        }
    }

    private static void Numbers(BitReader reader, params uint[] values)
    {
        foreach (var value in values)
        {
            var at = reader.Position;
            Assert.Equal((at, value), (at, reader.ReadUnsigned()));
        }
    }
}
