using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using Sora.Tensors;
using Sora.Tests.Clips;
using Xunit;

namespace Sora.Tests.Formats;

public class NpzFileTests
{
    /// <summary>Byte for byte what numpy.save writes of float32 ones: magic, version, length, a padded dictionary, data.</summary>
    [Theory]
    [InlineData(false, "(2, 3)")]
    [InlineData(true, "(3,)")]
    public void HoldsAnArrayAsNumPyWritesIt(bool isSingle, string shape)
    {
        using var folder = new TemporaryFolder();
        var rows = isSingle ? 1 : 2;
        using var file = new MemoryStream();
        using (var numbers = new NpzFile("depth", folder.Path))
        {
            for (var row = 0; row < rows; row++)
                numbers.Add([row + 0.5f, 1, -2]);
            numbers.Write(file, [3], isSingle);
        }
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        using var archive = new ZipArchive(file, ZipArchiveMode.Read);
        var entry = Assert.Single(archive.Entries);
        Assert.Equal("depth.npy", entry.Name);
        using var stream = entry.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        var text = Encoding.Latin1.GetString(bytes.ToArray());
        var dictionary = $"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".PadRight(117) + "\n";
        Assert.Equal("\u0093NUMPY\u0001\0v\0" + dictionary, text[..128]);
        float[] expected = [.. Enumerable.Range(0, rows).SelectMany(row => new[] { row + 0.5f, 1, -2 })];
        Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(bytes.ToArray().AsSpan(128)).ToArray());
    }
}
