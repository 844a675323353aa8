using Sora.Models.Checkpoints;
using Sora.Nn;
using Sora.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Text;

/// <summary>
/// Prompts to what a transformer attends to: cleaned, tokenized, encoded, and filled up with rows of zeros. The
/// encoder's weights are loaded when a prompt needs them and freed with this object; the embeddings of a large encoder
/// are kept in the user's cache.
/// </summary>
public sealed class TextEncoder : IDisposable
{
    /// <summary>From this many parameters on, loading and running the encoder takes longer than reading a file.</summary>
    private const long CachedFrom = 100_000_000;

    private readonly string path;
    private readonly WeightsOptions options;
    private readonly Reporter reporter;
    private readonly Lazy<string> fingerprint;
    private readonly EmbeddingCache? cache;
    private (Weights Weights, T5Encoder Encoder)? loaded;

    private TextEncoder(
        Tokenizer tokenizer,
        (string Path, ConfigFile Config) encoder,
        WeightsOptions options,
        Reporter reporter,
        EmbeddingCache? cache
    )
    {
        (Tokenizer, path, this.options, this.reporter) = (tokenizer, encoder.Path, options, reporter);
        Config = T5Config.From(encoder.Config);
        if (tokenizer.Count > Config.VocabSize)
            throw SoraException.Failed(
                $"{path} knows {Config.VocabSize} tokens, but the tokenizer has {tokenizer.Count}",
                "the tokenizer and the text encoder belong to different models"
            );
        using var weights = Checkpoint.Open(path);
        Stored = weights.Tensors.Values.Where(tensor => tensor.DType.IsFloat()).Select(tensor => tensor.DType).First();
        this.cache = cache ?? (weights.Elements >= CachedFrom ? EmbeddingCache.OfUser() : null);
        fingerprint = new Lazy<string>(() =>
        {
            using var source = Checkpoint.Open(path);
            return Checkpoint.Fingerprint(source, encoder.Config.ToJson().ToJsonString());
        });
    }

    /// <summary>The tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The sizes of the encoder; the embeddings are <see cref="T5Config.DModel"/> wide.</summary>
    public T5Config Config { get; }

    private DType Stored { get; }

    /// <summary>Opens a model's text encoder; only configs and headers are read.</summary>
    /// <param name="tokenizerFolder">The model's folder <c>tokenizer</c>.</param>
    /// <param name="encoderFolder">The model's folder <c>text_encoder</c>.</param>
    /// <param name="options">Device and type of the weights, and so of the embeddings.</param>
    /// <param name="reporter">Told if the cache can't be written; null: nobody.</param>
    /// <exception cref="SoraException">A file is missing or of another kind of model.</exception>
    public static TextEncoder Open(
        string tokenizerFolder,
        string encoderFolder,
        WeightsOptions? options = null,
        Reporter? reporter = null
    ) => new(Tokenizer.Load(tokenizerFolder), InFolder(encoderFolder), options ?? new WeightsOptions(), reporter ?? Reporter.Silent, null);

    /// <summary>Opens a model's text encoder; only configs and headers are read.</summary>
    /// <exception cref="SoraException">A file is missing or of another kind of model.</exception>
    public static TextEncoder Open(ModelFolder model, WeightsOptions options, Reporter reporter) =>
        new(model.OpenTokenizer(), (model.Part("text_encoder"), model.Config("text_encoder")), options, reporter, null);

    /// <summary>Opens a text encoder of any size with a cache.</summary>
    internal static TextEncoder OpenCached(string tokenizerFolder, string encoderFolder, EmbeddingCache cache, Reporter reporter) =>
        new(Tokenizer.Load(tokenizerFolder), InFolder(encoderFolder), new WeightsOptions(), reporter, cache);

    /// <summary>
    /// The embeddings <c>[prompts, length, D]</c>: the rows of each prompt, then rows of zeros. No gradients are recorded.
    /// </summary>
    public Tensor Encode(IReadOnlyList<string> prompts, int length)
    {
        using var scope = NewDisposeScope();
        var padded = prompts.Select(prompt =>
        {
            var rows = Rows(prompt, length);
            return functional.pad(rows, [0, 0, 0, length - rows.shape[0]]);
        });
        return stack([.. padded]).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The embeddings <c>[n, D]</c> of the tokens of one prompt with the closing <c>&lt;/s&gt;</c>, at most
    /// <paramref name="maxLength"/>, with the surplus cut off before it. No gradients are recorded.
    /// </summary>
    public Tensor Rows(string prompt, int maxLength)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (ids, mask) = Tokenizer.EncodePadded(PromptCleaner.Clean(prompt), maxLength);
        return Cached(ids[..mask.Sum()]).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the encoder's weights; the next prompt that needs them loads them again.</summary>
    public void Dispose()
    {
        loaded?.Encoder.Dispose();
        loaded?.Weights.Dispose();
        loaded = null;
    }

    private static (string Path, ConfigFile Config) InFolder(string folder) =>
        (folder, ConfigFile.Read(Path.Combine(folder, "config.json")));

    private Tensor Cached(int[] ids)
    {
        if (cache is null)
            return Run(ids);
        var type = options.DType is { } wanted ? TensorIO.StoredType(wanted) : Stored;
        var key = EmbeddingCache.Key(fingerprint.Value, type, ids);
        if (cache.Find(key) is { } known)
            return TensorIO.ToTensor(known).to(options.Device ?? CPU);
        var embedding = Run(ids);
        try
        {
            cache.Store(key, TensorIO.ToHost(embedding));
        }
        catch (SoraException error)
        {
            reporter.Warn($"the prompt's embedding could not be cached: {error.Message}");
        }
        return embedding;
    }

    /// <summary>Only real tokens: the rows of padding are replaced by zeros anyway.</summary>
    private Tensor Run(int[] ids)
    {
        if (loaded is null)
        {
            var weights = Checkpoint.Load(path, options);
            loaded = (weights, new T5Encoder(Config, weights));
        }
        using var scope = NewDisposeScope();
        var input = tensor([.. ids.Select(id => (long)id)], [1, ids.Length], int64, options.Device);
        return loaded.Value.Encoder.Forward(input).squeeze(0).MoveToOuterDisposeScope();
    }
}
