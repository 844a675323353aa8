using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>The run's own safetensors files: state and encoded clips.</summary>
internal static class TensorFiles
{
    /// <summary>Writes tensors as they are, the file whole or not at all.</summary>
    public static void Write(
        string path,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string> metadata
    ) => AtomicFile.Write(path, stream => SafeTensors.Write(stream, metadata, [.. tensors.Select(t => TensorIO.ToWrite(t.Key, t.Value))]));

    /// <summary>Opens such a file.</summary>
    public static SafeTensorsFile Open(string path) => SafeTensorsFile.Open(path);

    /// <summary>Reads a tensor that must have this shape.</summary>
    /// <exception cref="SoraException">It is missing or has another shape.</exception>
    public static Tensor Read(SafeTensorsFile file, string name, long[] shape)
    {
        var found = file.Info(name).Shape;
        return found.AsSpan().SequenceEqual(shape)
            ? TensorIO.Load(file, name)
            : throw SoraException.Failed(
                $"{file.Origin}: {name} is {Shapes.Text(found)}, expected {Shapes.Text(shape)}",
                "it is the state of another model; train into another folder"
            );
    }
}
