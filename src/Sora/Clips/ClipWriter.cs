using Sora.Tensors;

namespace Sora.Clips;

/// <summary>Writes clips one after another.</summary>
/// <param name="stream">Flushed after every clip, so that the next stage can begin.</param>
/// <param name="isSingle">True for a file, which holds one clip.</param>
public sealed class ClipWriter(Stream stream, bool isSingle = false)
{
    private int written;

    /// <summary>The type that latents are stored in; null leaves them as they are.</summary>
    public DType? Storage { get; init; }

    /// <summary>Writes a clip.</summary>
    /// <param name="clip">The clip.</param>
    /// <param name="streamed">Tensors that needn't be in memory; they replace the clip's of the same name.</param>
    /// <exception cref="SoraException">It is the second one in a file.</exception>
    public void Write(Clip clip, params IReadOnlyList<TensorToWrite> streamed)
    {
        if (isSingle && written > 0)
            throw SoraException.Usage("a file holds one clip, but there are more", "write them to a pipe (leave -o out), or one by one");
        var tensors = ClipFormat.Tensors(clip, Storage).Where(tensor => streamed.All(other => other.Name != tensor.Key));
        SafeTensors.Write(
            stream,
            ClipFormat.Metadata(clip),
            [.. tensors.Select(tensor => TensorToWrite.Of(tensor.Key, tensor.Value)), .. streamed]
        );
        stream.Flush();
        written++;
    }
}
