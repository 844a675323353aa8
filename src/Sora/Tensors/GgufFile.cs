using System.Globalization;
using System.Numerics;

namespace Sora.Tensors;

/// <summary>
/// A GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian), memory-mapped.
/// Tensors stay quantised in the page cache and are widened when they are read.
/// </summary>
public sealed class GgufFile : TensorSource
{
    private const int MostSizes = 8;
    private const uint DefaultAlignment = 32;

    // The real shape of a tensor that was flattened to rows of whole blocks.
    private const string OriginalShapePrefix = "comfy.gguf.orig_shape.";

    private static readonly Dictionary<uint, DType> Types = new()
    {
        [0] = DType.F32,
        [1] = DType.F16,
        [2] = DType.Q4_0,
        [3] = DType.Q4_1,
        [6] = DType.Q5_0,
        [7] = DType.Q5_1,
        [8] = DType.Q8_0,
        [10] = DType.Q2_K,
        [11] = DType.Q3_K,
        [12] = DType.Q4_K,
        [13] = DType.Q5_K,
        [14] = DType.Q6_K,
        [20] = DType.IQ4_NL,
        [23] = DType.IQ4_XS,
        [24] = DType.I8,
        [25] = DType.I16,
        [26] = DType.I32,
        [27] = DType.I64,
        [28] = DType.F64,
        [30] = DType.BF16,
    };

    private readonly MappedFile file;
    private readonly Dictionary<string, object> values = [];
    private readonly OrderedDictionary<string, TensorInfo> tensors = [];
    private readonly long dataStart;

    private GgufFile(MappedFile file)
    {
        this.file = file;
        var reader = new GgufReader(file);
        var (tensorCount, valueCount) = reader.ReadHeader();
        for (var i = 0UL; i < valueCount; i++)
        {
            var key = reader.ReadText("a key");
            if (!values.TryAdd(key, reader.ReadValue()))
                throw reader.Bad($"the key '{key}' appears twice");
        }
        var alignment = Alignment(reader);
        var infos = new List<TensorInfo>();
        for (var i = 0UL; i < tensorCount; i++)
            infos.Add(ReadInfo(reader));
        dataStart = (reader.Position + alignment - 1) / alignment * alignment;
        foreach (var info in infos)
            Add(info, alignment, reader);
        Metadata = values
            .Where(entry => entry.Value is not Array)
            .ToDictionary(entry => entry.Key, entry => Convert.ToString(entry.Value, CultureInfo.InvariantCulture)!);
    }

    /// <inheritdoc/>
    public override string Origin => file.Path;

    /// <summary>The file's single values as text; lists are in <see cref="Values"/>.</summary>
    public override IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <inheritdoc/>
    public override bool IsCompact => true;

    /// <summary>The file's values: numbers, truth values and texts of .NET's types, and arrays of them.</summary>
    public IReadOnlyDictionary<string, object> Values => values;

    /// <summary>Maps a file.</summary>
    /// <exception cref="SoraException">It cannot be read, or is not a valid GGUF file.</exception>
    public static GgufFile Open(string path) => MappedFile.Open(path, file => new GgufFile(file));

    /// <summary>Whether a file begins as GGUF files do.</summary>
    public static bool IsGguf(ReadOnlySpan<byte> start) => start.StartsWith("GGUF"u8);

    /// <inheritdoc/>
    public override void Read(string name, long offset, Span<byte> destination)
    {
        var info = Info(name);
        if (offset < 0 || offset + destination.Length > info.Bytes)
            throw new ArgumentOutOfRangeException(nameof(offset));
        file.Copy(dataStart + info.Offset + offset, destination);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            file.Dispose();
    }

    private uint Alignment(GgufReader reader)
    {
        if (!values.TryGetValue("general.alignment", out var value))
            return DefaultAlignment;
        return value is uint alignment && BitOperations.IsPow2(alignment)
            ? alignment
            : throw reader.Bad($"its alignment is '{value}', not a power of two");
    }

    private static TensorInfo ReadInfo(GgufReader reader)
    {
        var name = reader.ReadText("a tensor's name");
        var count = reader.ReadU32();
        if (count > MostSizes)
            throw reader.Bad($"'{name}' has {count} sizes");
        var shape = new long[count];
        // The file lists the fastest size first.
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            var size = reader.ReadU64();
            shape[i] = size <= long.MaxValue ? (long)size : throw reader.Bad($"'{name}' has a size of {size}");
        }
        var id = reader.ReadU32();
        if (!Types.TryGetValue(id, out var type))
            throw reader.Bad($"'{name}' has type {id}, which is unknown");
        var offset = reader.ReadU64();
        var bytes = Bytes(type, shape) ?? throw reader.Bad($"'{name}', {type.Name()} {Shapes.Text(shape)}, is too large");
        if (shape.Length > 0 && shape[^1] % type.BlockElements() != 0)
            throw reader.Bad($"'{name}' has rows of {shape[^1]}, not whole {type.Name()} blocks of {type.BlockElements()}");
        return new TensorInfo(
            name,
            type,
            shape,
            offset <= long.MaxValue ? (long)offset : throw reader.Bad($"'{name}' begins after the end of the file"),
            bytes
        );
    }

    private void Add(TensorInfo info, uint alignment, GgufReader reader)
    {
        if (info.Offset % alignment != 0)
            throw reader.Bad($"'{info.Name}' does not begin at a multiple of {alignment}");
        if ((UInt128)dataStart + (ulong)info.Offset + (ulong)info.Bytes > (ulong)file.Length)
        {
            throw SoraException.Damaged(
                $"{Origin}: cut off: '{info.Name}' ends "
                    + $"{(UInt128)dataStart + (ulong)info.Offset + (ulong)info.Bytes} bytes into the file, which has {file.Length}"
            );
        }
        var shape = OriginalShape(info) ?? info.Shape;
        if (!tensors.TryAdd(info.Name, info with { Shape = shape }))
            throw reader.Bad($"the tensor '{info.Name}' appears twice");
    }

    private long[]? OriginalShape(TensorInfo info)
    {
        if (!values.TryGetValue(OriginalShapePrefix + info.Name, out var value) || value is not int[] sizes)
            return null;
        var shape = sizes.Select(size => (long)size).ToArray();
        return shape.All(size => size >= 0) && Bytes(DType.I8, shape) == info.Elements
            ? shape
            : throw SoraException.Failed(
                $"{Origin}: the original shape of '{info.Name}', {Shapes.Text(shape)}, does not fit {Shapes.Text(info.Shape)}"
            );
    }

    private static long? Bytes(DType type, long[] shape)
    {
        var elements = (UInt128)1;
        foreach (var size in shape)
        {
            elements *= (ulong)size;
            if (elements > long.MaxValue)
                return null;
        }
        var bytes = elements / (ulong)type.BlockElements() * (ulong)type.BlockBytes();
        return bytes > long.MaxValue ? null : (long)bytes;
    }
}
