using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace Sora.Tensors;

/// <summary>
/// An <c>.npz</c> file of one float32 array, as NumPy writes it (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
/// rows come one after another, and wait in a file without a name until it is known how many there are.
/// </summary>
public sealed class NpzFile : IDisposable
{
    private readonly string name;
    private readonly Spool rows;
    private long count;

    /// <summary>Begins an array.</summary>
    /// <param name="name">The key that NumPy finds it under.</param>
    /// <param name="folder">Where there is room for the rows.</param>
    /// <exception cref="SoraException">The folder can't be written to.</exception>
    public NpzFile(string name, string folder) => (this.name, rows) = (name, new Spool(folder));

    /// <summary>Adds a row.</summary>
    /// <exception cref="SoraException">The disk is full.</exception>
    public void Add(ReadOnlySpan<float> row)
    {
        rows.Add(MemoryMarshal.AsBytes(row));
        count++;
    }

    /// <summary>Writes the file.</summary>
    /// <param name="to">Where it goes.</param>
    /// <param name="rowShape">The shape of a row.</param>
    /// <param name="isSingle">Whether the only row is the array itself, without an axis of rows.</param>
    public void Write(Stream to, ReadOnlySpan<int> rowShape, bool isSingle)
    {
        string[] axes = [.. isSingle ? [] : new[] { $"{count}" }, .. rowShape.ToArray().Select(size => $"{size}")];
        using var archive = new ZipArchive(to, ZipArchiveMode.Create, leaveOpen: true);
        using var entry = archive.CreateEntry($"{name}.npy", CompressionLevel.NoCompression).Open();
        entry.Write(Header($"({string.Join(", ", axes)}{(axes.Length == 1 ? "," : "")})"));
        rows.CopyTo(entry);
    }

    /// <summary>Removes the rows.</summary>
    public void Dispose() => rows.Dispose();

    /// <summary>Version 1.0: the data begin at a multiple of 64 bytes.</summary>
    private static byte[] Header(string shape)
    {
        const int before = 10;
        var text = $"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}";
        var length = (before + text.Length + 1 + 63) / 64 * 64 - before;
        var header = new byte[before + length];
        Encoding.Latin1.GetBytes("\u0093NUMPY\u0001\0").CopyTo(header, 0);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), (ushort)length);
        Encoding.Latin1.GetBytes(text.PadRight(length - 1) + "\n").CopyTo(header, before);
        return header;
    }
}
