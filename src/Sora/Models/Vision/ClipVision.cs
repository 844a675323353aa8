using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Vision;

/// <summary>
/// The sizes of a CLIP image encoder; every field is one of its <c>config.json</c> in the transformers layout.
/// The defaults are those of CLIP ViT-H/14, which image-to-video models use.
/// </summary>
public sealed record ClipVisionConfig
{
    /// <summary>Width of the hidden state and of the result.</summary>
    public int HiddenSize { get; init; } = 1280;

    /// <summary>Width of the feed-forward layer.</summary>
    public int IntermediateSize { get; init; } = 5120;

    /// <summary>Layers of the checkpoint; all but the last are run.</summary>
    public int NumHiddenLayers { get; init; } = 32;

    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 16;

    /// <summary>Colour channels.</summary>
    public int NumChannels { get; init; } = 3;

    /// <summary>Side of the images, in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Side of a patch, in pixels.</summary>
    public int PatchSize { get; init; } = 14;

    /// <summary>Of the layer norms.</summary>
    public double LayerNormEps { get; init; } = 1e-5;

    /// <summary>Whether the activation is x sigmoid(1.702 x) (OpenAI's own CLIP) or the exact GELU.</summary>
    public bool IsQuickGelu { get; init; }

    /// <summary>Tokens of an image: the class token and the patches.</summary>
    public int Tokens => 1 + ImageSize / PatchSize * (ImageSize / PatchSize);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read or is for another kind of model.</exception>
    public static ClipVisionConfig Read(string path) => From(ConfigFile.Read(path));

    internal static ClipVisionConfig From(ConfigFile file)
    {
        var fallback = new ClipVisionConfig();
        var type = file.Text("model_type", "clip_vision_model");
        if (type != "clip_vision_model")
            throw SoraException.Failed($"{file.Path}: unknown image encoder {type}", "clip_vision_model is supported");
        var activation = file.Text("hidden_act", "quick_gelu");
        if (activation is not ("gelu" or "quick_gelu"))
            throw SoraException.Failed($"{file.Path}: unknown hidden_act {activation}", "gelu and quick_gelu are supported");
        var config = new ClipVisionConfig
        {
            HiddenSize = file.Size("hidden_size", fallback.HiddenSize),
            IntermediateSize = file.Size("intermediate_size", fallback.IntermediateSize),
            NumHiddenLayers = file.Size("num_hidden_layers", fallback.NumHiddenLayers),
            NumAttentionHeads = file.Size("num_attention_heads", fallback.NumAttentionHeads),
            NumChannels = file.Size("num_channels", fallback.NumChannels),
            ImageSize = file.Size("image_size", fallback.ImageSize),
            PatchSize = file.Size("patch_size", fallback.PatchSize),
            LayerNormEps = file.Number("layer_norm_eps", fallback.LayerNormEps),
            IsQuickGelu = activation == "quick_gelu",
        };
        if (config.HiddenSize % config.NumAttentionHeads != 0)
            throw SoraException.Damaged($"{file.Path}: {config.NumAttentionHeads} heads don't divide the width {config.HiddenSize}");
        return config;
    }
}

/// <summary>
/// The image encoder of CLIP (https://arxiv.org/abs/2103.00020) as image-to-video models use it: a vision transformer
/// whose result is the output of the second to last layer, without a final norm.
/// </summary>
public sealed class ClipVision
{
    private readonly ClipVisionConfig config;
    private readonly Tensor classEmbedding,
        patches,
        positions;
    private readonly LayerNorm norm;
    private readonly Layer[] layers;

    /// <summary>Builds the encoder over <paramref name="weights"/>, which must outlive it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public ClipVision(ClipVisionConfig config, Weights weights)
    {
        this.config = config;
        var vision = weights.Scope("vision_model");
        var embeddings = vision.Scope("embeddings");
        classEmbedding = embeddings.Get("class_embedding", Init.Normal(0.02), config.HiddenSize);
        patches = embeddings.Get(
            "patch_embedding.weight",
            Init.Normal(0.02),
            config.HiddenSize,
            config.NumChannels,
            config.PatchSize,
            config.PatchSize
        );
        positions = embeddings.Get("position_embedding.weight", Init.Normal(0.02), config.Tokens, config.HiddenSize);
        // The published files spell it this way.
        norm = new LayerNorm(vision.Scope("pre_layrnorm"), config.HiddenSize, config.LayerNormEps);
        layers = [.. Enumerable.Range(0, config.NumHiddenLayers - 1).Select(i => new Layer(config, vision.Scope("encoder.layers", i)))];
    }

    /// <summary>Gets intermediate results by name.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>The hidden state <c>[B, 1 + n, D]</c>, class token first.</summary>
    /// <param name="pixels">Normalised pixels <c>[B, 3, S, S]</c>, of <see cref="ClipPixels"/>.</param>
    public Tensor Forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var batch = pixels.shape[0];
        var stride = new long[] { config.PatchSize, config.PatchSize };
        var x = Functional.Conv2d(pixels.to(patches.dtype), patches, stride: stride).flatten(2).transpose(1, 2); // [B, n, D]
        x = cat([classEmbedding.expand(batch, 1, -1), x], 1) + positions; // [B, 1 + n, D]
        Observer?.Invoke("embeddings", x);
        x = norm.Forward(x);
        Observer?.Invoke("pre_layrnorm", x);
        for (var i = 0; i < layers.Length; i++)
        {
            x = layers[i].Forward(x, new Trace(Observer).Of($"layer{i}"));
            Observer?.Invoke($"layer{i}", x);
        }
        return x.MoveToOuterDisposeScope();
    }

    private sealed class Layer
    {
        private readonly ClipVisionConfig config;
        private readonly LayerNorm norm1,
            norm2;
        private readonly Linear q,
            k,
            v,
            o,
            fc1,
            fc2;

        public Layer(ClipVisionConfig config, Weights weights)
        {
            this.config = config;
            var (width, inner) = (config.HiddenSize, config.IntermediateSize);
            var attention = weights.Scope("self_attn");
            norm1 = new LayerNorm(weights.Scope("layer_norm1"), config.HiddenSize, config.LayerNormEps);
            q = new Linear(attention.Scope("q_proj"), width, width);
            k = new Linear(attention.Scope("k_proj"), width, width);
            v = new Linear(attention.Scope("v_proj"), width, width);
            o = new Linear(attention.Scope("out_proj"), width, width);
            norm2 = new LayerNorm(weights.Scope("layer_norm2"), config.HiddenSize, config.LayerNormEps);
            fc1 = new Linear(weights.Scope("mlp.fc1"), width, inner);
            fc2 = new Linear(weights.Scope("mlp.fc2"), inner, width);
        }

        public Tensor Forward(Tensor x, Trace trace)
        {
            using var scope = NewDisposeScope();
            var attended = Attend(norm1.Forward(x));
            trace.Show("self_attn", attended);
            x = x + attended;
            var hidden = fc1.Forward(norm2.Forward(x)); // [B, L, F]
            hidden = fc2.Forward(config.IsQuickGelu ? hidden * hidden.mul(1.702).sigmoid() : hidden.gelu()); // [B, L, D]
            trace.Show("mlp", hidden);
            return (x + hidden).MoveToOuterDisposeScope();
        }

        private Tensor Attend(Tensor x)
        {
            var (batch, length, width) = (x.shape[0], x.shape[1], x.shape[2]); // B, L, D
            Tensor Heads(Linear layer) => layer.Forward(x).view(batch, length, config.NumAttentionHeads, -1).transpose(1, 2);
            var mixed = Functional.ScaledDotProductAttention(Heads(q), Heads(k), Heads(v)); // [B, H, L, d]
            return o.Forward(mixed.transpose(1, 2).reshape(batch, length, width)); // [B, L, D]
        }
    }
}
