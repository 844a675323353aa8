namespace Sora.Tensors;

/// <summary>
/// Named tensors that can be read, whatever holds them: a mapped safetensors file, shards, a GGUF file, memory,
/// or a view of another source under other names.
/// </summary>
public abstract class TensorSource : IDisposable
{
    /// <summary>Where it comes from, for messages: a path, or "standard input".</summary>
    public abstract string Origin { get; }

    /// <summary>The file's own metadata.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Every tensor by its name, in the order of the file.</summary>
    public abstract IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Numbers in all of them.</summary>
    public long Elements => Tensors.Values.Sum(tensor => tensor.Elements);

    /// <summary>Reads part of a tensor's bytes as they are stored.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="offset">The first byte, from the tensor's start.</param>
    /// <param name="destination">Filled completely.</param>
    public abstract void Read(string name, long offset, Span<byte> destination);

    /// <summary>Reads part of a tensor as float32.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">The first element, row-major; for types quantised in blocks, the first of a block.</param>
    /// <param name="destination">Filled completely; whole blocks.</param>
    public virtual void ReadFloats(string name, long first, Span<float> destination)
    {
        var type = Info(name).DType;
        var (elements, bytes) = (type.BlockElements(), type.BlockBytes());
        // A piece at a time, so that widening needs no second copy of the tensor.
        const int piece = 1 << 16;
        var buffer = new byte[Math.Min(destination.Length, piece) / elements * bytes];
        for (var done = 0; done < destination.Length; )
        {
            var count = Math.Min(piece, destination.Length - done);
            var stored = buffer.AsSpan(0, count / elements * bytes);
            Read(name, (first + done) / elements * bytes, stored);
            NumberFormats.ToFloats(type, stored, destination.Slice(done, count));
            done += count;
        }
    }

    /// <summary>A whole tensor as float32.</summary>
    public float[] Floats(string name)
    {
        var values = new float[Info(name).Elements];
        ReadFloats(name, 0, values);
        return values;
    }

    /// <summary>A copy of a whole tensor, in its stored type.</summary>
    /// <exception cref="SoraException">There is no such tensor, or it is larger than 2 GB.</exception>
    public HostTensor Copy(string name)
    {
        var info = Info(name);
        if (info.Bytes > Array.MaxLength)
            throw SoraException.Failed($"{Origin}: '{name}', {info.DType.Name()} {Shapes.Text(info.Shape)}, is larger than 2 GB");
        var data = new byte[info.Bytes];
        Read(name, 0, data);
        return new HostTensor(info.DType, info.Shape, data);
    }

    /// <summary>A tensor as the file holds it, even where this source shows it in another type or shape.</summary>
    /// <exception cref="SoraException">There is no tensor of that name.</exception>
    public virtual TensorInfo Stored(string name) => Info(name);

    /// <summary>
    /// Whether the weights are stored in a format that is chosen for its size, GGUF
    /// or float8: they stay as they are, and are widened on use.
    /// </summary>
    public virtual bool IsCompact => Tensors.Keys.Any(name => Stored(name).DType is DType.F8E4M3 or DType.F8E5M2);

    /// <summary>What the header says of a tensor.</summary>
    /// <exception cref="SoraException">There is no tensor of that name.</exception>
    public TensorInfo Info(string name) =>
        Tensors.TryGetValue(name, out var info) ? info : throw SoraException.Failed($"{Origin}: no tensor named '{name}'");

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the source holds.</summary>
    protected abstract void Dispose(bool disposing);
}

/// <summary>Tensors in memory.</summary>
public sealed class TensorSet : TensorSource
{
    private readonly OrderedDictionary<string, TensorInfo> infos = [];
    private readonly Dictionary<string, HostTensor> tensors = [];

    /// <summary>A set of these tensors, in this order.</summary>
    public TensorSet(
        IEnumerable<KeyValuePair<string, HostTensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        string origin = "memory"
    )
    {
        Origin = origin;
        Metadata = metadata ?? new Dictionary<string, string>();
        var offset = 0L;
        foreach (var (name, tensor) in tensors)
        {
            this.tensors.Add(name, tensor);
            infos.Add(name, new TensorInfo(name, tensor.DType, tensor.Shape, offset, tensor.Data.Length));
            offset += tensor.Data.Length;
        }
    }

    /// <inheritdoc/>
    public override string Origin { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, TensorInfo> Tensors => infos;

    /// <summary>The tensor itself.</summary>
    /// <exception cref="SoraException">There is no tensor of that name.</exception>
    public HostTensor this[string name] => tensors[Info(name).Name];

    /// <inheritdoc/>
    public override void Read(string name, long offset, Span<byte> destination) =>
        this[name].Data.AsSpan(checked((int)offset), destination.Length).CopyTo(destination);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) { }
}
