using System.Globalization;
using System.Text.Json;
using Sora.Clips;
using Sora.Models;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>What <c>info</c> says about a clip, as text and as JSON.</summary>
internal static class ClipSummary
{
    public static void WriteText(ClipHeader clip, TextWriter to)
    {
        to.WriteLine($"{clip.Origin}: {Headline(clip)}");
        var info = clip.Info;
        Row(to, "prompt", info.Prompt);
        Row(to, "model", info.Model);
        Row(to, "seed", info.Seed?.ToString(CultureInfo.InvariantCulture));
        Row(to, "vae", info.Vae ?? Family(clip));
        if (clip.Latents is { } latents)
            Row(to, "latents", $"{Describe(latents)}, {(clip.NeedsRescaling ? "times 0.18215" : SpaceName(info.Space))}");
        var depth = ClipDepth.Of(clip).ToString();
        foreach (var tensor in clip.Tensors)
            Row(to, tensor.Name, Describe(tensor) + (tensor.Name == Clip.DepthName && depth.Length > 0 ? $", {depth}" : ""));
        foreach (var (key, value) in clip.Metadata.Where(entry => !HasDepth(clip) || !ClipDepth.IsKey(entry.Key)))
            Row(to, key, value);
        if (clip.History.Count > 0)
            Row(to, "made by", History.Command(clip.History));
    }

    public static void WriteJson(ClipHeader clip, Utf8JsonWriter json)
    {
        var info = clip.Info;
        json.WriteStartObject();
        json.WriteString("kind", "clip");
        json.WriteString("file", clip.Origin);
        json.WriteBoolean("unfinished", clip.Latents == null);
        Write(json, "model", info.Model);
        Write(json, "vae", info.Vae);
        Write(json, "width", info.Width);
        Write(json, "height", info.Height);
        Write(json, "frames", info.Frames);
        if (info.FrameGrid is { } grid)
            Write(json, "frame_grid", grid);
        Write(json, "fps", info.Fps);
        Write(json, "seconds", info.Frames / info.Fps);
        Write(json, "latent_space", SpaceName(info.Space));
        Write(json, "seed", info.Seed);
        Write(json, "prompt", info.Prompt);
        if (clip.Latents is { } latents)
        {
            json.WritePropertyName("latents");
            Write(json, latents);
        }
        if (HasDepth(clip))
            WriteDepth(json, ClipDepth.Of(clip));
        json.WriteStartArray("tensors");
        foreach (var tensor in clip.Tensors)
            Write(json, tensor);
        json.WriteEndArray();
        json.WriteStartObject("metadata");
        foreach (var (key, value) in clip.Metadata)
            json.WriteString(key, value);
        json.WriteEndObject();
        json.WritePropertyName("history");
        History.Write(json, clip.History);
        json.WriteString("command", History.Command(clip.History));
        json.WriteEndObject();
    }

    /// <summary>Such as <c>F32 [1, 16, 3, 4, 6]</c>.</summary>
    public static string Describe(TensorInfo tensor) => $"{tensor.DType.Name()} {Shapes.Text(tensor.Shape)}";

    /// <summary>A line of a listing, unless there is nothing to say; control characters do not reach a terminal.</summary>
    public static void Row(TextWriter to, string name, string? value)
    {
        if (value != null)
            to.WriteLine($"  {Printable(name), -12}  {Printable(value)}");
    }

    public static void Write(Utf8JsonWriter json, TensorInfo tensor)
    {
        json.WriteStartObject();
        json.WriteString("name", tensor.Name);
        json.WriteString("dtype", tensor.DType.Name());
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape)
            json.WriteNumberValue(size);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static bool HasDepth(ClipHeader clip) => clip.Tensors.Any(tensor => tensor.Name == Clip.DepthName);

    private static void WriteDepth(Utf8JsonWriter json, ClipDepth depth)
    {
        json.WriteStartObject("depth");
        Write(json, "kind", depth.Kind);
        Write(json, "low", depth.Low);
        Write(json, "high", depth.High);
        Write(json, "units", depth.IsMetric ? "m" : null);
        Write(json, "model", depth.Model);
        json.WriteEndObject();
    }

    private static string Headline(ClipHeader clip)
    {
        var info = clip.Info;
        var kind =
            clip.Latents == null ? "unfinished clip"
            : clip.IsOurs ? "clip"
            : "latents from another program";
        if (info is { Frames: { } frames, Width: { } width, Height: { } height })
            kind += string.Create(CultureInfo.InvariantCulture, $", {frames} frame{(frames == 1 ? "" : "s")} of {width}x{height}");
        if (info is { Frames: { } count, Fps: { } fps })
            kind += string.Create(CultureInfo.InvariantCulture, $" at {fps:0.###} frames per second ({count / fps:0.##} s)");
        return kind;
    }

    /// <summary>A bare file says nothing about its VAE, but the number of channels tells the two kinds apart.</summary>
    private static string? Family(ClipHeader clip) =>
        clip.Latents?.Shape[1] switch
        {
            16 => "not recorded; 16 channels, as in Wan 2.1",
            48 => "not recorded; 48 channels, as in Wan 2.2",
            { } other => $"not recorded; {other} channels",
            null => null,
        };

    private static string SpaceName(LatentSpace space) => space == LatentSpace.Raw ? "raw" : "normalised";

    private static string Printable(string text) =>
        string.Concat(
            text.Select(c =>
                c == '\n' ? ' '
                : char.IsControl(c) ? '?'
                : c
            )
        );

    private static void Write(Utf8JsonWriter json, string name, string? value)
    {
        if (value != null)
            json.WriteString(name, value);
        else
            json.WriteNull(name);
    }

    private static void Write(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
            json.WriteNumber(name, number);
        else
            json.WriteNull(name);
    }
}
