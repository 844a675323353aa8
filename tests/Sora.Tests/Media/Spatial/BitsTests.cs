using Sora.Media.Spatial;
using Xunit;

namespace Sora.Tests.Media.Spatial;

public class BitsTests
{
    /// <summary>The codes of H.265, tables 9-1 and 9-2, and 9-3 for signed numbers.</summary>
    [Theory]
    [InlineData(0, "1", 0)]
    [InlineData(1, "010", 1)]
    [InlineData(2, "011", -1)]
    [InlineData(3, "00100", 2)]
    [InlineData(4, "00101", -2)]
    [InlineData(6, "00111", -3)]
    [InlineData(7, "0001000", 4)]
    [InlineData(8, "0001001", -4)]
    [InlineData(31, "00000100000", 16)]
    [InlineData(0xFFFFFFFE, "000000000000000000000000000000011111111111111111111111111111111", -0x7FFFFFFF)]
    public void NumbersHaveTheStandardsCodes(uint number, string code, int other)
    {
        var writer = new BitWriter();
        writer.WriteUnsigned(number);
        var bytes = writer.ToArray();
        var written = string.Concat(bytes.Select(value => $"{value:b8}"));
        Assert.Equal(code.PadRight(bytes.Length * 8, '0'), written);
        var reader = new BitReader(bytes);
        Assert.Equal(number, reader.ReadUnsigned());
        Assert.Equal(code.Length, reader.Position);
        Assert.Equal(other, new BitReader(bytes).ReadSigned());
    }

    [Fact]
    public void BitsGoFromTheHighestToTheLowest()
    {
        var writer = new BitWriter();
        writer.Write(0b101, 3);
        writer.Write(0xDEADBEEF, 32);
        writer.Write(true);
        writer.Trail();
        Assert.Equal([0b1011_1011, 0b1101_0101, 0b1011_0111, 0b1101_1101, 0b1111_1000], writer.ToArray());
        var reader = new BitReader(writer.ToArray());
        Assert.Equal(0b101u, reader.Read(3));
        Assert.Equal(0xDEADBEEF, reader.Read(32));
        Assert.True(reader.ReadFlag());
        Assert.Equal(36, reader.Position);
    }

    [Fact]
    public void ARandomSequenceComesBack()
    {
        var random = new Random(3);
        var items = Enumerable.Range(0, 2000).Select(_ => (Length: random.Next(0, 33), Value: (uint)random.NextInt64(1L << 32))).ToArray();
        var writer = new BitWriter();
        foreach (var (length, value) in items)
        {
            if (length == 0)
                writer.WriteUnsigned(value % 100000);
            else
                writer.Write(value >> (32 - length), length);
        }
        var reader = new BitReader(writer.ToArray());
        foreach (var (length, value) in items)
            Assert.Equal(length == 0 ? value % 100000 : value >> (32 - length), length == 0 ? reader.ReadUnsigned() : reader.Read(length));
        var copied = new BitWriter();
        copied.Copy(reader, 0);
        Assert.Equal(writer.ToArray(), copied.ToArray());
    }

    [Fact]
    public void WhatIsNotThereIsNotRead()
    {
        Assert.Throws<InvalidDataException>(() => new BitReader([255]).Read(9));
        Assert.Throws<InvalidDataException>(() => new BitReader([0, 0]).ReadUnsigned());
        Assert.Throws<InvalidDataException>(() => new BitReader(new byte[9]).ReadUnsigned());
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("000001", "00000301")]
    [InlineData("000000", "0000030003")]
    [InlineData("00000000", "000003000003")]
    [InlineData("000003", "00000303")]
    [InlineData("000004", "000004")]
    [InlineData("0100000205", "010000030205")]
    [InlineData("00", "0003")]
    public void EmulationIsPrevented(string payload, string escaped)
    {
        Assert.Equal(escaped, Convert.ToHexString(NalUnit.Escape(Convert.FromHexString(payload))));
        if (!escaped.EndsWith("03") || payload.EndsWith("03"))
            Assert.Equal(payload, Convert.ToHexString(NalUnit.Unescape(Convert.FromHexString(escaped))));
    }

    [Fact]
    public void NoStartCodeIsLeftInAnyPayload()
    {
        var random = new Random(5);
        for (var trial = 0; trial < 300; trial++)
        {
            // Few values, so that all short sequences of zeros to threes occur; a payload never ends in 0 (7.3.2.11).
            byte[] payload = [.. Enumerable.Range(0, 100).Select(_ => (byte)random.Next(0, 5)), 0x80];
            var escaped = NalUnit.Escape(payload);
            for (var i = 0; i + 2 < escaped.Length; i++)
                Assert.False(escaped[i] == 0 && escaped[i + 1] == 0 && escaped[i + 2] < 3);
            Assert.Equal(payload, NalUnit.Unescape(escaped));
        }
    }

    [Fact]
    public void AUnitKeepsItsHeader()
    {
        var unit = new NalUnit(NalType.Pps, 1, [0, 0, 1, 0x80]);
        Assert.Equal("4409000003" + "0180", Convert.ToHexString(unit.ToArray()));
        var read = NalUnit.Parse(unit.ToArray());
        Assert.Equal((unit.Type, unit.Layer), (read.Type, read.Layer));
        Assert.Equal(unit.Payload, read.Payload);
        Assert.Throws<InvalidDataException>(() => NalUnit.Parse([1]));
        Assert.Throws<InvalidDataException>(() => NalUnit.Split([0, 0, 0, 5, 1, 2]));
    }
}
