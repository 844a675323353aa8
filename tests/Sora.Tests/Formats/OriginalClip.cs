using Sora.Tensors;

namespace Sora.Tests.Formats;

/// <summary>
/// A CLIP as Wan's own <c>models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth</c> has it: names and shapes of
/// https://github.com/Wan-Video/Wan2.1/blob/main/wan/modules/clip.py, and its other half, which reads text, beside the image encoder.
/// </summary>
internal static class OriginalClip
{
    /// <summary>Writes the image encoder that <paramref name="ours"/> holds under the names of transformers.</summary>
    public static void Write(string path, TensorSource ours) => TorchArchive.Write(path, Tensors(ours));

    /// <summary>The tensors of such a file, the layers' queries, keys and values in one.</summary>
    public static IReadOnlyList<KeyValuePair<string, HostTensor>> Tensors(TensorSource ours)
    {
        const string embeddings = "vision_model.embeddings.",
            layers = "vision_model.encoder.layers.";
        var tensors = new List<KeyValuePair<string, HostTensor>>();
        HostTensor Of(string name) => ours.Copy($"vision_model.{name}");
        void Add(string name, HostTensor tensor, params long[] shape) =>
            tensors.Add(new($"visual.{name}", shape.Length == 0 ? tensor : new HostTensor(tensor.DType, shape, tensor.Data)));
        void Both(string theirs, string name)
        {
            Add($"{theirs}.weight", Of($"{name}.weight"));
            Add($"{theirs}.bias", Of($"{name}.bias"));
        }

        var (places, width) = (
            ours.Info($"{embeddings}position_embedding.weight").Shape[0],
            ours.Info($"{embeddings}class_embedding").Shape[0]
        );
        Add("cls_embedding", Of("embeddings.class_embedding"), 1, 1, width);
        Add("pos_embedding", Of("embeddings.position_embedding.weight"), 1, places, width);
        Add("head", HostTensor.FromFloats(new float[width * 2], [width, 2]));
        Add("patch_embedding.weight", Of("embeddings.patch_embedding.weight"));
        Both("pre_norm", "pre_layrnorm");
        for (var i = 0; ours.Tensors.ContainsKey($"{layers}{i}.layer_norm1.weight"); i++)
        {
            var (to, from) = ($"transformer.{i}", $"encoder.layers.{i}");
            Both($"{to}.norm1", $"{from}.layer_norm1");
            foreach (var kind in (string[])["weight", "bias"])
            {
                HostTensor[] three = [.. "qkv".Select(part => Of($"{from}.self_attn.{part}_proj.{kind}"))];
                Add(
                    $"{to}.attn.to_qkv.{kind}",
                    new HostTensor(three[0].DType, [3 * width, .. three[0].Shape[1..]], [.. three.SelectMany(part => part.Data)])
                );
            }
            Both($"{to}.attn.proj", $"{from}.self_attn.out_proj");
            Both($"{to}.norm2", $"{from}.layer_norm2");
            Both($"{to}.mlp.0", $"{from}.mlp.fc1");
            Both($"{to}.mlp.2", $"{from}.mlp.fc2");
        }
        Both("post_norm", "post_layernorm");
        tensors.Add(new("textual.token_embedding.weight", HostTensor.FromFloats(new float[2 * width], [2, width])));
        tensors.Add(new("textual.blocks.0.attn.q.weight", HostTensor.FromFloats([1], [1, 1])));
        tensors.Add(new("log_scale", HostTensor.FromFloats([2.66f], [])));
        return tensors;
    }
}
