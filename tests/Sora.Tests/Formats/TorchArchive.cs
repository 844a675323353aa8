using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Sora.Tensors;

namespace Sora.Tests.Formats;

/// <summary>Writes tensors as PyTorch's <c>torch.save</c> does: an unpacked zip archive with a pickle and a file per storage.</summary>
internal static class TorchArchive
{
    public static void Write(string path, IReadOnlyList<KeyValuePair<string, HostTensor>> tensors)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        void Add(string name, byte[] bytes)
        {
            using var entry = zip.CreateEntry($"archive/{name}", CompressionLevel.NoCompression).Open();
            entry.Write(bytes);
        }
        Add(
            "data.pkl",
            [0x80, 2, (byte)'}', (byte)'(', .. tensors.SelectMany((pair, i) => Entry(pair.Key, pair.Value, i)), (byte)'u', (byte)'.']
        );
        for (var i = 0; i < tensors.Count; i++)
            Add($"data/{i}", tensors[i].Value.Data);
    }

    private static IEnumerable<byte> Entry(string name, HostTensor tensor, int key)
    {
        var strides = tensor.Shape.Select((_, axis) => tensor.Shape.Skip(axis + 1).Aggregate(1L, (all, size) => all * size)).ToArray();
        var type = tensor.DType == DType.F16 ? "HalfStorage" : "FloatStorage";
        return
        [
            .. Text(name),
            .. Latin("ctorch._utils\n_rebuild_tensor_v2\n(("),
            .. Text("storage"),
            .. Latin($"ctorch\n{type}\n"),
            .. Text($"{key}"),
            .. Text("cpu"),
            .. Number(tensor.Elements),
            .. Latin("tQ"),
            .. Number(0),
            .. Tuple(tensor.Shape),
            .. Tuple(strides),
            0x89,
            .. Latin("NtR"),
        ];
    }

    private static byte[] Tuple(IEnumerable<long> numbers) => [(byte)'(', .. numbers.SelectMany(Number), (byte)'t'];

    private static byte[] Text(string text)
    {
        var bytes = new byte[5];
        bytes[0] = (byte)'X';
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), text.Length);
        return [.. bytes, .. Latin(text)];
    }

    private static byte[] Number(long number)
    {
        var bytes = new byte[5];
        bytes[0] = (byte)'J';
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), checked((int)number));
        return bytes;
    }

    private static byte[] Latin(string text) => Encoding.Latin1.GetBytes(text);
}
