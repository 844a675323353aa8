using System.Text.Json;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>
/// One file that holds a part of a model, in whatever way other programs write it: safetensors, GGUF or PyTorch's own, with the names
/// of diffusers, of a model's authors or of ComfyUI, in plain types, scaled fp8 or quantised blocks. Opened, they are all the
/// same: diffusers' names, and values that can be read as float32.
/// </summary>
public static class CheckpointFile
{
    private const string SentencePieceName = "spiece_model";
    private const string SharedEmbedding = "shared.weight";
    private const string EncoderEmbedding = "encoder.embed_tokens.weight";

    private static readonly string[] Prefixes = ["model.diffusion_model.", "diffusion_model."];

    // What belongs to scaled fp8 and isn't a weight: ComfyUI's older and newer spelling.
    private static readonly string[] ScaleSuffixes = [".scale_weight", ".weight_scale"];
    private static readonly string[] OtherSuffixes = [".scale_input", ".input_scale", ".comfy_quant"];
    private const string ScaledMarker = "scaled_fp8";

    /// <summary>Whether a file's name is one that can hold weights.</summary>
    internal static bool IsNamedSo(string path) => Path.GetExtension(path) is ".safetensors" or ".gguf" or ".pth" or ".pt";

    /// <summary>Opens a file; only its header is read.</summary>
    /// <exception cref="SoraException">It cannot be read, is damaged, or uses a quantisation that is not known.</exception>
    public static TensorSource Open(string path)
    {
        var raw = OpenRaw(path);
        try
        {
            return InOurNames(raw);
        }
        catch
        {
            raw.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The SentencePiece model that ComfyUI's text encoders carry inside, the bytes of <c>spiece.model</c>; null where
    /// there is none.
    /// </summary>
    /// <exception cref="SoraException">The file cannot be read, or is damaged.</exception>
    public static byte[]? SentencePiece(string path)
    {
        using var raw = OpenRaw(path);
        return raw.Tensors.ContainsKey(SentencePieceName) ? raw.Copy(SentencePieceName).Data : null;
    }

    /// <summary>The tensors of a file under diffusers' names, which it may have already.</summary>
    /// <param name="raw">Disposed with the result.</param>
    internal static TensorSource InOurNames(TensorSource raw)
    {
        var prefix =
            Prefixes.FirstOrDefault(prefix => raw.Tensors.Keys.Any(name => name.StartsWith(prefix, StringComparison.Ordinal))) ?? "";
        var names = raw
            .Tensors.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(name => name[prefix.Length..])
            .ToList();
        var map = MapFor(names.ToHashSet());
        var tensors = names
            .Where(name => !IsNoWeight(name))
            .SelectMany(name => Split(Entry(raw, prefix, name, map(name) ?? name)))
            .ToList();
        tensors = OneEmbedding(tensors);
        var changed = tensors.Count != raw.Tensors.Count || tensors.Any(tensor => tensor.Name != tensor.Source || tensor.Scale != null);
        return changed ? new MappedTensors(raw, tensors) : raw;
    }

    private static TensorSource OpenRaw(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using (var file = MappedFile.Open(path))
            file.Span(0, (int)Math.Min(start.Length, file.Length)).CopyTo(start);
        return GgufFile.IsGguf(start) ? GgufFile.Open(path)
            : ZipDirectory.IsZip(start) ? TorchFile.Open(path)
            : SafeTensorsFile.Open(path);
    }

    /// <summary>By its keys: files don't say what they are.</summary>
    private static Func<string, string?> MapFor(HashSet<string> names)
    {
        if (names.Contains("head.modulation") || names.Contains("blocks.0.self_attn.q.weight"))
            return KeyMaps.Transformer.Find;
        if (names.Contains("blocks.0.attn.q.weight"))
            return KeyMaps.TextEncoder.Find;
        if (names.Contains("enc.blk.0.attn_q.weight"))
            return KeyMaps.TextEncoderGguf.Find;
        if (names.Contains("visual.cls_embedding"))
            return KeyMaps.ImageEncoder.Find;
        if (names.Contains("pretrained.cls_token"))
            return KeyMaps.DepthEstimator.Find;
        if (names.Contains("decoder.upsamples.0.upsamples.0.residual.0.gamma"))
            return KeyMaps.Vae22;
        if (names.Contains("decoder.upsamples.0.residual.0.gamma"))
            return KeyMaps.Vae21;
        return _ => null;
    }

    private static bool IsNoWeight(string name) =>
        name is ScaledMarker or SentencePieceName
        // Published files may hold it, though no layer uses it.
        || name.EndsWith(".norm_added_q.weight", StringComparison.Ordinal)
        // Wan's file of CLIP also has its other half, which reads text.
        || name is "log_scale" or "visual.head"
        || name.StartsWith("textual.", StringComparison.Ordinal)
        || ScaleSuffixes.Concat(OtherSuffixes).Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal));

    private static MappedTensor Entry(TensorSource raw, string prefix, string theirs, string ours)
    {
        var info = raw.Info(prefix + theirs);
        var shape = info.Shape;
        // llama.cpp's tools drop a size of 1 in front; Wan's CLIP has one or two.
        if (ours.EndsWith("scale_shift_table", StringComparison.Ordinal) && shape.Length == 2)
            shape = [1, .. shape];
        else if (KeyMaps.RankOf(ours) is { } rank && shape.Length > rank && shape[..^rank].All(size => size == 1))
            shape = shape[^rank..];
        return new MappedTensor(ours, info.Name, shape, ScaleOf(raw, info));
    }

    /// <summary>Queries, keys and values that lie in one tensor, one after another, as three; any other tensor as it is.</summary>
    private static IReadOnlyList<MappedTensor> Split(MappedTensor tensor)
    {
        var (fused, parts) = KeyMaps.Fused.FirstOrDefault(fused => tensor.Name.Contains(fused.Name));
        if (fused is null || tensor.Shape is not [var all, .. var columns] || all % 3 != 0)
            return [tensor];
        var rows = (int)(all / 3);
        return
        [
            .. parts.Select(
                (part, i) =>
                    tensor with
                    {
                        Name = tensor.Name.Replace(fused, part),
                        Shape = [rows, .. columns],
                        First = i * rows * Shapes.Elements(columns),
                        Scale = tensor.Scale is { Length: > 1 } each ? each[(i * rows)..((i + 1) * rows)] : tensor.Scale,
                    }
            ),
        ];
    }

    private static float[]? ScaleOf(TensorSource raw, TensorInfo weight)
    {
        const string suffix = ".weight";
        if (!weight.Name.EndsWith(suffix, StringComparison.Ordinal))
            return null;
        var layer = weight.Name[..^suffix.Length];
        CheckFormat(raw, layer);
        var name = ScaleSuffixes.Select(scale => layer + scale).FirstOrDefault(raw.Tensors.ContainsKey);
        if (name == null)
            return null;
        var scale = raw.Floats(name);
        return scale.Length == 1 || (weight.Shape.Length > 0 && scale.Length == weight.Shape[0])
            ? scale
            : throw SoraException.Failed(
                $"{raw.Origin}: '{name}' is {Shapes.Text(raw.Info(name).Shape)}: "
                    + $"neither a single scale nor one per row of {Shapes.Text(weight.Shape)}"
            );
    }

    /// <summary>The newer spelling names the format of each layer, which may be unknown here.</summary>
    private static void CheckFormat(TensorSource raw, string layer)
    {
        var name = layer + ".comfy_quant";
        if (!raw.Tensors.ContainsKey(name))
            return;
        string? format;
        try
        {
            using var document = JsonDocument.Parse(raw.Copy(name).Data);
            format = document.RootElement.GetProperty("format").GetString();
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw SoraException.Damaged($"{raw.Origin}: '{name}' does not name a format", fault);
        }
        if (format is not ("float8_e4m3fn" or "float8_e5m2"))
            throw SoraException.Failed(
                $"{raw.Origin}: '{layer}' is quantised as '{format}', which is unknown",
                "use the fp8, GGUF or half-precision file of the model"
            );
    }

    /// <summary>The text encoder's table can be under either name, or both.</summary>
    private static List<MappedTensor> OneEmbedding(List<MappedTensor> tensors)
    {
        var second = tensors.Find(tensor => tensor.Name == EncoderEmbedding);
        if (second == null)
            return tensors;
        var others = tensors.Where(tensor => tensor != second).ToList();
        if (!others.Exists(tensor => tensor.Name == SharedEmbedding))
            others.Add(second with { Name = SharedEmbedding });
        return others;
    }
}
