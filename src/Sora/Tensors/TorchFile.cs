namespace Sora.Tensors;

/// <summary>
/// A checkpoint that PyTorch's <c>torch.save</c> wrote (<c>.pth</c>, <c>.pt</c>): a zip archive, memory-mapped, with a pickle of the
/// tensors' names and shapes and a file for the numbers of each storage.
/// </summary>
public sealed class TorchFile : TensorSource
{
    private const string PickleName = "/data.pkl";

    private static readonly Dictionary<string, DType> Types = new()
    {
        ["torch FloatStorage"] = DType.F32,
        ["torch HalfStorage"] = DType.F16,
        ["torch BFloat16Storage"] = DType.BF16,
        ["torch DoubleStorage"] = DType.F64,
        ["torch LongStorage"] = DType.I64,
        ["torch IntStorage"] = DType.I32,
        ["torch ShortStorage"] = DType.I16,
        ["torch CharStorage"] = DType.I8,
        ["torch ByteStorage"] = DType.U8,
        ["torch BoolStorage"] = DType.Bool,
    };

    private readonly MappedFile file;
    private readonly OrderedDictionary<string, TensorInfo> tensors = [];

    private TorchFile(MappedFile file)
    {
        this.file = file;
        var entries = ZipDirectory.Read(file);
        var pickle =
            entries.Keys.SingleOrDefault(name => name.EndsWith(PickleName, StringComparison.Ordinal) && name.Count(c => c == '/') == 1)
            ?? throw SoraException.Failed($"{Origin}: a zip archive that PyTorch didn't write", "pass a file of weights");
        var root = pickle[..^PickleName.Length];
        if (
            entries.TryGetValue($"{root}/byteorder", out var order) && !file.Span(order.Offset, (int)order.Length).SequenceEqual("little"u8)
        )
            throw SoraException.Failed($"{Origin}: its data is big-endian", "get the little-endian one");
        var code = entries[pickle];
        if (code.Length > Array.MaxLength)
            throw SoraException.Failed($"{Origin}: a pickle of {code.Length} bytes");
        foreach (var (name, tensor) in Pickle.Tensors(file.Span(code.Offset, (int)code.Length).ToArray(), Origin))
            Add(name, tensor, entries, root);
    }

    /// <inheritdoc/>
    public override string Origin => file.Path;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Maps a file; only its directory and its pickle are read, and nothing in it is run.</summary>
    /// <exception cref="SoraException">It cannot be read, is damaged, or holds anything but weights.</exception>
    public static TorchFile Open(string path) => MappedFile.Open(path, file => new TorchFile(file));

    /// <inheritdoc/>
    public override void Read(string name, long offset, Span<byte> destination)
    {
        var info = Info(name);
        if (offset < 0 || offset + destination.Length > info.Bytes)
            throw new ArgumentOutOfRangeException(nameof(offset));
        file.Copy(info.Offset + offset, destination);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            file.Dispose();
    }

    private void Add(string name, PickledTensor tensor, Dictionary<string, ZipEntry> entries, string root)
    {
        var storage = tensor.Storage;
        if (!Types.TryGetValue(storage.Type, out var type))
            throw Bad(name, $"is stored as {storage.Type.Replace(' ', '.')}, which is unknown");
        if (!entries.TryGetValue($"{root}/data/{storage.Key}", out var data))
            throw Bad(name, $"refers to data '{storage.Key}', which is missing");
        var (expected, bytes) = ((Int128)1, type.BlockBytes());
        for (var axis = tensor.Shape.Length - 1; axis >= 0; axis--)
        {
            if (tensor.Shape[axis] < 0)
                throw Bad(name, $"has a size of {tensor.Shape[axis]}");
            if (tensor.Strides.Length != tensor.Shape.Length || (tensor.Shape[axis] > 1 && tensor.Strides[axis] != expected))
                throw Bad(name, "isn't stored row by row");
            expected *= tensor.Shape[axis];
            if (expected > long.MaxValue / bytes)
                throw Bad(name, "is too large");
        }
        if (
            tensor.Offset < 0
            || storage.Elements < 0
            || tensor.Offset + expected > storage.Elements
            || (Int128)storage.Elements * bytes != data.Length
        )
            throw Bad(name, $"doesn't fit the {data.Length} bytes of its data");
        if (!tensors.TryAdd(name, new TensorInfo(name, type, tensor.Shape, data.Offset + tensor.Offset * bytes, (long)expected * bytes)))
            throw Bad(name, "appears twice");
    }

    private SoraException Bad(string name, string what) =>
        SoraException.Failed($"{Origin}: '{name}' {what}", "get the model in the safetensors format");
}
