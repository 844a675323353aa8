namespace Sora.Tensors;

/// <summary>What a file's header says about one tensor.</summary>
/// <param name="Name">Any text, even empty or with slashes: never a path.</param>
/// <param name="DType">How its elements are encoded.</param>
/// <param name="Shape">Sizes, slowest first.</param>
/// <param name="Offset">Where its bytes begin, from the start of the file's data.</param>
/// <param name="Bytes">How many bytes it has.</param>
public sealed record TensorInfo(string Name, DType DType, long[] Shape, long Offset, long Bytes)
{
    /// <summary>The product of the sizes.</summary>
    public long Elements => Shapes.Elements(Shape);
}

/// <summary>A tensor in ordinary memory, row-major, in the type it is stored in. Up to 2 GB.</summary>
public sealed class HostTensor
{
    /// <summary>Wraps bytes without copying them.</summary>
    /// <exception cref="ArgumentException">The bytes are not those of the shape.</exception>
    public HostTensor(DType type, long[] shape, byte[] data)
    {
        var bytes = Shapes.Elements(shape) / type.BlockElements() * type.BlockBytes();
        if (bytes != data.Length)
            throw new ArgumentException($"{type.Name()} {Shapes.Text(shape)} is {bytes} bytes, not {data.Length}");
        (DType, Shape, Data) = (type, shape, data);
    }

    /// <summary>How the elements are encoded.</summary>
    public DType DType { get; }

    /// <summary>Sizes, slowest first.</summary>
    public long[] Shape { get; }

    /// <summary>The elements, little-endian.</summary>
    public byte[] Data { get; }

    /// <summary>The product of the sizes.</summary>
    public long Elements => Shapes.Elements(Shape);

    /// <summary>A tensor of these values, rounded to <paramref name="type"/> where it is narrower.</summary>
    public static HostTensor FromFloats(ReadOnlySpan<float> values, long[] shape, DType type = DType.F32)
    {
        var data = new byte[checked(values.Length * type.BlockBytes())];
        NumberFormats.FromFloats(values, type, data);
        return new HostTensor(type, shape, data);
    }

    /// <summary>The elements as float32.</summary>
    public float[] ToFloats()
    {
        var values = new float[Elements];
        NumberFormats.ToFloats(DType, Data, values);
        return values;
    }

    /// <summary>Row <paramref name="index"/> of so many elements, as float32.</summary>
    public float[] Floats(int index, int elements)
    {
        var (values, bytes) = (new float[elements], checked(elements * DType.BlockBytes()));
        NumberFormats.ToFloats(DType, Data.AsSpan(checked(index * bytes), bytes), values);
        return values;
    }

    /// <summary>The same values in another floating-point type.</summary>
    public HostTensor To(DType type) => type == DType ? this : FromFloats(ToFloats(), Shape, type);
}

/// <summary>Arithmetic on shapes.</summary>
public static class Shapes
{
    /// <summary>The product of the sizes; 1 for a scalar.</summary>
    public static long Elements(ReadOnlySpan<long> shape)
    {
        var elements = 1L;
        foreach (var size in shape)
            elements = checked(elements * size);
        return elements;
    }

    /// <summary>Such as <c>[1, 16, 5, 4, 6]</c>.</summary>
    public static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
