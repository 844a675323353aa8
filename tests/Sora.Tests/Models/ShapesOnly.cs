using Sora.Nn;
using Sora.Tensors;

namespace Sora.Tests.Models;

/// <summary>The header of a file that isn't there: the names and shapes that a model asked <paramref name="weights"/> for.</summary>
internal sealed class ShapesOnly(Weights weights, string origin = "shapes") : TensorSource
{
    public override string Origin => origin;

    public override IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    public override IReadOnlyDictionary<string, TensorInfo> Tensors { get; } =
        weights.Named().ToDictionary(pair => pair.Key, pair => new TensorInfo(pair.Key, DType.F32, pair.Value.shape, 0, 0));

    public override void Read(string name, long offset, Span<byte> destination) => throw new NotSupportedException();

    protected override void Dispose(bool disposing) { }
}
