using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Text;

/// <summary>
/// The sizes of a T5 or umT5 text encoder; every field is one of its <c>config.json</c> in the transformers layout.
/// </summary>
public sealed record T5Config
{
    /// <summary>Rows of the embedding; at least the number of ids of the tokenizer.</summary>
    public int VocabSize { get; init; } = 256384;

    /// <summary>Width of the hidden state and of the result.</summary>
    public int DModel { get; init; } = 4096;

    /// <summary>Width of one attention head.</summary>
    public int DKv { get; init; } = 64;

    /// <summary>Width of the feed-forward layer.</summary>
    public int DFf { get; init; } = 10240;

    /// <summary>Blocks.</summary>
    public int NumLayers { get; init; } = 24;

    /// <summary>Attention heads; heads times <see cref="DKv"/> need not be <see cref="DModel"/>.</summary>
    public int NumHeads { get; init; } = 64;

    /// <summary>Classes that distances between tokens fall into, half of them for each direction.</summary>
    public int RelativeAttentionNumBuckets { get; init; } = 32;

    /// <summary>From this distance on all share one class.</summary>
    public int RelativeAttentionMaxDistance { get; init; } = 128;

    /// <summary>Inside the root of the norms.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the feed-forward layer is gated by a tanh GELU (T5 1.1 and later) or has a plain ReLU (T5 1.0).</summary>
    public bool IsGated { get; init; } = true;

    /// <summary>Whether every block has a table of position biases (umT5) or all use that of the first (T5).</summary>
    public bool BiasInEveryLayer { get; init; } = true;

    /// <summary>umT5 XXL: https://huggingface.co/google/umt5-xxl/blob/main/config.json.</summary>
    public static T5Config Umt5Xxl { get; } = new();

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read or is for another kind of model.</exception>
    public static T5Config Read(string path) => From(ConfigFile.Read(path));

    internal static T5Config From(ConfigFile file)
    {
        var type = file.Text("model_type", "umt5");
        if (type is not ("t5" or "umt5" or "mt5"))
            throw SoraException.Failed($"{file.Path}: unknown text encoder {type}", "t5, mt5 and umt5 are supported");
        var projection = file.Text("feed_forward_proj", type == "t5" ? "relu" : "gated-gelu");
        if (projection is not ("gated-gelu" or "relu"))
            throw SoraException.Failed($"{file.Path}: unknown feed_forward_proj {projection}", "gated-gelu and relu are supported");
        return new T5Config
        {
            VocabSize = file.Size("vocab_size", Umt5Xxl.VocabSize),
            DModel = file.Size("d_model", Umt5Xxl.DModel),
            DKv = file.Size("d_kv", Umt5Xxl.DKv),
            DFf = file.Size("d_ff", Umt5Xxl.DFf),
            NumLayers = file.Size("num_layers", Umt5Xxl.NumLayers),
            NumHeads = file.Size("num_heads", Umt5Xxl.NumHeads),
            RelativeAttentionNumBuckets = file.Size("relative_attention_num_buckets", 32),
            RelativeAttentionMaxDistance = file.Size("relative_attention_max_distance", 128),
            LayerNormEpsilon = file.Number("layer_norm_epsilon", 1e-6),
            IsGated = projection == "gated-gelu",
            BiasInEveryLayer = type == "umt5",
        };
    }
}

/// <summary>
/// The encoder of T5 1.1 (https://arxiv.org/abs/2002.05202) and of umT5 (https://arxiv.org/abs/2304.09151): token ids to
/// hidden states. Unlike most transformers it does not scale queries, has no biases, and knows positions only by a
/// learned bias on the scores, which depends on the distance.
/// </summary>
public sealed class T5Encoder : IDisposable
{
    private readonly Weights weights;
    private readonly string embeddingName;
    private readonly Tensor? embedding;
    private readonly BlockList<Block> blocks;
    private readonly T5LayerNorm norm;

    /// <summary>
    /// Builds the encoder over <paramref name="weights"/>, which must outlive it. They say how many blocks stay in
    /// memory; unless that is all of them, the embedding rows that a prompt needs are read as well.
    /// </summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public T5Encoder(T5Config config, Weights weights)
    {
        (Config, this.weights) = (config, weights);
        // Some files have the embedding under both names; transformers always writes the first.
        embeddingName = weights.Has("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
        if (weights.Kept is null)
            embedding = weights.Get(embeddingName, Init.Normal(1), config.VocabSize, config.DModel);
        var encoder = weights.Scope("encoder");
        blocks = new(
            [.. Enumerable.Range(0, config.NumLayers).Select(i => encoder.Scope("block", i))],
            (i, part) => new Block(config, part, hasBias: i == 0 || config.BiasInEveryLayer)
        );
        norm = new T5LayerNorm(config, encoder.Scope("final_layer_norm"));
    }

    /// <summary>The sizes.</summary>
    public T5Config Config { get; }

    /// <summary>Gets the input of every block as <c>hidden_states.i</c>.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>The hidden states after the last norm, <c>[B, L, D]</c>.</summary>
    /// <param name="ids">Token ids <c>[B, L]</c>, int64.</param>
    /// <param name="mask">
    /// 1 for tokens to attend to and 0 for padding, <c>[B, L]</c>; null: all of
    /// them. Rows of padding also have values, but they mean nothing.
    /// </param>
    public Tensor Forward(Tensor ids, Tensor? mask = null)
    {
        using var scope = NewDisposeScope();
        var (batch, length) = (ids.shape[0], ids.shape[1]); // B, L
        var buckets = tensor(Buckets(length), int64, weights.Device); // [L L]
        var absent = mask?.eq(0).view(batch, 1, 1, length); // [B, 1, 1, L]

        var x = Embed(ids.reshape(-1)).view(batch, length, Config.DModel); // [B, L, D]
        Tensor? bias = null;
        for (var i = 0; i < blocks.Count; i++)
        {
            Observer?.Invoke($"hidden_states.{i}", x);
            using var input = x;
            x = blocks.Run(
                i,
                block =>
                {
                    // With 64 heads the biases of 512 tokens take 64 MB a layer: the last layer's go before the next one's come.
                    if (block.HasBias)
                    {
                        bias?.Dispose();
                        bias = block.PositionBias(buckets, length, absent); // [B or 1, H, L, L]
                    }
                    return block.Forward(input, bias!);
                }
            );
        }
        return norm.Forward(x).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The bias that layer <paramref name="layer"/> adds to the scores of <paramref name="length"/> tokens:
    /// <c>[heads, query, key]</c>.
    /// </summary>
    internal Tensor PositionBias(int layer, long length)
    {
        using var scope = NewDisposeScope();
        var buckets = tensor(Buckets(length), int64, weights.Device);
        return blocks.Run(layer, block => block.PositionBias(buckets, length, null)).squeeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>Ends the reading of blocks that don't stay in memory; the weights are the caller's to free, afterwards.</summary>
    public void Dispose() => blocks.Dispose();

    /// <summary>Rows of the embedding, <c>[n, D]</c>.</summary>
    private Tensor Embed(Tensor ids)
    {
        if (embedding is not null)
            return embedding.index_select(0, ids);
        using var host = ids.cpu();
        return weights.Rows(embeddingName, host.data<long>().ToArray(), Config.VocabSize, Config.DModel);
    }

    /// <summary>
    /// The class of a distance (key minus query): one for each small distance, then logarithmically wider ones; those of
    /// keys after the query come after all others. In float32, since some distances sit exactly on an edge.
    /// </summary>
    internal static long Bucket(long distance, T5Config config)
    {
        var half = config.RelativeAttentionNumBuckets / 2;
        var exact = half / 2;
        var side = distance > 0 ? half : 0;
        var far = Math.Abs(distance);
        if (far < exact)
            return side + far;
        var scale = (float)Math.Log((double)config.RelativeAttentionMaxDistance / exact);
        var wide = (long)(MathF.Log((float)far / exact) / scale * (half - exact));
        return side + Math.Min(half - 1, exact + wide);
    }

    /// <summary>The classes of all pairs, queries slowest.</summary>
    private long[] Buckets(long length)
    {
        var byDistance = new long[2 * length - 1];
        for (long i = 0; i < byDistance.Length; i++)
            byDistance[i] = Bucket(i - (length - 1), Config);
        var pairs = new long[length * length];
        for (long query = 0; query < length; query++)
            Array.Copy(byDistance, length - 1 - query, pairs, query * length, length);
        return pairs;
    }

    /// <summary>Self-attention and feed-forward, each on the normalised state and added to it.</summary>
    private sealed class Block
    {
        private readonly Attention attention;
        private readonly FeedForward feedForward;
        private readonly T5LayerNorm norm1,
            norm2;

        public Block(T5Config config, Weights weights, bool hasBias)
        {
            var (first, second) = (weights.Scope("layer.0"), weights.Scope("layer.1"));
            norm1 = new T5LayerNorm(config, first.Scope("layer_norm"));
            attention = new Attention(config, first.Scope("SelfAttention"), hasBias);
            norm2 = new T5LayerNorm(config, second.Scope("layer_norm"));
            feedForward = new FeedForward(config, second.Scope("DenseReluDense"));
        }

        public bool HasBias => attention.HasBias;

        public Tensor PositionBias(Tensor buckets, long length, Tensor? absent) => attention.PositionBias(buckets, length, absent);

        public Tensor Forward(Tensor x, Tensor bias)
        {
            using var scope = NewDisposeScope();
            x = x + attention.Forward(norm1.Forward(x), bias);
            return (x + feedForward.Forward(norm2.Forward(x))).MoveToOuterDisposeScope();
        }
    }

    private sealed class Attention
    {
        private readonly T5Config config;
        private readonly Tensor q,
            k,
            v,
            o;
        private readonly Tensor? relative;

        public Attention(T5Config config, Weights weights, bool hasBias)
        {
            this.config = config;
            var inner = (long)config.NumHeads * config.DKv;
            // The spread of the queries makes up for the scale that the scores don't have.
            q = weights.Get("q.weight", Init.Normal(1 / Math.Sqrt((double)config.DModel * config.DKv)), inner, config.DModel);
            k = weights.Get("k.weight", Init.Normal(1 / Math.Sqrt(config.DModel)), inner, config.DModel);
            v = weights.Get("v.weight", Init.Normal(1 / Math.Sqrt(config.DModel)), inner, config.DModel);
            o = weights.Get("o.weight", Init.Normal(1 / Math.Sqrt(inner)), config.DModel, inner);
            if (hasBias)
                relative = weights.Get(
                    "relative_attention_bias.weight",
                    Init.Normal(1 / Math.Sqrt(config.DModel)),
                    config.RelativeAttentionNumBuckets,
                    config.NumHeads
                );
        }

        public bool HasBias => relative is not null;

        public Tensor PositionBias(Tensor buckets, long length, Tensor? absent)
        {
            using var scope = NewDisposeScope();
            var bias = relative!.index_select(0, buckets).view(1, length, length, config.NumHeads).permute(0, 3, 1, 2); // [1, H, L, L]
            if (absent is not null)
                bias = bias.masked_fill(absent, double.NegativeInfinity);
            return bias.MoveToOuterDisposeScope(); // [B or 1, H, L, L]
        }

        public Tensor Forward(Tensor x, Tensor bias)
        {
            using var scope = NewDisposeScope();
            var (batch, length) = (x.shape[0], x.shape[1]); // B, L
            var scores = Functional.BatchedProduct(Heads(x, q), Heads(x, k).transpose(-2, -1)) + bias; // [B, H, L, L]
            var probabilities = scores.softmax(-1, float32).to(x.dtype); // [B, H, L, L]
            var mixed = Functional.BatchedProduct(probabilities, Heads(x, v)).transpose(1, 2); // [B, L, H, d]
            return Functional.Linear(mixed.reshape(batch, length, -1), o).MoveToOuterDisposeScope(); // [B, L, D]
        }

        private Tensor Heads(Tensor x, Tensor weight) =>
            Functional.Linear(x, weight).view(x.shape[0], x.shape[1], config.NumHeads, config.DKv).transpose(1, 2); // [B, H, L, d]
    }

    /// <summary>wo(gelu(wi_0 x) * wi_1 x), or wo(relu(wi x)).</summary>
    private sealed class FeedForward
    {
        private readonly Tensor wi,
            wo;
        private readonly Tensor? gate;

        public FeedForward(T5Config config, Weights weights)
        {
            var init = Init.Normal(1 / Math.Sqrt(config.DModel));
            if (config.IsGated)
                gate = weights.Get("wi_0.weight", init, config.DFf, config.DModel);
            wi = weights.Get(config.IsGated ? "wi_1.weight" : "wi.weight", init, config.DFf, config.DModel);
            wo = weights.Get("wo.weight", Init.Normal(1 / Math.Sqrt(config.DFf)), config.DModel, config.DFf);
        }

        public Tensor Forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var inner = Functional.Linear(x, wi); // [B, L, F]
            inner = gate is null ? inner.relu() : Functional.LinearGelu(x, gate) * inner;
            return Functional.Linear(inner, wo).MoveToOuterDisposeScope(); // [B, L, D]
        }
    }

    /// <summary>x / sqrt(mean(x^2) + eps) * w, the mean in float32.</summary>
    private sealed class T5LayerNorm(T5Config config, Weights weights)
    {
        private readonly Tensor weight = weights.Get("weight", Init.Ones, config.DModel);

        public Tensor Forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var full = x.to(float32);
            var scale = full.mul(full).mean([-1], keepdim: true).add(config.LayerNormEpsilon).rsqrt(); // [B, L, 1]
            return full.mul(scale).to(weight.dtype).mul(weight).MoveToOuterDisposeScope();
        }
    }
}
