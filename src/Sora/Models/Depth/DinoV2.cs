using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Depth;

/// <summary>
/// The image encoder DINOv2 (https://arxiv.org/abs/2304.07193) as a backbone: a vision transformer of which several layers'
/// outputs are taken. Images may have any size in whole patches: its position embeddings, which are stored for a square, are
/// resampled. Not for several threads at a time.
/// </summary>
public sealed class DinoV2 : IDisposable
{
    private readonly DinoV2Config config;
    private readonly Tensor classToken,
        patches,
        patchBias,
        positions;
    private readonly Layer[] layers;
    private readonly LayerNorm norm;

    /// <summary>The positions of each size that was seen, for frames of a video come in one.</summary>
    private readonly Dictionary<(long Rows, long Columns), Tensor> resampled = [];

    /// <summary>Builds the encoder over <paramref name="weights"/>, which must outlive it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public DinoV2(DinoV2Config config, Weights weights)
    {
        this.config = config;
        var (width, side) = (config.HiddenSize, config.PatchSize);
        var embeddings = weights.Scope("embeddings");
        var projection = embeddings.Scope("patch_embeddings.projection");
        classToken = embeddings.Get("cls_token", Init.Normal(0.02), 1, 1, width);
        positions = embeddings.Get("position_embeddings", Init.Normal(0.02), 1, 1 + config.Grid * config.Grid, width);
        patches = projection.Get("weight", Init.Normal(0.02), width, config.NumChannels, side, side);
        patchBias = projection.Get("bias", Init.Zeros, width);
        layers = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(i => new Layer(config, weights.Scope("encoder.layer", i)))];
        norm = new LayerNorm(weights.Scope("layernorm"), width, config.LayerNormEps);
    }

    /// <summary>
    /// Is shown intermediate results by name: <c>position_embeddings</c>, <c>embeddings</c>, <c>layer0.attention</c>,
    /// <c>layer0.mlp</c>, <c>layer0</c> …, <c>feature_0</c> ….
    /// </summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>What each of the layers of <see cref="DinoV2Config.OutFeatures"/> gives, <c>[B, 1 + n, D]</c>, class token first.</summary>
    /// <param name="pixels">Normalised pixels <c>[B, 3, h, w]</c>, of <see cref="DepthPixels"/>.</param>
    /// <exception cref="ArgumentException">Height or width is no multiple of the patch size.</exception>
    public Tensor[] Forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var x = Embed(pixels); // [B, 1 + n, D]
        var features = new List<Tensor>();
        // No layer after the last one that is asked for.
        for (var layer = 1; layer <= config.OutFeatures[^1]; layer++)
        {
            x = layers[layer - 1].Forward(x, new Trace(Observer).Of($"layer{layer - 1}"));
            if (!config.OutFeatures.Contains(layer))
                continue;
            // The next layer may overwrite x.
            var feature = config.ApplyLayernorm ? norm.Forward(x) : x.clone();
            Observer?.Invoke($"feature_{features.Count}", feature);
            features.Add(feature);
        }
        return [.. features.Select(feature => feature.MoveToOuterDisposeScope())];
    }

    /// <summary>Frees the position embeddings that it resampled.</summary>
    public void Dispose()
    {
        foreach (var known in resampled.Values)
            known.Dispose();
        resampled.Clear();
    }

    private Tensor Embed(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var side = config.PatchSize;
        var (batch, height, width) = (pixels.shape[0], pixels.shape[2], pixels.shape[3]);
        if (height % side != 0 || width % side != 0)
            throw new ArgumentException($"{width}x{height} pixels aren't whole patches of {side}x{side}", nameof(pixels));
        var (rows, columns) = (height / side, width / side);
        var stored = Positions(rows, columns);
        Observer?.Invoke("position_embeddings", stored);
        // A convolution whose stride is its kernel's size: patches don't overlap, so it is a product.
        var x = pixels.reshape(batch, -1, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5); // [B, rows, columns, 3, p, p]
        x = Functional.Linear(x.reshape(batch, rows * columns, -1), patches.flatten(1), patchBias); // [B, n, D]
        x = cat([classToken.expand(batch, 1, -1), x], 1); // [B, 1 + n, D]
        x = Ops.AddInto(x, stored);
        Observer?.Invoke("embeddings", x);
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>The position embeddings <c>[1, 1 + n, D]</c> of an image of this many patches.</summary>
    private Tensor Positions(long rows, long columns)
    {
        var grid = config.Grid;
        if (rows == grid && columns == grid)
            return positions;
        if (resampled.TryGetValue((rows, columns), out var known))
            return known;
        using var scope = NewDisposeScope();
        var x = positions.narrow(1, 1, grid * grid).view(1, grid, grid, -1).permute(0, 3, 1, 2); // [1, D, g, g]
        // The original adds 0.1 to the new size before it is made a scale; transformers doesn't, and is followed here.
        x = functional.interpolate(x, [rows, columns], mode: InterpolationMode.Bicubic, align_corners: false); // [1, D, rows, columns]
        // The class token has no place.
        var whole = cat([positions.narrow(1, 0, 1), x.flatten(2).transpose(1, 2)], 1); // [1, 1 + n, D]
        return resampled[(rows, columns)] = whole.DetachFromDisposeScope();
    }

    private sealed class Layer
    {
        private readonly DinoV2Config config;
        private readonly LayerNorm norm1,
            norm2;
        private readonly Linear query,
            key,
            value,
            dense,
            fc1,
            fc2;
        private readonly Tensor scale1,
            scale2;

        public Layer(DinoV2Config config, Weights weights)
        {
            this.config = config;
            var (width, inner) = (config.HiddenSize, config.IntermediateSize);
            var attention = weights.Scope("attention.attention");
            norm1 = new LayerNorm(weights.Scope("norm1"), width, config.LayerNormEps);
            query = new Linear(attention.Scope("query"), width, width, config.QkvBias);
            key = new Linear(attention.Scope("key"), width, width, config.QkvBias);
            value = new Linear(attention.Scope("value"), width, width, config.QkvBias);
            dense = new Linear(weights.Scope("attention.output.dense"), width, width);
            scale1 = weights.Get("layer_scale1.lambda1", Init.Ones, width);
            norm2 = new LayerNorm(weights.Scope("norm2"), width, config.LayerNormEps);
            fc1 = new Linear(weights.Scope("mlp.fc1"), width, inner);
            fc2 = new Linear(weights.Scope("mlp.fc2"), inner, width);
            scale2 = weights.Get("layer_scale2.lambda1", Init.Ones, width);
        }

        /// <summary>The result, which may be <paramref name="x"/> itself, overwritten.</summary>
        public Tensor Forward(Tensor x, Trace trace)
        {
            using var scope = NewDisposeScope();
            var attended = Attend(norm1.Forward(x));
            trace.Show("attention", attended);
            var y = Ops.AddInto(x, attended * scale1);
            var hidden = fc2.Forward(fc1.Forward(norm2.Forward(y)).gelu_());
            trace.Show("mlp", hidden);
            y = Ops.AddInto(y, hidden * scale2);
            trace.Show("", y);
            return Ops.Leave(y, x);
        }

        private Tensor Attend(Tensor x)
        {
            var (batch, length, width) = (x.shape[0], x.shape[1], x.shape[2]);
            Tensor Heads(Linear layer) => layer.Forward(x).view(batch, length, config.NumAttentionHeads, -1).transpose(1, 2);
            var mixed = Functional.ScaledDotProductAttention(Heads(query), Heads(key), Heads(value)); // [B, H, L, d]
            return dense.Forward(mixed.transpose(1, 2).reshape(batch, length, width));
        }
    }
}
