using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Sora.Tensors;

/// <summary>Tensors between files and torch.</summary>
public static class TensorIO
{
    // Spans end at 2 GB and tensors don't.
    private const long PieceElements = 1 << 28;

    private static readonly (DType Stored, ScalarType Torch)[] Types =
    [
        (DType.F64, float64),
        (DType.F32, float32),
        (DType.F16, float16),
        (DType.BF16, bfloat16),
        (DType.I64, int64),
        (DType.I32, int32),
        (DType.I16, int16),
        (DType.I8, int8),
        (DType.U8, uint8),
        (DType.Bool, ScalarType.Bool),
    ];

    /// <summary>
    /// Reads a tensor onto the CPU.
    /// </summary>
    /// <param name="source">What holds it.</param>
    /// <param name="name">Its name.</param>
    /// <param name="dtype">
    /// The type to convert a floating tensor to; null keeps the stored one (float32 where torch has no such type).
    /// </param>
    /// <param name="room">Provides memory for a result of this shape and type, which is overwritten; null: new memory.</param>
    /// <returns>A tensor of the stored shape.</returns>
    public static Tensor Load(TensorSource source, string name, ScalarType? dtype = null, Func<long[], ScalarType, Tensor?>? room = null)
    {
        var info = source.Info(name);
        var native = TorchType(info.DType);
        var wanted = info.DType.IsFloat() ? dtype ?? native ?? float32 : native ?? float32;
        Tensor Room(ScalarType type) => (type == wanted ? room?.Invoke(info.Shape, type) : null) ?? empty(info.Shape, type);
        Tensor Converted(Tensor read)
        {
            if (read.dtype == wanted)
                return read;
            var converted = Room(wanted);
            converted.copy_(read);
            read.Dispose();
            return converted;
        }
        if (native == null || (wanted == float32 && native != float32))
            return Converted(Widened(source, info, Room(float32)));

        var tensor = Room(native.Value);
        var bytes = info.DType.BlockBytes();
        ForPieces(tensor, (first, span) => source.Read(name, first * bytes, span));
        return Converted(tensor);
    }

    /// <summary>A tensor on the CPU with the values of <paramref name="host"/>.</summary>
    public static Tensor ToTensor(HostTensor host)
    {
        using var set = new TensorSet([new("tensor", host)]);
        return Load(set, "tensor");
    }

    /// <summary>The values of <paramref name="tensor"/>, rounded to <paramref name="type"/> where that is given.</summary>
    public static HostTensor ToHost(Tensor tensor, DType? type = null)
    {
        using var scope = NewDisposeScope();
        var stored = type ?? StoredType(tensor.dtype);
        var cpu = OnCpu(tensor, stored);
        return new HostTensor(stored, tensor.shape, cpu.bytes.ToArray());
    }

    /// <summary>An entry of a safetensors file that writes <paramref name="tensor"/> when its turn comes.</summary>
    public static TensorToWrite ToWrite(string name, Tensor tensor, DType? type = null)
    {
        var stored = tensor.is_floating_point() ? type ?? StoredType(tensor.dtype) : StoredType(tensor.dtype);
        return new TensorToWrite(
            name,
            stored,
            tensor.shape,
            stream =>
            {
                using var scope = NewDisposeScope();
                ForPieces(OnCpu(tensor, stored), (_, span) => stream.Write(span));
            }
        );
    }

    /// <summary>How a file stores elements of this torch type.</summary>
    public static DType StoredType(ScalarType type)
    {
        foreach (var pair in Types)
            if (pair.Torch == type)
                return pair.Stored;
        throw new ArgumentOutOfRangeException(nameof(type), type, "files don't hold this type");
    }

    /// <summary>The torch type of stored elements; null: torch has none.</summary>
    internal static ScalarType? TorchType(DType type)
    {
        foreach (var pair in Types)
            if (pair.Stored == type)
                return pair.Torch;
        return null;
    }

    private static Tensor OnCpu(Tensor tensor, DType stored)
    {
        var type = TorchType(stored) ?? throw new ArgumentOutOfRangeException(nameof(stored), stored, "torch has no such type");
        return tensor.detach().to(type).cpu().contiguous();
    }

    private static Tensor Widened(TensorSource source, TensorInfo info, Tensor tensor)
    {
        ForPieces(tensor, (first, span) => source.ReadFloats(info.Name, first, MemoryMarshal.Cast<byte, float>(span)));
        return tensor;
    }

    private delegate void PieceAction(long firstElement, Span<byte> bytes);

    private static void ForPieces(Tensor tensor, PieceAction action)
    {
        if (tensor.numel() == 0)
            return;
        using var scope = NewDisposeScope();
        var flat = tensor.view(-1);
        for (long first = 0; first < flat.numel(); first += PieceElements)
            action(first, flat.narrow(0, first, Math.Min(PieceElements, flat.numel() - first)).bytes);
    }
}
