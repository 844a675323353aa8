using Sora.Tensors;

namespace Sora.Clips;

/// <summary>All that a clip is but its numbers: what <c>sora info</c> reads, whatever the size of the file.</summary>
public sealed record ClipHeader
{
    /// <summary>Where it was read, for messages.</summary>
    public required string Origin { get; init; }

    /// <summary>Whether this program wrote it; otherwise its metadata mean nothing here.</summary>
    public required bool IsOurs { get; init; }

    /// <summary>What the clip says of itself.</summary>
    public required ClipInfo Info { get; init; }

    /// <summary>The verbs applied so far.</summary>
    public required IReadOnlyList<HistoryEntry> History { get; init; }

    /// <summary>Metadata that is none of <see cref="Info"/> and <see cref="History"/>.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary><c>[1, C, T, h, w]</c>; null in an unfinished sampling.</summary>
    public required TensorInfo? Latents { get; init; }

    /// <summary>All other tensors.</summary>
    public required IReadOnlyList<TensorInfo> Tensors { get; init; }

    /// <summary>Whether it is one of ComfyUI's oldest files, whose latents are scaled.</summary>
    public required bool NeedsRescaling { get; init; }

    /// <summary>Whether a document holds a clip, and not, say, a model's weights.</summary>
    public static bool IsClip(TensorSource document) => ClipFormat.IsClip(document);

    /// <summary>Reads what a document says.</summary>
    /// <exception cref="SoraException">It holds no clip, or its metadata are not valid.</exception>
    public static ClipHeader Read(TensorSource document) => ClipFormat.ReadHeader(document, LatentSpace.Raw);
}
