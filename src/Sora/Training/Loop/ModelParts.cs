using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sora.Training;

/// <summary>Where the parts of a model folder in the diffusers layout lie.</summary>
internal static class ModelParts
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The weights file of a part, its folder made if need be.</summary>
    public static string WeightsFile(string folder, string part) =>
        Path.Combine(
            Directory.CreateDirectory(Path.Combine(folder, part)).FullName,
            part == "text_encoder" ? "model.safetensors" : "diffusion_pytorch_model.safetensors"
        );

    /// <summary>Writes the config.json of a part.</summary>
    public static void WriteConfig(string folder, string part, JsonObject config) =>
        Write(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, part)).FullName, "config.json"), config);

    /// <summary>Lists a part of ours in the folder's model_index.json, if it has one.</summary>
    public static void List(string folder, string part, string className)
    {
        var path = Path.Combine(folder, "model_index.json");
        if (!File.Exists(path))
            return;
        var index = ConfigFile.Read(path).ToJson();
        index[part] = new JsonArray("sora", className);
        Write(path, index);
    }

    /// <summary>Writes a JSON file, whole or not at all.</summary>
    public static void Write(string path, JsonObject json) =>
        AtomicFile.Write(
            path,
            stream =>
            {
                JsonSerializer.Serialize(stream, json, Indented);
                stream.WriteByte((byte)'\n');
            }
        );

    /// <summary>Copies a part from one model folder to another.</summary>
    public static void Copy(string from, string to, string part)
    {
        var (source, target) = (Path.Combine(from, part), Path.Combine(to, part));
        if (Path.GetFullPath(source) == Path.GetFullPath(target))
            return;
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)), overwrite: true);
    }
}
