using System.Runtime.InteropServices;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Clips;

public class NumberFormatsTests
{
    [Theory]
    [InlineData("e4m3fn", DType.F8E4M3)]
    [InlineData("e5m2", DType.F8E5M2)]
    public void EveryByteOfFp8(string name, DType type)
    {
        using var golden = GoldenCase.Open("formats/fp8-table");
        var actual = new float[256];
        NumberFormats.ToFloats(type, golden.File.Data("in.bytes"), actual);
        Assert.Equal(golden.Out(name), actual);
    }

    [Theory]
    [InlineData("f16", DType.F16)]
    [InlineData("bf16", DType.BF16)]
    public void HalfPatterns(string name, DType type)
    {
        using var golden = GoldenCase.Open("formats/half-table");
        var bits = golden.InIntegers("bits").Select(x => (ushort)x).ToArray();
        var actual = new float[bits.Length];
        NumberFormats.ToFloats(type, MemoryMarshal.AsBytes(bits.AsSpan()), actual);
        Assert.Equal(golden.Out(name), actual);
    }

    [Theory]
    [InlineData("f16", DType.F16)]
    [InlineData("bf16", DType.BF16)]
    [InlineData("e4m3fn", DType.F8E4M3)]
    [InlineData("e5m2", DType.F8E5M2)]
    public void Rounding(string name, DType type)
    {
        using var golden = GoldenCase.Open("formats/round-table");
        var values = golden.In("values");
        var expected = golden.OutIntegers(name);
        var stored = new byte[values.Length * type.BlockBytes()];
        NumberFormats.FromFloats(values, type, stored);
        for (var i = 0; i < values.Length; i++)
        {
            var actual = type.BlockBytes() == 1 ? stored[i] : BitConverter.ToUInt16(stored, 2 * i);
            if (float.IsNaN(values[i]))
                Assert.True(float.IsNaN(Widen(type, stored.AsSpan(i * type.BlockBytes(), type.BlockBytes()))));
            else
                Assert.True(expected[i] == actual, $"{values[i]:R} gives 0x{actual:X}, not 0x{expected[i]:X}");
        }
    }

    private static float Widen(DType type, ReadOnlySpan<byte> bytes)
    {
        var value = new float[1];
        NumberFormats.ToFloats(type, bytes, value);
        return value[0];
    }
}
