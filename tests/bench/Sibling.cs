using System.Text.Json.Nodes;
using Sora.Models;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Bench;

/// <summary>
/// Checkpoints of published kinds with random weights, scaled down: the layout, tokenizer and scheduler of a reference model
/// of the tests, and parts of any size.
/// </summary>
internal sealed class Sibling : IDisposable
{
    private Sibling(string folder) => Folder = folder;

    public string Folder { get; }

    /// <summary>Makes one in a temporary folder.</summary>
    /// <param name="like">Folder of the reference model.</param>
    /// <param name="sizes">For each part that is to be larger, the fields of its config that change.</param>
    public static Sibling Create(string like, IReadOnlyDictionary<string, JsonObject> sizes)
    {
        var folder = Directory.CreateTempSubdirectory("sora-sibling-").FullName;
        foreach (var file in Directory.GetFiles(like, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(folder, Path.GetRelativePath(like, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        foreach (var (part, fields) in sizes)
            Enlarge(Path.Combine(folder, part), part, fields);
        return new Sibling(folder);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static void Enlarge(string folder, string part, JsonObject fields)
    {
        var path = Path.Combine(folder, "config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        foreach (var (key, value) in fields)
            config[key] = value?.DeepClone();
        File.WriteAllText(path, config.ToJsonString());
        using var scope = NewDisposeScope();
        using var off = no_grad();
        using var weights = Weights.Initialise(1);
        object _ = part switch
        {
            "transformer" => new WanTransformer(WanTransformerConfig.Read(path), weights),
            "vae" => new CausalVae(ModelRegistry.VaeConfig(path), weights),
            _ => new T5Encoder(T5Config.Read(path), weights),
        };
        foreach (var file in Directory.GetFiles(folder, "*.safetensors"))
            weights.Save(file, ScalarType.Float16);
    }
}
