using System.Text.RegularExpressions;

namespace Sora.Models.Checkpoints;

/// <summary>
/// Wan's own names (https://github.com/Wan-Video/Wan2.1, Wan2.2), which ComfyUI and GGUF files keep, llama.cpp's of the text
/// encoder, and those of Depth Anything.
/// </summary>
internal static partial class KeyMaps
{
    private static readonly (string, string)[] Attention =
    [
        ("q", "to_q"),
        ("k", "to_k"),
        ("v", "to_v"),
        ("o", "to_out.0"),
        ("norm_q", "norm_q"),
        ("norm_k", "norm_k"),
        ("k_img", "add_k_proj"),
        ("v_img", "add_v_proj"),
        ("norm_k_img", "norm_added_k"),
    ];

    /// <summary>The transformer. The original numbers norms as they are defined: its norm3 is the second one in use.</summary>
    public static readonly KeyMap Transformer = new([
        ("head.modulation", "scale_shift_table"),
        ("head.head", "proj_out"),
        ("patch_embedding", "patch_embedding"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
        ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
        ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
        ("vace_patch_embedding", "vace_patch_embedding"),
        .. Block("blocks.{i}."),
        .. Block("vace_blocks.{i}."),
        ("vace_blocks.{i}.before_proj", "vace_blocks.{i}.proj_in"),
        ("vace_blocks.{i}.after_proj", "vace_blocks.{i}.proj_out"),
    ]);

    /// <summary>The text encoder in Wan's own file. gate goes through the activation, fc1 does not.</summary>
    public static readonly KeyMap TextEncoder = new(TextEncoderNames.Select(name => (name.Original, name.Ours)));

    /// <summary>The text encoder in llama.cpp's GGUF.</summary>
    public static readonly KeyMap TextEncoderGguf = new(TextEncoderNames.Select(name => (name.Gguf, name.Ours)));

    private static (string Original, string Gguf, string Ours)[] TextEncoderNames =>
        [
            ("token_embedding", "token_embd", "shared"),
            ("norm", "enc.output_norm", "encoder.final_layer_norm"),
            ("blocks.{i}.attn.q", "enc.blk.{i}.attn_q", "encoder.block.{i}.layer.0.SelfAttention.q"),
            ("blocks.{i}.attn.k", "enc.blk.{i}.attn_k", "encoder.block.{i}.layer.0.SelfAttention.k"),
            ("blocks.{i}.attn.v", "enc.blk.{i}.attn_v", "encoder.block.{i}.layer.0.SelfAttention.v"),
            ("blocks.{i}.attn.o", "enc.blk.{i}.attn_o", "encoder.block.{i}.layer.0.SelfAttention.o"),
            (
                "blocks.{i}.pos_embedding.embedding",
                "enc.blk.{i}.attn_rel_b",
                "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias"
            ),
            ("blocks.{i}.norm1", "enc.blk.{i}.attn_norm", "encoder.block.{i}.layer.0.layer_norm"),
            ("blocks.{i}.ffn.gate.0", "enc.blk.{i}.ffn_gate", "encoder.block.{i}.layer.1.DenseReluDense.wi_0"),
            ("blocks.{i}.ffn.fc1", "enc.blk.{i}.ffn_up", "encoder.block.{i}.layer.1.DenseReluDense.wi_1"),
            ("blocks.{i}.ffn.fc2", "enc.blk.{i}.ffn_down", "encoder.block.{i}.layer.1.DenseReluDense.wo"),
            ("blocks.{i}.norm2", "enc.blk.{i}.ffn_norm", "encoder.block.{i}.layer.1.layer_norm"),
        ];

    /// <summary>
    /// CLIP's image encoder in Wan's own file (<c>models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth</c>), which has the
    /// queries, keys and values of a layer in one tensor.
    /// </summary>
    public static readonly KeyMap ImageEncoder = new([
        ("visual.cls_embedding", ClassEmbedding),
        ("visual.patch_embedding", "vision_model.embeddings.patch_embedding"),
        ("visual.pos_embedding", Positions),
        ("visual.pre_norm", "vision_model.pre_layrnorm"),
        ("visual.post_norm", "vision_model.post_layernorm"),
        ("visual.transformer.{i}.norm1", "vision_model.encoder.layers.{i}.layer_norm1"),
        ("visual.transformer.{i}.attn.to_qkv", $"vision_model.encoder.layers.{{i}}.self_attn{FusedProjection[..^1]}"),
        ("visual.transformer.{i}.attn.proj", "vision_model.encoder.layers.{i}.self_attn.out_proj"),
        ("visual.transformer.{i}.norm2", "vision_model.encoder.layers.{i}.layer_norm2"),
        ("visual.transformer.{i}.mlp.0", "vision_model.encoder.layers.{i}.mlp.fc1"),
        ("visual.transformer.{i}.mlp.2", "vision_model.encoder.layers.{i}.mlp.fc2"),
    ]);

    /// <summary>
    /// Depth Anything's own names (https://github.com/DepthAnything/Depth-Anything-V2), and transformers'. The original numbers what
    /// fuses the maps from the finest one on, transformers in the order of computation.
    /// </summary>
    public static readonly KeyMap DepthEstimator = new([
        ("pretrained.cls_token", "backbone.embeddings.cls_token"),
        ("pretrained.mask_token", "backbone.embeddings.mask_token"),
        ("pretrained.pos_embed", "backbone.embeddings.position_embeddings"),
        ("pretrained.patch_embed.proj", "backbone.embeddings.patch_embeddings.projection"),
        ("pretrained.blocks.{i}.norm1", "backbone.encoder.layer.{i}.norm1"),
        ("pretrained.blocks.{i}.attn.qkv", $"backbone.encoder.layer.{{i}}.attention{FusedAttention[..^1]}"),
        ("pretrained.blocks.{i}.attn.proj", "backbone.encoder.layer.{i}.attention.output.dense"),
        ("pretrained.blocks.{i}.ls1.gamma", "backbone.encoder.layer.{i}.layer_scale1.lambda1"),
        ("pretrained.blocks.{i}.norm2", "backbone.encoder.layer.{i}.norm2"),
        ("pretrained.blocks.{i}.mlp.fc1", "backbone.encoder.layer.{i}.mlp.fc1"),
        ("pretrained.blocks.{i}.mlp.fc2", "backbone.encoder.layer.{i}.mlp.fc2"),
        ("pretrained.blocks.{i}.ls2.gamma", "backbone.encoder.layer.{i}.layer_scale2.lambda1"),
        ("pretrained.norm", "backbone.layernorm"),
        .. Enumerable.Range(0, DepthMaps).SelectMany(DepthMap),
        ("depth_head.scratch.output_conv1", "head.conv1"),
        ("depth_head.scratch.output_conv2.0", "head.conv2"),
        ("depth_head.scratch.output_conv2.2", "head.conv3"),
    ]);

    /// <summary>
    /// Queries, keys and values that lie in one tensor: what stands in a name for the three, and theirs, in the order in which it
    /// holds them.
    /// </summary>
    public static readonly IReadOnlyList<(string Name, IReadOnlyList<string> Parts)> Fused =
    [
        (FusedProjection, [".q_proj.", ".k_proj.", ".v_proj."]),
        (FusedAttention, [".attention.query.", ".attention.key.", ".attention.value."]),
    ];

    private const string FusedProjection = ".qkv_proj.";
    private const string FusedAttention = ".attention.qkv.";
    private const int DepthMaps = 4;

    private const string ClassEmbedding = "vision_model.embeddings.class_embedding";
    private const string Positions = "vision_model.embeddings.position_embedding.weight";

    /// <summary>How many sizes one of our tensors has where the original has extra ones of 1 in front; null for any other.</summary>
    public static int? RankOf(string ours) =>
        ours switch
        {
            ClassEmbedding => 1,
            Positions => 2,
            _ => null,
        };

    /// <summary>
    /// The VAE of Wan 2.1: flat lists of layers, of which the decoder's
    /// become up blocks of three residuals and a sampler.
    /// </summary>
    public static string? Vae21(string name)
    {
        if (EncoderLayer().Match(name) is { Success: true } down)
            return $"encoder.down_blocks.{down.Groups[1].Value}.{Layer(down.Groups[2].Value)}";
        if (DecoderLayer().Match(name) is not { Success: true } up)
            return VaeEnds(name);
        var number = int.Parse(up.Groups[1].Value);
        var (block, within) = (number / 4, number % 4);
        return $"decoder.up_blocks.{block}.{(within == 3 ? "upsamplers.0" : $"resnets.{within}")}.{Layer(up.Groups[2].Value)}";
    }

    /// <summary>The VAE of Wan 2.2: lists within lists, the sampler last in each.</summary>
    public static string? Vae22(string name)
    {
        if (NestedLayer().Match(name) is not { Success: true } nested)
            return VaeEnds(name);
        var (side, block, within, rest) = (nested.Groups[1].Value, nested.Groups[2].Value, nested.Groups[3].Value, nested.Groups[4].Value);
        var direction = side == "encoder" ? "down" : "up";
        var isSampler = rest.StartsWith("resample.", StringComparison.Ordinal) || rest.StartsWith("time_conv.", StringComparison.Ordinal);
        return $"{side}.{direction}_blocks.{block}.{(isSampler ? $"{direction}sampler" : $"resnets.{within}")}.{Layer(rest)}";
    }

    /// <summary>What both kinds of VAE have at the ends and in the middle.</summary>
    private static string? VaeEnds(string name)
    {
        if (name.StartsWith("conv1.", StringComparison.Ordinal))
            return "quant_conv." + name[6..];
        if (name.StartsWith("conv2.", StringComparison.Ordinal))
            return "post_quant_conv." + name[6..];
        if (VaeEnd().Match(name) is not { Success: true } end)
            return null;
        var (side, part, rest) = (end.Groups[1].Value, end.Groups[2].Value, end.Groups[3].Value);
        return part switch
        {
            "conv1" => $"{side}.conv_in.{rest}",
            "head.0" => $"{side}.norm_out.{rest}",
            "head.2" => $"{side}.conv_out.{rest}",
            "middle.0" => $"{side}.mid_block.resnets.0.{Layer(rest)}",
            "middle.1" => $"{side}.mid_block.attentions.0.{rest}",
            "middle.2" => $"{side}.mid_block.resnets.1.{Layer(rest)}",
            _ => null,
        };
    }

    /// <summary>Inside a residual; samplers keep their names.</summary>
    private static string Layer(string name) =>
        name.Replace("residual.0.", "norm1.")
            .Replace("residual.2.", "conv1.")
            .Replace("residual.3.", "norm2.")
            .Replace("residual.6.", "conv2.")
            .Replace("shortcut.", "conv_shortcut.");

    private static IEnumerable<(string, string)> Block(string at) =>
        [
            (at + "modulation", at + "scale_shift_table"),
            (at + "norm3", at + "norm2"),
            (at + "ffn.0", at + "ffn.net.0.proj"),
            (at + "ffn.2", at + "ffn.net.2"),
            .. Attention.Select(name => ($"{at}self_attn.{name.Item1}", $"{at}attn1.{name.Item2}")),
            .. Attention.Select(name => ($"{at}cross_attn.{name.Item1}", $"{at}attn2.{name.Item2}")),
        ];

    /// <summary>What Depth Anything does to one of its maps, the finest being number 0.</summary>
    private static IEnumerable<(string, string)> DepthMap(int index)
    {
        var (theirs, ours) = ($"depth_head.scratch.refinenet{index + 1}", $"neck.fusion_stage.layers.{DepthMaps - 1 - index}");
        return
        [
            ($"depth_head.projects.{index}", $"neck.reassemble_stage.layers.{index}.projection"),
            ($"depth_head.resize_layers.{index}", $"neck.reassemble_stage.layers.{index}.resize"),
            ($"depth_head.scratch.layer{index + 1}_rn", $"neck.convs.{index}"),
            ($"{theirs}.out_conv", $"{ours}.projection"),
            .. from unit in (int[])[1, 2]
            from convolution in (int[])[1, 2]
            select ($"{theirs}.resConfUnit{unit}.conv{convolution}", $"{ours}.residual_layer{unit}.convolution{convolution}"),
        ];
    }

    [GeneratedRegex(@"^encoder\.downsamples\.(\d+)\.(.+)$")]
    private static partial Regex EncoderLayer();

    [GeneratedRegex(@"^decoder\.upsamples\.(\d+)\.(.+)$")]
    private static partial Regex DecoderLayer();

    [GeneratedRegex(@"^(encoder|decoder)\.(?:down|up)samples\.(\d+)\.(?:down|up)samples\.(\d+)\.(.+)$")]
    private static partial Regex NestedLayer();

    [GeneratedRegex(@"^(encoder|decoder)\.(conv1|head\.\d|middle\.\d)\.(.+)$")]
    private static partial Regex VaeEnd();
}
