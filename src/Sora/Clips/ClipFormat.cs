using System.Globalization;
using System.Text.Json;
using Sora.Tensors;

namespace Sora.Clips;

/// <summary>
/// The clip file: a safetensors document that ComfyUI opens too. Its <c>latent_tensor</c> and the empty marker
/// <c>latent_format_version_0</c> are those of ComfyUI's SaveLatent and LoadLatent nodes.
/// </summary>
internal static class ClipFormat
{
    public const int Version = 1;
    public const string LatentName = "latent_tensor";
    public const string ComfyMarker = "latent_format_version_0";

    // Before the marker, ComfyUI saved latents times Stable Diffusion's scale; its loader still divides by it.
    private const float ComfyOldScale = 0.18215f;

    private const string VersionKey = "sora_clip";
    private const string HistoryKey = "history";

    // A prefix for other programs' keys that mean something else here: ComfyUI's "prompt" is its node graph.
    private const string ForeignPrefix = "comfyui_";

    /// <summary>Names under which other programs keep video latents.</summary>
    private static readonly string[] LatentAliases = [LatentName, "latents", "latent", "samples"];

    private static readonly Dictionary<string, (Func<ClipInfo, string?> Write, Func<ClipInfo, string, ClipInfo> Read)> Fields = new()
    {
        ["model"] = (info => info.Model, (info, text) => info with { Model = text }),
        ["vae"] = (info => info.Vae, (info, text) => info with { Vae = text }),
        ["width"] = (info => Text(info.Width), (info, text) => info with { Width = Positive(text) }),
        ["height"] = (info => Text(info.Height), (info, text) => info with { Height = Positive(text) }),
        ["frames"] = (info => Text(info.Frames), (info, text) => info with { Frames = Positive(text) }),
        ["frame_grid"] = (info => info.FrameGrid, (info, text) => info with { FrameGrid = text }),
        ["fps"] = (info => Text(info.Fps), (info, text) => info with { Fps = Rate(text) }),
        ["latent_space"] = (
            info => info.Space == LatentSpace.Raw ? "raw" : "normalised",
            (info, text) => info with { Space = Space(text) }
        ),
        ["seed"] = (info => Text(info.Seed), (info, text) => info with { Seed = long.Parse(text, CultureInfo.InvariantCulture) }),
        ["prompt"] = (info => info.Prompt, (info, text) => info with { Prompt = text }),
    };

    public static Dictionary<string, string> Metadata(Clip clip)
    {
        var metadata = new Dictionary<string, string> { [VersionKey] = Text(Version)! };
        foreach (var (key, field) in Fields)
        {
            if (field.Write(clip.Info) is { } text)
                metadata[key] = text;
        }
        foreach (var (key, value) in clip.Metadata)
            metadata.TryAdd(key, value);
        metadata[HistoryKey] = History.ToJson(clip.History);
        return metadata;
    }

    public static Dictionary<string, HostTensor> Tensors(Clip clip, DType? storage)
    {
        var tensors = new Dictionary<string, HostTensor>();
        if (clip.Latents is { } latents)
        {
            tensors[LatentName] = storage is { } type ? latents.To(type) : latents;
            tensors[ComfyMarker] = HostTensor.FromFloats([], [0]);
        }
        foreach (var (name, tensor) in clip.Tensors)
            tensors[name] = tensor;
        return tensors;
    }

    /// <summary>Whether a document holds a clip or an unfinished sampling, and not, say, a model's weights.</summary>
    public static bool IsClip(TensorSource document) => LatentNameIn(document) != null || HoldsNoise(document);

    /// <summary>What a document says, whoever wrote it.</summary>
    /// <param name="document">All its tensors and metadata.</param>
    /// <param name="space">The form of latents that do not say it themselves.</param>
    /// <exception cref="SoraException">It holds no clip.</exception>
    public static ClipHeader ReadHeader(TensorSource document, LatentSpace space)
    {
        var ours = document.Metadata.TryGetValue(VersionKey, out var version);
        if (ours && version != Text(Version))
            throw SoraException.Failed(
                $"{document.Origin}: clip format {version}, but this version of sora reads {Version}",
                "update sora"
            );
        var latentName = LatentNameIn(document);
        if (latentName == null && !HoldsNoise(document))
        {
            throw SoraException.Failed(
                $"{document.Origin}: not a clip: none of its {document.Tensors.Count} tensors is {LatentName}",
                "sora info shows what the file contains"
            );
        }
        var (info, others) = ours ? ReadInfo(document) : (new ClipInfo { Space = space }, Foreign(document.Metadata));
        return new ClipHeader
        {
            Origin = document.Origin,
            IsOurs = ours,
            Info = info,
            Metadata = others,
            History = ours ? ReadHistory(document) : [],
            Latents = latentName == null ? null : CheckLatents(document, latentName),
            Tensors = [.. document.Tensors.Values.Where(tensor => tensor.Name != latentName && tensor.Name != ComfyMarker)],
            NeedsRescaling = !ours && latentName == LatentName && !document.Tensors.ContainsKey(ComfyMarker),
        };
    }

    /// <summary>The clip of a document, tensors and all.</summary>
    /// <param name="document">All its tensors and metadata.</param>
    /// <param name="space">The form of latents that do not say it themselves.</param>
    /// <param name="reporter">Told what had to be assumed.</param>
    /// <exception cref="SoraException">It holds no clip.</exception>
    public static Clip Read(TensorSource document, LatentSpace space, Reporter reporter)
    {
        var header = ReadHeader(document, space);
        var clip = new Clip
        {
            Origin = header.Origin,
            Info = header.Info,
            Metadata = header.Metadata,
            History = header.History,
            Latents = header.Latents == null ? null : document.Copy(header.Latents.Name),
            Tensors = header.Tensors.ToDictionary(tensor => tensor.Name, tensor => document.Copy(tensor.Name)),
        };
        return header.NeedsRescaling ? Rescaled(clip, reporter) : clip;
    }

    private static (ClipInfo Info, IReadOnlyDictionary<string, string> Others) ReadInfo(TensorSource document)
    {
        var info = new ClipInfo();
        var others = new Dictionary<string, string>();
        foreach (var (key, text) in document.Metadata)
        {
            if (key is VersionKey or HistoryKey)
                continue;
            if (!Fields.TryGetValue(key, out var field))
            {
                others[key] = text;
                continue;
            }
            try
            {
                info = field.Read(info, text);
            }
            catch (Exception fault) when (fault is FormatException or OverflowException)
            {
                throw SoraException.Failed(
                    $"{document.Origin}: metadata '{key}' is '{text}'",
                    "the clip was changed by another program; correct or remove the entry",
                    fault
                );
            }
        }
        return (info, others);
    }

    private static Dictionary<string, string> Foreign(IReadOnlyDictionary<string, string> metadata) =>
        metadata.ToDictionary(
            entry => Fields.ContainsKey(entry.Key) || entry.Key == HistoryKey ? ForeignPrefix + entry.Key : entry.Key,
            entry => entry.Value
        );

    private static IReadOnlyList<HistoryEntry> ReadHistory(TensorSource document)
    {
        if (!document.Metadata.TryGetValue(HistoryKey, out var text))
            return [];
        try
        {
            return History.Parse(text);
        }
        catch (JsonException fault)
        {
            throw SoraException.Failed(
                $"{document.Origin}: the clip's history is not valid: {fault.Message.ReplaceLineEndings(" ")}",
                "the clip was changed by another program; remove the entry",
                fault
            );
        }
    }

    private static string? LatentNameIn(TensorSource document)
    {
        if (LatentAliases.FirstOrDefault(document.Tensors.ContainsKey) is { } known)
            return known;
        var only = document.Tensors.Count == 1 ? document.Tensors.Values.First() : null;
        return only is { Shape.Length: 5 } && !HoldsNoise(document) ? only.Name : null;
    }

    private static bool HoldsNoise(TensorSource document) =>
        document.Tensors.Keys.Any(name => name.StartsWith(Clip.NoisePrefix, StringComparison.Ordinal));

    private static TensorInfo CheckLatents(TensorSource document, string name)
    {
        var info = document.Info(name);
        var what = $"{document.Origin}: '{name}' is {info.DType.Name()} {Shapes.Text(info.Shape)}";
        if (!info.DType.IsFloat())
            throw SoraException.Failed($"{what}, not floating point", "latents are F32, F16 or BF16");
        if (info.Shape.Length == 4)
            throw SoraException.Failed(
                $"{what}: latents of a still-image model, not of a video model",
                "a clip's latents are [1, channels, frames, height, width]"
            );
        if (info.Shape.Length != 5 || info.Shape.Any(size => size < 1))
            throw SoraException.Failed($"{what}, not the latents of a video", "a clip's latents are [1, channels, frames, height, width]");
        if (info.Shape[0] != 1)
            throw SoraException.Failed($"{what}: a batch of {info.Shape[0]} clips", "save one clip per file");
        return info;
    }

    private static Clip Rescaled(Clip clip, Reporter reporter)
    {
        reporter.Note(
            $"{clip.Origin}: no {ComfyMarker}, so its latents are multiplied by 1/{ComfyOldScale}, as ComfyUI does with its oldest files"
        );
        var latents = clip.FinishedLatents;
        var values = latents.ToFloats();
        for (var i = 0; i < values.Length; i++)
            values[i] *= 1 / ComfyOldScale;
        return clip with { Latents = HostTensor.FromFloats(values, latents.Shape) };
    }

    private static string? Text(int? value) => value?.ToString(CultureInfo.InvariantCulture);

    private static string? Text(long? value) => value?.ToString(CultureInfo.InvariantCulture);

    private static string? Text(double? value) => value?.ToString("R", CultureInfo.InvariantCulture);

    private static int Positive(string text) =>
        int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture) is > 0 and var value ? value : throw new FormatException(text);

    private static double Rate(string text) =>
        double.Parse(text, CultureInfo.InvariantCulture) is > 0 and <= 1000 and var value ? value : throw new FormatException(text);

    private static LatentSpace Space(string text) =>
        text switch
        {
            "raw" => LatentSpace.Raw,
            "normalised" => LatentSpace.Normalised,
            _ => throw new FormatException(text),
        };
}
