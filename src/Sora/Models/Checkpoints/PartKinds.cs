using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>Tells the parts of a model apart by their tensors, for files do not say what they are.</summary>
internal static class PartKinds
{
    /// <summary>One tensor that every file of a part has, under diffusers' names.</summary>
    private static readonly (string Part, string[] Tensors)[] Kinds =
    [
        ("transformer", ["patch_embedding.weight", "condition_embedder.time_proj.weight"]),
        ("vae", ["decoder.conv_in.weight", "post_quant_conv.weight"]),
        ("text_encoder", ["shared.weight", "encoder.final_layer_norm.weight"]),
        ("image_encoder", ["vision_model.embeddings.class_embedding"]),
    ];

    /// <summary>The part that these are the weights of, by diffusers' name; null: none that is known.</summary>
    public static string? Of(TensorSource weights) =>
        Kinds.FirstOrDefault(kind => kind.Tensors.All(weights.Tensors.ContainsKey)).Part;
}
