using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sora.Nn;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>
/// Finds the weights of a model part: one file, or the shards that an index names.
/// Whatever their format and spelling, they get diffusers' names.
/// </summary>
public static class Checkpoint
{
    private static readonly string[] Names = ["diffusion_pytorch_model", "model"];

    /// <summary>
    /// Opens a file (safetensors or GGUF), an index (<c>*.safetensors.index.json</c>), or a folder in the layout of diffusers or
    /// transformers; only headers are read.
    /// </summary>
    /// <exception cref="SoraException">Nothing there, a shard is missing or truncated, or a tensor of the index is in no shard.</exception>
    public static TensorSource Open(string path)
    {
        if (Directory.Exists(path))
            path = Find(path);
        return path.EndsWith(".json", StringComparison.Ordinal) ? CheckpointFile.InOurNames(OpenIndex(path)) : CheckpointFile.Open(path);
    }

    /// <summary>As <see cref="Open"/>, for layers to take their tensors from.</summary>
    /// <exception cref="SoraException">As <see cref="Open"/>.</exception>
    public static Weights Load(string path, WeightsOptions? options = null) => Weights.From(Open(path), options);

    /// <summary>
    /// Tells weights apart: 16 hexadecimal digits of a SHA-256 over the config and, for every tensor by name, its name,
    /// type, shape, first and last 4096 bytes. A fine-tuned model differs in those; reading all of a large one would
    /// take seconds.
    /// </summary>
    /// <param name="weights">The weights of a part.</param>
    /// <param name="config">The part's config as text.</param>
    public static string Fingerprint(TensorSource weights, string config)
    {
        const int sample = 4096;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(config));
        var buffer = new byte[sample];
        foreach (var tensor in weights.Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{tensor.Name} {tensor.DType.Name()} {Shapes.Text(tensor.Shape)}"));
            var length = (int)Math.Min(sample, tensor.Bytes);
            foreach (var offset in (long[])[0, tensor.Bytes - length])
            {
                weights.Read(tensor.Name, offset, buffer.AsSpan(0, length));
                hash.AppendData(buffer, 0, length);
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    private static string Find(string folder)
    {
        foreach (var name in Names)
        {
            var index = Path.Combine(folder, $"{name}.safetensors.index.json");
            if (File.Exists(index))
                return index;
            var file = Path.Combine(folder, $"{name}.safetensors");
            if (File.Exists(file))
                return file;
        }
        // A folder with only a variant (model.fp16.safetensors): take it if there is one.
        var indexes = Directory.GetFiles(folder, "*.safetensors.index*.json");
        if (indexes.Length == 1)
            return indexes[0];
        var files = Directory.GetFiles(folder, "*.safetensors");
        if (files.Length == 0)
            files = Directory.GetFiles(folder, "*.gguf");
        if (indexes.Length == 0 && files.Length == 1)
            return files[0];
        throw SoraException.Failed(
            $"{folder} has no weights (looked for {string.Join(" and ", Names.Select(name => $"{name}.safetensors"))})",
            files.Length > 1 ? "it contains several variants: pass one of the files" : "the download may be incomplete"
        );
    }

    private static ShardedTensors OpenIndex(string path)
    {
        var folder = Path.GetDirectoryName(path) ?? ".";
        var map = ConfigFile.Read(path).Object("weight_map") ?? throw SoraException.Damaged($"{path} has no weight_map");
        var shards = new Dictionary<string, TensorSource>();
        try
        {
            var shardOf = map.Select(entry =>
                    (
                        entry.Key,
                        Shard: entry.Value is JsonValue value && value.TryGetValue<string>(out var name)
                            ? name
                            : throw SoraException.Damaged($"{path}: no file is given for {entry.Key}")
                    )
                )
                .ToList();
            foreach (var shard in shardOf.Select(entry => entry.Shard).Distinct())
            {
                // The index is a download: a shard is a file beside it, nothing else.
                if (shard != Path.GetFileName(shard))
                    throw SoraException.Damaged($"{path}: shard '{shard}' isn't a file name");
                var file = Path.Combine(folder, shard);
                if (!File.Exists(file))
                    throw SoraException.Failed(
                        $"{file} is missing, but {Path.GetFileName(path)} refers to it",
                        "the download may be incomplete"
                    );
                shards[shard] = SafeTensorsFile.Open(file);
            }
            return new ShardedTensors(path, shardOf.Select(entry => (entry.Key, shards[entry.Shard])));
        }
        catch
        {
            foreach (var shard in shards.Values)
                shard.Dispose();
            throw;
        }
    }

    /// <summary>Several files as one source.</summary>
    private sealed class ShardedTensors : TensorSource
    {
        private readonly Dictionary<string, TensorSource> shardOf = [];
        private readonly OrderedDictionary<string, TensorInfo> tensors = [];

        public ShardedTensors(string index, IEnumerable<(string Name, TensorSource Shard)> entries)
        {
            Origin = index;
            foreach (var (name, shard) in entries)
            {
                if (!shard.Tensors.TryGetValue(name, out var info))
                    throw SoraException.Failed(
                        $"{shard.Origin}: no tensor {name}, but {Path.GetFileName(index)} lists it",
                        "the download may be incomplete"
                    );
                shardOf[name] = shard;
                tensors[name] = info;
            }
        }

        public override string Origin { get; }

        public override IReadOnlyDictionary<string, string> Metadata => shardOf.Values.First().Metadata;

        public override IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

        public override void Read(string name, long offset, Span<byte> destination) =>
            shardOf[Info(name).Name].Read(name, offset, destination);

        protected override void Dispose(bool disposing)
        {
            if (!disposing)
                return;
            foreach (var shard in shardOf.Values.Distinct())
                shard.Dispose();
        }
    }
}
