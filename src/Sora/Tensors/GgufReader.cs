using System.Runtime.InteropServices;
using System.Text;

namespace Sora.Tensors;

/// <summary>
/// The header of a GGUF file, value by value. Every count is checked against the remaining bytes before anything is
/// allocated for it.
/// </summary>
internal sealed class GgufReader(MappedFile file)
{
    private const int MostNesting = 4;
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The next byte, from the file's start.</summary>
    public long Position { get; private set; }

    public (ulong Tensors, ulong Values) ReadHeader()
    {
        if (file.Length == 0)
            throw SoraException.Failed($"{file.Path}: empty, not a GGUF file", "the program that wrote it, or its download, failed");
        if (file.Length < 4 || !GgufFile.IsGguf(file.Span(0, 4)))
            throw SoraException.Failed($"{file.Path}: not a GGUF file", "GGUF files begin with the letters GGUF");
        Position = 4;
        var version = ReadU32();
        if (version is not (2 or 3))
        {
            throw (version & 0xFFFF) == 0 && version != 0
                ? SoraException.Failed($"{file.Path}: a big-endian GGUF file", "get the little-endian one")
                : SoraException.Failed($"{file.Path}: GGUF version {version}, but sora reads 2 and 3", "convert it with a current tool");
        }
        const int leastTensor = 24,
            leastValue = 13;
        var tensors = ReadCount(leastTensor, "tensors");
        return (tensors, ReadCount(leastValue, "values"));
    }

    public uint ReadU32() => Read<uint>();

    public ulong ReadU64() => Read<ulong>();

    public string ReadText(string what)
    {
        var length = ReadCount(1, $"bytes of {what}");
        try
        {
            return Utf8.GetString(Take((int)Math.Min(length, int.MaxValue)));
        }
        catch (DecoderFallbackException)
        {
            throw Bad($"{what} is not valid UTF-8");
        }
    }

    public object ReadValue() => ReadValue(ReadU32(), 0);

    /// <summary>What is wrong with the header.</summary>
    public SoraException Bad(string reason) =>
        SoraException.Failed(
            $"{file.Path}: bad GGUF header: {Printable(reason)}",
            "the file is damaged, or was written by a faulty program"
        );

    private object ReadValue(uint type, int nesting) =>
        type switch
        {
            0 => Read<byte>(),
            1 => Read<sbyte>(),
            2 => Read<ushort>(),
            3 => Read<short>(),
            4 => Read<uint>(),
            5 => Read<int>(),
            6 => Read<float>(),
            7 => Read<byte>() != 0,
            8 => ReadText("a value"),
            9 => ReadArray(nesting + 1),
            10 => Read<ulong>(),
            11 => Read<long>(),
            12 => Read<double>(),
            _ => throw Bad($"a value has type {type}, which is unknown"),
        };

    private Array ReadArray(int nesting)
    {
        if (nesting > MostNesting)
            throw Bad("its lists are nested too deeply");
        var type = ReadU32();
        return type switch
        {
            0 => ReadNumbers<byte>(),
            1 => ReadNumbers<sbyte>(),
            2 => ReadNumbers<ushort>(),
            3 => ReadNumbers<short>(),
            4 => ReadNumbers<uint>(),
            5 => ReadNumbers<int>(),
            6 => ReadNumbers<float>(),
            7 => Array.ConvertAll(ReadNumbers<byte>(), value => value != 0),
            8 => ReadEach(8, () => ReadText("a value")),
            9 => ReadEach(12, () => ReadArray(nesting + 1)),
            10 => ReadNumbers<ulong>(),
            11 => ReadNumbers<long>(),
            12 => ReadNumbers<double>(),
            _ => throw Bad($"a list has type {type}, which is unknown"),
        };
    }

    private unsafe T[] ReadNumbers<T>()
        where T : unmanaged
    {
        var count = ReadCount(sizeof(T), "numbers");
        return MemoryMarshal.Cast<byte, T>(Take(checked((int)count * sizeof(T)))).ToArray();
    }

    private T[] ReadEach<T>(int leastBytes, Func<T> read)
    {
        var items = new T[ReadCount(leastBytes, "values in a list")];
        for (var i = 0; i < items.Length; i++)
            items[i] = read();
        return items;
    }

    /// <summary>A count of things that take at least this many bytes each.</summary>
    private ulong ReadCount(int leastBytes, string what)
    {
        var count = ReadU64();
        var left = (ulong)(file.Length - Position) / (ulong)leastBytes;
        if (count > left)
            throw Truncated($"it declares {count} {what}, but the file ends before that");
        // No header has 2 GB.
        return count <= int.MaxValue / (ulong)leastBytes ? count : throw Bad($"it declares {count} {what}");
    }

    private unsafe T Read<T>()
        where T : unmanaged => MemoryMarshal.Read<T>(Take(sizeof(T)));

    private ReadOnlySpan<byte> Take(int bytes)
    {
        if (bytes > file.Length - Position)
            throw Truncated("it ends inside its header");
        var taken = file.Span(Position, bytes);
        Position += bytes;
        return taken;
    }

    private SoraException Truncated(string how) => SoraException.Damaged($"{file.Path}: cut off or damaged: {how}");

    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
}
