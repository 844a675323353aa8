using System.Globalization;
using Sora.Models.Wan;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Encoded clips of one shape, in memory.</summary>
/// <param name="Shape">The clips' shape in pixels.</param>
/// <param name="Latents">Normalised latents <c>[N, C, T, h, w]</c>, half precision.</param>
/// <param name="Seeds">The seed of each clip, from which its captions are drawn again.</param>
internal sealed record LatentSet(ClipShape Shape, Tensor Latents, ulong[] Seeds)
{
    /// <summary>How many things each clip shows, plus one: 0: not asked yet.</summary>
    private readonly byte[] things = new byte[Seeds.Length];

    /// <summary>
    /// Draws a clip: one with two things twice as often as one with a single one, for only clips with several teach which words
    /// belong to which thing.
    /// </summary>
    /// <param name="source">Where the clips are from; it knows what they show.</param>
    /// <param name="random">What it is drawn with.</param>
    public int Pick(ClipSource source, ref Rng random)
    {
        while (true)
        {
            var (clip, wanted) = (random.Below(Seeds.Length), random.Uniform() * source.Marks.Count);
            if (wanted < 1)
                return clip;
            if (things[clip] == 0)
                things[clip] = (byte)(1 + source.Things(Seeds[clip], Shape));
            if (things[clip] == 1 || wanted < things[clip] - 1)
                return clip;
        }
    }
}

/// <summary>
/// Clips that are rendered and encoded once and then trained on many times: rendering and encoding cost about as
/// much as a training step. A folder of shards; a stopped run goes on at the first missing one.
/// </summary>
internal static class LatentCache
{
    private const int ShardClips = 512;
    private const int EncodeClips = 16;

    /// <summary>Fills the folder up to as many clips as are requested, and loads them.</summary>
    /// <exception cref="SoraException">The folder holds latents of another VAE or source.</exception>
    public static LatentSet Open(string folder, LatentRequest request, Reporter reporter, CancellationToken cancellation)
    {
        var (vae, source, shape, count) = (request.Vae, request.Source, request.Shape, request.Count);
        var place = Directory.CreateDirectory(Path.Combine(folder, shape.ToString())).FullName;
        var seeds = Enumerable.Range(0, count).Select(i => new Rng(request.Seed, (ulong)i).NextBits()).ToArray();
        var parts = new List<Tensor>();
        for (var (shard, first) = (0, 0); first < count; shard++, first += ShardClips)
        {
            cancellation.ThrowIfCancellationRequested();
            var path = Path.Combine(place, $"{shard:D5}.safetensors");
            var wanted = Math.Min(ShardClips, count - first);
            // The last shard of a smaller request is short.
            if (Clips(path) < wanted)
                WriteShard(path, request, seeds.AsSpan(first, wanted).ToArray(), cancellation);
            parts.Add(ReadShard(path, request, wanted));
            reporter.Progress($"encoding {shape}", first + wanted, count);
        }
        using var all = cat(parts);
        foreach (var part in parts)
            part.Dispose();
        using var normalised = vae.Normalise(all.to(ScalarType.Float32));
        return new LatentSet(shape, normalised.to(ScalarType.Float16), seeds);
    }

    private static long Clips(string path)
    {
        if (!File.Exists(path))
            return 0;
        using var file = TensorFiles.Open(path);
        return file.Tensors["latents"].Shape[0];
    }

    private static void WriteShard(string path, LatentRequest request, ulong[] seeds, CancellationToken cancellation)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var encoded = new List<Tensor>();
        foreach (var chunk in seeds.Chunk(EncodeClips))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var rgb = new byte[request.Shape.Bytes * chunk.Length];
            Parallel.For(
                0,
                chunk.Length,
                i => request.Source.Draw(chunk[i], request.Shape, rgb.AsSpan(i * request.Shape.Bytes, request.Shape.Bytes))
            );
            var latents = request.Vae.Encode(new ClipBatch(rgb, request.Shape, chunk.Length).Pixels());
            encoded.Add(latents.to(ScalarType.Float16).MoveToOuterDisposeScope());
        }
        TensorFiles.Write(path, [new("latents", cat(encoded))], Identity(request));
    }

    private static Tensor ReadShard(string path, LatentRequest request, int wanted)
    {
        using var file = TensorFiles.Open(path);
        foreach (var (key, value) in Identity(request))
        {
            if (file.Metadata.GetValueOrDefault(key) != value)
            {
                throw SoraException.Failed(
                    $"{path} contains latents of another {key}",
                    "delete that folder, or choose another with --cache"
                );
            }
        }
        using var latents = TensorIO.Load(file, "latents");
        return latents.narrow(0, 0, Math.Min(wanted, latents.shape[0])).clone();
    }

    private static Dictionary<string, string> Identity(LatentRequest request) =>
        new() { ["vae"] = request.VaeFingerprint, ["seed"] = request.Seed.ToString(CultureInfo.InvariantCulture) };
}

/// <summary>Which clips to encode with which VAE.</summary>
internal sealed record LatentRequest(CausalVae Vae, string VaeFingerprint, ClipSource Source, ClipShape Shape)
{
    /// <summary>How many clips.</summary>
    public required int Count { get; init; }

    /// <summary>The seed that the clips' seeds come from.</summary>
    public required ulong Seed { get; init; }
}
