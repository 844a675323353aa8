using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>Tells the parts of a model apart by their tensors: files don't say what they are.</summary>
internal static class PartKinds
{
    /// <summary>One tensor that every file of a part has, under diffusers' names.</summary>
    private static readonly (string Part, string[] Tensors)[] Kinds =
    [
        ("transformer", ["patch_embedding.weight", "condition_embedder.time_proj.weight"]),
        ("vae", ["decoder.conv_in.weight", "post_quant_conv.weight"]),
        ("text_encoder", ["shared.weight", "encoder.final_layer_norm.weight"]),
        ("image_encoder", ["vision_model.embeddings.class_embedding"]),
        ("depth_estimator", ["backbone.embeddings.cls_token", "neck.convs.0.weight"]),
    ];

    /// <summary>The part that has these weights, by diffusers' name; null: unknown.</summary>
    public static string? Of(TensorSource weights) => Kinds.FirstOrDefault(kind => kind.Tensors.All(weights.Tensors.ContainsKey)).Part;

    /// <summary>Whether a config.json is that of a part: others may lie beside the same file.</summary>
    public static bool IsConfigOf(string part, ConfigFile config) =>
        part switch
        {
            "transformer" or "transformer_2" => config.ClassName is "WanTransformer3DModel" or "WanVACETransformer3DModel",
            "vae" => config.ClassName == "AutoencoderKLWan",
            "text_encoder" => config.Text("model_type", null) is "t5" or "umt5" or "mt5",
            "depth_estimator" => config.Text("model_type", null) == "depth_anything",
            _ => config.Text("model_type", null) == "clip_vision_model",
        };

    /// <summary>Whether it is the config of a transformer as the authors of Wan publish it.</summary>
    public static bool IsOriginalTransformer(ConfigFile config) => config.ClassName is "WanModel" or "VaceWanModel";
}
