using System.Numerics;
using System.Runtime.InteropServices;

namespace Sora.Tensors;

/// <summary>One tensor of a <see cref="MappedTensors"/>.</summary>
/// <param name="Name">Its outward name.</param>
/// <param name="Source">Its name in the file.</param>
/// <param name="Shape">Its outward shape.</param>
/// <param name="Scale">Factors of a scaled tensor: one, or one for each row.</param>
/// <param name="First">Its first element in the file's tensor, which it may be a part of; at a whole block, where that has blocks.</param>
internal sealed record MappedTensor(string Name, string Source, long[] Shape, float[]? Scale, long First = 0);

/// <summary>Tensors of another source, or parts of them, under other names; scaled ones as the float32 that they stand for.</summary>
internal sealed class MappedTensors : TensorSource
{
    private readonly TensorSource inner;
    private readonly Dictionary<string, MappedTensor> mapped = [];
    private readonly OrderedDictionary<string, TensorInfo> infos = [];

    /// <param name="inner">Disposed with this one.</param>
    /// <param name="tensors">In their outward order.</param>
    public MappedTensors(TensorSource inner, IEnumerable<MappedTensor> tensors)
    {
        this.inner = inner;
        foreach (var tensor in tensors)
        {
            var info = Part(inner.Info(tensor.Source), tensor) with { Name = tensor.Name };
            if (tensor.Scale != null)
                info = info with { DType = DType.F32, Bytes = info.Elements * sizeof(float) };
            if (!infos.TryAdd(tensor.Name, info))
                throw SoraException.Failed(
                    $"{inner.Origin}: '{tensor.Source}' and '{mapped[tensor.Name].Source}' are the same tensor, {tensor.Name}"
                );
            mapped.Add(tensor.Name, tensor);
        }
    }

    /// <inheritdoc/>
    public override string Origin => inner.Origin;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata => inner.Metadata;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, TensorInfo> Tensors => infos;

    /// <inheritdoc/>
    public override TensorInfo Stored(string name)
    {
        var tensor = mapped[Info(name).Name];
        return Part(inner.Stored(tensor.Source), tensor);
    }

    /// <inheritdoc/>
    public override bool IsCompact => inner.IsCompact;

    /// <inheritdoc/>
    public override void Read(string name, long offset, Span<byte> destination)
    {
        var tensor = mapped[Info(name).Name];
        if (tensor.Scale == null)
            inner.Read(tensor.Source, BytesOf(inner.Info(tensor.Source).DType, tensor.First) + offset, destination);
        else
            ReadFloats(name, offset / sizeof(float), MemoryMarshal.Cast<byte, float>(destination));
    }

    /// <inheritdoc/>
    public override void ReadFloats(string name, long first, Span<float> destination)
    {
        var tensor = mapped[Info(name).Name];
        inner.ReadFloats(tensor.Source, tensor.First + first, destination);
        if (tensor.Scale == null)
            return;
        var row = infos[name].Elements / tensor.Scale.Length;
        for (var done = 0; done < destination.Length; )
        {
            var at = first + done;
            var part = destination.Slice(done, (int)Math.Min(destination.Length - done, row - at % row));
            Scale(part, tensor.Scale[at / row]);
            done += part.Length;
        }
    }

    /// <summary>A header's entry for a whole tensor, narrowed to the part that is shown.</summary>
    private static TensorInfo Part(TensorInfo whole, MappedTensor tensor) =>
        Shapes.Elements(tensor.Shape) == whole.Elements
            ? whole with
            {
                Shape = tensor.Shape,
            }
            : whole with
            {
                Shape = tensor.Shape,
                Offset = whole.Offset + BytesOf(whole.DType, tensor.First),
                Bytes = BytesOf(whole.DType, Shapes.Elements(tensor.Shape)),
            };

    private static long BytesOf(DType type, long elements) => elements / type.BlockElements() * type.BlockBytes();

    private static void Scale(Span<float> values, float factor)
    {
        var wide = MemoryMarshal.Cast<float, Vector<float>>(values);
        for (var i = 0; i < wide.Length; i++)
            wide[i] *= factor;
        for (var i = wide.Length * Vector<float>.Count; i < values.Length; i++)
            values[i] *= factor;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
    }
}
