using Sora.Tensors;

namespace Sora.Clips;

/// <summary>Everything in a clip but its numbers: what <c>sora info</c> reads, whatever the size of the file.</summary>
public sealed record ClipHeader
{
    /// <summary>Where it was read from, for messages.</summary>
    public required string Origin { get; init; }

    /// <summary>Whether this program wrote it; if not, its metadata means nothing here.</summary>
    public required bool IsOurs { get; init; }

    /// <summary>What the clip says about itself.</summary>
    public required ClipInfo Info { get; init; }

    /// <summary>The verbs applied so far.</summary>
    public required IReadOnlyList<HistoryEntry> History { get; init; }

    /// <summary>Metadata that belongs to neither <see cref="Info"/> nor <see cref="History"/>.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary><c>[1, C, T, h, w]</c>; null in an unfinished sampling.</summary>
    public required TensorInfo? Latents { get; init; }

    /// <summary>All other tensors.</summary>
    public required IReadOnlyList<TensorInfo> Tensors { get; init; }

    /// <summary>Whether it is one of ComfyUI's oldest files, whose latents are scaled.</summary>
    public required bool NeedsRescaling { get; init; }

    /// <summary>Whether a document holds a clip, and not, say, a model's weights.</summary>
    public static bool IsClip(TensorSource document) => ClipFormat.IsClip(document);

    /// <summary>Reads the header of a document.</summary>
    /// <exception cref="SoraException">It holds no clip, or its metadata isn't valid.</exception>
    public static ClipHeader Read(TensorSource document) => ClipFormat.ReadHeader(document, LatentSpace.Raw);
}
