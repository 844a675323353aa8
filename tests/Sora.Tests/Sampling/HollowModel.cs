using System.Text;
using System.Text.Json.Nodes;
using Sora.Models;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;

namespace Sora.Tests.Sampling;

/// <summary>The sizes of a published model.</summary>
internal sealed record Published(string Name, WanTransformerConfig Transformer, CausalVaeConfig Vae)
{
    public int Experts { get; init; } = 1;
}

/// <summary>
/// A model folder of full size whose files have their headers and nothing after them: holes of the right length, which take no
/// space on the disk.
/// </summary>
internal sealed class HollowModel : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-hollow-").FullName;

    /// <param name="published">The sizes.</param>
    /// <param name="type">How the matrices of blocks are stored; the rest, as published files have it, in half.</param>
    public HollowModel(Published published, DType type)
    {
        var index = new JsonObject { ["_class_name"] = "WanPipeline", ["expand_timesteps"] = published.Vae.IsResidual };
        if (published.Experts == 2)
            index["boundary_ratio"] = 0.9;
        void Add(string part, JsonObject config, Action<Weights> build, bool isCompact)
        {
            index[part] = new JsonArray("diffusers", "a part");
            var at = Directory.CreateDirectory(Path.Combine(folder, part)).FullName;
            File.WriteAllText(Path.Combine(at, "config.json"), config.ToJsonString());
            using var weights = Weights.Meta();
            build(weights);
            var tensors = weights
                .Named()
                .Select(pair => (pair.Key, pair.Value.shape, isCompact && IsMatrix(pair.Key, pair.Value.shape) ? type : DType.BF16))
                .ToList();
            if (type is DType.BF16 or DType.F8E4M3 || !isCompact)
                SafeTensorsOf(Path.Combine(at, "model.safetensors"), tensors);
            else
                GgufOf(Path.Combine(at, "model.gguf"), tensors);
        }
        Add("transformer", published.Transformer.ToJson(), weights => _ = new WanTransformer(published.Transformer, weights), true);
        if (published.Experts == 2)
            Add("transformer_2", published.Transformer.ToJson(), weights => _ = new WanTransformer(published.Transformer, weights), true);
        Add("text_encoder", new JsonObject { ["model_type"] = "umt5" }, weights => _ = new T5Encoder(T5Config.Umt5Xxl, weights), true);
        Add("vae", published.Vae.ToJson(), weights => _ = new CausalVae(published.Vae, weights), false);
        File.WriteAllText(Path.Combine(folder, "model_index.json"), index.ToJsonString());
        Model = Opened.Wan(folder);
    }

    public WanModel Model { get; }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static bool IsMatrix(string name, long[] shape) =>
        name.Contains("block") && shape.Length == 2 && shape[0] > 64 && shape[1] > 64;

    private static long Bytes(DType type, long[] shape) => shape.Aggregate(1L, (a, b) => a * b) / type.BlockElements() * type.BlockBytes();

    private static void SafeTensorsOf(string path, List<(string Name, long[] Shape, DType Type)> tensors)
    {
        var (header, offset) = (new JsonObject(), 0L);
        foreach (var (name, shape, type) in tensors)
        {
            var end = offset + Bytes(type, shape);
            header[name] = new JsonObject
            {
                ["dtype"] = type.Name(),
                ["shape"] = new JsonArray([.. shape.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }
        var json = Encoding.UTF8.GetBytes(header.ToJsonString());
        using var file = new BinaryWriter(File.Create(path));
        file.Write((long)json.Length);
        file.Write(json);
        file.Flush();
        file.BaseStream.SetLength(sizeof(long) + json.Length + offset);
    }

    private static void GgufOf(string path, List<(string Name, long[] Shape, DType Type)> tensors)
    {
        const long alignment = 32;
        using var file = new BinaryWriter(File.Create(path));
        file.Write("GGUF"u8);
        file.Write(3u);
        file.Write((long)tensors.Count);
        file.Write(0L);
        var offset = 0L;
        foreach (var (name, shape, type) in tensors)
        {
            file.Write((long)name.Length);
            file.Write(Encoding.UTF8.GetBytes(name));
            // Four sizes at most, the last one first.
            long[] sizes = shape.Length > 4 ? [shape.Aggregate(1L, (a, b) => a * b)] : [.. shape.Reverse()];
            file.Write(sizes.Length);
            foreach (var size in sizes)
                file.Write(size);
            file.Write(
                type switch
                {
                    DType.Q8_0 => 8,
                    DType.Q4_K => 12,
                    _ => 30,
                }
            );
            file.Write(offset);
            offset = (offset + Bytes(type, shape) + alignment - 1) / alignment * alignment;
        }
        file.Flush();
        file.BaseStream.SetLength((file.BaseStream.Position + alignment - 1) / alignment * alignment + offset);
    }
}
