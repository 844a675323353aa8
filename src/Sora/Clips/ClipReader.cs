using Sora.Tensors;

namespace Sora.Clips;

/// <summary>Reads clips: one from a file, any number from a pipe.</summary>
public sealed class ClipReader
{
    /// <summary>The form of latents in files that do not say it: those of ComfyUI are raw, those of diffusers normalised.</summary>
    public LatentSpace Space { get; init; } = LatentSpace.Raw;

    /// <summary>Told what had to be assumed.</summary>
    public Reporter Reporter { get; init; } = Reporter.Silent;

    /// <summary>Reads a file that holds exactly one clip. It may be a pipe by name: a FIFO, <c>/dev/stdin</c>, <c>&lt;(…)</c>.</summary>
    /// <exception cref="SoraException">It cannot be read, or holds no clip, or more than one.</exception>
    public Clip ReadFile(string path, CancellationToken cancel = default)
    {
        if (FileType.IsPipe(path))
        {
            using var pipe = File.OpenRead(path);
            var clips = ReadAll(pipe, path, cancel).Take(2).ToList();
            return clips.Count == 1
                ? clips[0]
                : throw SoraException.Failed(
                    $"{path}: {(clips.Count == 0 ? "no clip" : "more than one clip")}",
                    "exactly one clip is needed here"
                );
        }
        using var file = SafeTensorsFile.Open(path);
        return ClipFormat.Read(file, Space, Reporter);
    }

    /// <summary>Reads the clips of a stream one after another, each as it arrives.</summary>
    /// <param name="stream">Where the first begins.</param>
    /// <param name="origin">The stream's name, for messages.</param>
    /// <param name="cancel">Stops between reads.</param>
    /// <exception cref="SoraException">The stream holds something else, ends inside a clip, or holds none.</exception>
    public IEnumerable<Clip> ReadAll(Stream stream, string origin, CancellationToken cancel = default) =>
        Documents(stream, origin, cancel).Select(document => ClipFormat.Read(document, Space, Reporter));

    /// <summary>Like <see cref="ReadAll"/>, without the tensors.</summary>
    /// <param name="stream">Where the first begins.</param>
    /// <param name="origin">The stream's name, for messages.</param>
    /// <param name="cancel">Stops between reads.</param>
    /// <exception cref="SoraException">The stream holds something else, ends inside a clip, or holds none.</exception>
    public IEnumerable<ClipHeader> ReadHeaders(Stream stream, string origin, CancellationToken cancel = default) =>
        Documents(stream, origin, cancel).Select(document => ClipFormat.ReadHeader(document, Space));

    private static IEnumerable<TensorSet> Documents(Stream stream, string origin, CancellationToken cancel)
    {
        for (var number = 1; ; number++)
        {
            var name = number == 1 ? origin : $"{origin} (clip {number})";
            if (SafeTensors.Read(stream, name, cancel) is { } document)
                yield return document;
            else if (number > 1)
                yield break;
            else
                throw SoraException.Failed(
                    $"{origin}: no clip arrived",
                    "the program before this one in the pipe failed, or wrote nothing"
                );
        }
    }
}
