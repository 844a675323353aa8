using System.Text.Json.Nodes;
using Sora.Models.Vision;
using Sora.Models.Wan;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>
/// The config of a part from the shapes of its tensors, for files that come without one. What shapes don't tell is as in
/// the published models: heads are 128 wide, the latents' statistics are those of Wan's two VAEs, and a depth model's features come
/// from the layers that its authors chose.
/// </summary>
internal static class InferredConfig
{
    private const int HeadWidth = 128;

    /// <summary>The config of a part.</summary>
    /// <param name="part">By diffusers' name.</param>
    /// <param name="weights">Its weights, under diffusers' names.</param>
    /// <param name="heads">Heads of a transformer, where Wan's own config says; null: 128 wide.</param>
    /// <exception cref="SoraException">The shapes aren't enough; a config.json beside the file is.</exception>
    public static ConfigFile Of(string part, TensorSource weights, int? heads = null)
    {
        var kind = part == "transformer_2" ? "transformer" : part;
        if (PartKinds.Of(weights) is var found && found != kind)
            throw SoraException.Failed(
                $"{weights.Origin}: {(found is null ? "weights of an unknown architecture" : $"the weights of a {found}")}"
                    + $", not of a {kind}",
                found is not null ? $"pass a file that contains a {kind}"
                    : kind == "depth_estimator" ? "Depth Anything V2 is supported"
                    : "Wan 2.1 and 2.2 are supported"
            );
        var config = kind switch
        {
            "transformer" => Transformer(weights, heads),
            "vae" => Vae(weights),
            "text_encoder" => TextEncoder(weights),
            "depth_estimator" => DepthEstimator(weights),
            _ => ImageEncoder(weights),
        };
        return ConfigFile.Parse(weights.Origin, config.ToJsonString());
    }

    private static JsonObject Transformer(TensorSource weights, int? given)
    {
        var patch = Shape(weights, "patch_embedding.weight");
        var dim = patch[0];
        if (given is null && dim % HeadWidth != 0)
            throw Unclear(weights, $"heads of {HeadWidth} don't divide its width {dim}");
        var heads = given ?? dim / HeadWidth;
        var layers = Count(weights, "blocks");
        var hints = Count(weights, "vace_blocks");
        const string image = "condition_embedder.image_embedder";
        return new JsonObject
        {
            ["_class_name"] = hints == 0 ? "WanTransformer3DModel" : "WanVACETransformer3DModel",
            ["patch_size"] = new JsonArray(patch[2], patch[3], patch[4]),
            ["num_attention_heads"] = heads,
            ["attention_head_dim"] = dim / heads,
            ["in_channels"] = patch[1],
            ["out_channels"] = Shape(weights, "proj_out.weight")[0] / (patch[2] * patch[3] * patch[4]),
            ["text_dim"] = Shape(weights, "condition_embedder.text_embedder.linear_1.weight")[1],
            ["freq_dim"] = Shape(weights, "condition_embedder.time_embedder.linear_1.weight")[1],
            ["ffn_dim"] = Shape(weights, "blocks.0.ffn.net.0.proj.weight")[0],
            ["num_layers"] = layers,
            ["cross_attn_norm"] = weights.Tensors.ContainsKey("blocks.0.norm2.weight"),
            ["image_dim"] = Size(weights, $"{image}.norm1.weight", 0),
            ["added_kv_proj_dim"] = Size(weights, "blocks.0.attn2.add_k_proj.weight", 1),
            ["pos_embed_seq_len"] = Size(weights, $"{image}.pos_embed", 1),
            ["vace_in_channels"] = Size(weights, "vace_patch_embedding.weight", 1),
            // Control blocks are spread evenly.
            ["vace_layers"] =
                hints == 0 ? null : new JsonArray([.. Enumerable.Range(0, hints).Select(i => JsonValue.Create(i * (layers / hints)))]),
        };
    }

    private static JsonObject Vae(TensorSource weights)
    {
        var isResidual = weights.Tensors.Keys.Any(name => name.StartsWith("decoder.up_blocks.0.upsampler.", StringComparison.Ordinal));
        var stages = Count(weights, "decoder.up_blocks");
        var residuals = Count(weights, "decoder.up_blocks.0.resnets");
        long Width(int stage) => Shape(weights, $"decoder.up_blocks.{stage}.resnets.{residuals - 1}.conv2.weight")[0];
        bool Doubles(int stage) =>
            weights.Tensors.ContainsKey($"decoder.up_blocks.{stage}.{(isResidual ? "upsampler" : "upsamplers.0")}.time_conv.weight");
        var (first, input) = (Width(stages - 1), Shape(weights, "encoder.conv_in.weight"));
        var channels = Shape(weights, "post_quant_conv.weight")[0];
        var statistics =
            channels == CausalVaeConfig.Wan21.ZDim ? CausalVaeConfig.Wan21
            : channels == CausalVaeConfig.Wan22.ZDim ? CausalVaeConfig.Wan22
            : throw Unclear(weights, $"the mean and deviation of its {channels} latent channels are unknown");
        return new JsonObject
        {
            ["_class_name"] = "AutoencoderKLWan",
            ["base_dim"] = input[0],
            ["decoder_base_dim"] = first == input[0] ? null : first,
            ["z_dim"] = channels,
            ["dim_mult"] = List(Enumerable.Range(0, stages).Select(stage => Width(stages - 1 - stage) / first)),
            ["num_res_blocks"] = residuals - 1,
            ["attn_scales"] = new JsonArray(),
            ["temperal_downsample"] = List(Enumerable.Range(0, stages - 1).Select(stage => Doubles(stages - 2 - stage))),
            ["is_residual"] = isResidual,
            ["in_channels"] = input[1],
            ["out_channels"] = Shape(weights, "decoder.conv_out.weight")[0],
            ["patch_size"] = (int)Math.Sqrt(input[1] / 3.0),
            ["latents_mean"] = List(statistics.LatentsMean),
            ["latents_std"] = List(statistics.LatentsStd),
        };
    }

    private static JsonObject TextEncoder(TensorSource weights)
    {
        const string attention = "encoder.block.0.layer.0.SelfAttention";
        var table = Shape(weights, "shared.weight");
        var bias = Shape(weights, $"{attention}.relative_attention_bias.weight");
        var layers = Count(weights, "encoder.block");
        var isGated = weights.Tensors.ContainsKey("encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
        var hasBiases = layers == 1 || weights.Tensors.ContainsKey("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight");
        return new JsonObject
        {
            ["model_type"] = hasBiases ? "umt5" : "t5",
            ["vocab_size"] = table[0],
            ["d_model"] = table[1],
            ["d_kv"] = Shape(weights, $"{attention}.q.weight")[0] / bias[1],
            ["d_ff"] = Shape(weights, "encoder.block.0.layer.1.DenseReluDense.wo.weight")[1],
            ["num_layers"] = layers,
            ["num_heads"] = bias[1],
            ["relative_attention_num_buckets"] = bias[0],
            ["feed_forward_proj"] = isGated ? "gated-gelu" : "relu",
        };
    }

    private static JsonObject ImageEncoder(TensorSource weights)
    {
        const string embeddings = "vision_model.embeddings";
        var patch = Shape(weights, $"{embeddings}.patch_embedding.weight");
        var places = Shape(weights, $"{embeddings}.position_embedding.weight")[0];
        var published = new ClipVisionConfig();
        if (patch[0] != published.HiddenSize)
            throw Unclear(weights, $"the number of heads of an image encoder of width {patch[0]} is unknown");
        return new JsonObject
        {
            ["model_type"] = "clip_vision_model",
            ["hidden_size"] = patch[0],
            ["num_channels"] = patch[1],
            ["patch_size"] = patch[2],
            ["image_size"] = (long)Math.Round(Math.Sqrt(places - 1)) * patch[2],
            ["intermediate_size"] = Shape(weights, "vision_model.encoder.layers.0.mlp.fc1.weight")[0],
            ["num_hidden_layers"] = Count(weights, "vision_model.encoder.layers"),
            ["num_attention_heads"] = published.NumAttentionHeads,
            ["hidden_act"] = "gelu",
        };
    }

    private static JsonObject DepthEstimator(TensorSource weights)
    {
        const string backbone = "backbone",
            neck = "neck";
        const int headWidth = 64;
        var patch = Shape(weights, $"{backbone}.embeddings.patch_embeddings.projection.weight");
        var (width, layers) = (patch[0], Count(weights, $"{backbone}.encoder.layer"));
        // Small and Base, and Large.
        int[] features = (width, layers) switch
        {
            (384 or 768, 12) => [3, 6, 9, 12],
            (1024, 24) => [5, 12, 18, 24],
            _ => throw Unclear(weights, $"which layers' features to take of {layers} layers of width {width} is unknown"),
        };
        var (isMetric, depth) = LargestDepth(weights);
        return new JsonObject
        {
            ["model_type"] = "depth_anything",
            ["backbone_config"] = new JsonObject
            {
                ["model_type"] = "dinov2",
                ["hidden_size"] = width,
                ["num_hidden_layers"] = layers,
                ["num_attention_heads"] = width / headWidth,
                ["num_channels"] = patch[1],
                ["patch_size"] = patch[2],
                ["image_size"] =
                    (long)Math.Round(Math.Sqrt(Shape(weights, $"{backbone}.embeddings.position_embeddings")[1] - 1)) * patch[2],
                ["out_features"] = List(features.Select(layer => $"stage{layer}")),
            },
            ["neck_hidden_sizes"] = List(
                features.Select((_, i) => Shape(weights, $"{neck}.reassemble_stage.layers.{i}.projection.weight")[0])
            ),
            ["fusion_hidden_size"] = Shape(weights, $"{neck}.convs.0.weight")[0],
            ["head_hidden_size"] = Shape(weights, "head.conv2.weight")[0],
            ["depth_estimation_type"] = isMetric ? "metric" : "relative",
            ["max_depth"] = depth,
        };
    }

    /// <summary>
    /// Whether a depth model gives metres, and up to how many: its tensors are the same either way, so the names tell by which
    /// its authors publish it. So it is with their first version, which takes other features.
    /// </summary>
    private static (bool IsMetric, int Depth) LargestDepth(TensorSource weights)
    {
        var name = Path.GetFileName(weights.Origin).ToLowerInvariant();
        if (name.StartsWith("depth_anything_vit", StringComparison.Ordinal))
            throw Unclear(weights, "by its name it is the first Depth Anything, not V2");
        if (!name.Contains("metric"))
            return (false, 1);
        return name.Contains("hypersim") ? (true, 20)
            : name.Contains("vkitti") ? (true, 80)
            : throw Unclear(weights, "the largest depth of this metric model is unknown");
    }

    private static long[] Shape(TensorSource weights, string name) => weights.Info(name).Shape;

    private static long? Size(TensorSource weights, string name, int axis) =>
        weights.Tensors.TryGetValue(name, out var tensor) ? tensor.Shape[axis] : null;

    /// <summary>How many numbered parts there are below a name.</summary>
    private static int Count(TensorSource weights, string list) =>
        weights
            .Tensors.Keys.Where(name => name.StartsWith($"{list}.", StringComparison.Ordinal))
            .Select(name =>
                int.TryParse(name.AsSpan(list.Length + 1, name.AsSpan(list.Length + 1).IndexOf('.')), out var number) ? number + 1 : 0
            )
            .DefaultIfEmpty(0)
            .Max();

    private static JsonArray List<T>(IEnumerable<T> values) => [.. values.Select(value => JsonValue.Create(value))];

    private static SoraException Unclear(TensorSource weights, string what) =>
        SoraException.Failed($"{weights.Origin}: {what}", "put the model's config.json next to the file");
}
