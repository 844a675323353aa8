using System.Security.Cryptography;
using System.Text;
using Sora.Tensors;

namespace Sora.Models.Text;

/// <summary>
/// Embeddings of prompts on disk, one small safetensors file each, so that a prompt seen before costs no large text
/// encoder. In the folder <c>sora/embeddings</c> of the user's cache (XDG), or where <c>SORA_CACHE</c> says;
/// <c>SORA_CACHE=off</c> keeps none. Any file may be deleted at any time.
/// </summary>
internal sealed class EmbeddingCache(string folder)
{
    private const string Entry = "prompt_embeds";

    /// <summary>The user's cache, or null if it is off.</summary>
    public static EmbeddingCache? OfUser()
    {
        var set = Environment.GetEnvironmentVariable("SORA_CACHE");
        if (set == "off")
            return null;
        return new EmbeddingCache(Path.Combine(string.IsNullOrEmpty(set) ? Path.Combine(Home(), "sora") : set, "embeddings"));
    }

    /// <summary>What an embedding depends on, as a file name.</summary>
    /// <param name="encoder">The fingerprint of the encoder's weights.</param>
    /// <param name="type">The type that it computes in.</param>
    /// <param name="ids">The token ids.</param>
    public static string Key(string encoder, DType type, IEnumerable<int> ids) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{encoder} {type.Name()} {string.Join(' ', ids)}")))[..32];

    /// <summary>The embedding <c>[tokens, D]</c>, or null if it is not there.</summary>
    /// <exception cref="SoraException">The file is damaged.</exception>
    public HostTensor? Find(string key)
    {
        var path = PathOf(key);
        if (!File.Exists(path))
            return null;
        using var file = SafeTensorsFile.Open(path);
        return file.Copy(Entry);
    }

    /// <summary>Keeps an embedding. The file appears whole or not at all, whoever else writes the same.</summary>
    /// <exception cref="SoraException">It cannot be written.</exception>
    public void Store(string key, HostTensor embedding)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw SoraException.Failed(
                $"{folder} cannot be created: {error.Message}",
                "set SORA_CACHE to another folder, or to off",
                error
            );
        }
        AtomicFile.Write(
            PathOf(key),
            stream =>
                SafeTensors.Write(stream, new Dictionary<string, string>(), new Dictionary<string, HostTensor> { [Entry] = embedding })
        );
    }

    private string PathOf(string key) => Path.Combine(folder, key + ".safetensors");

    private static string Home() =>
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } path
            ? path
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
}
