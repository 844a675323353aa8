using System.Text.Json.Nodes;

namespace Sora.Models.Wan;

/// <summary>
/// The sizes of a Wan transformer (diffusers' WanTransformer3DModel and WanVACETransformer3DModel); every field is
/// one of its <c>config.json</c>.
/// </summary>
public sealed record WanTransformerConfig
{
    /// <summary>Latent frames, rows and columns of a token.</summary>
    public (int Frames, int Rows, int Columns) PatchSize { get; init; } = (1, 2, 2);

    /// <summary>Heads.</summary>
    public int NumAttentionHeads { get; init; } = 40;

    /// <summary>Width of a head.</summary>
    public int AttentionHeadDim { get; init; } = 128;

    /// <summary>Channels of the input: latents, and mask and condition where the model has them.</summary>
    public int InChannels { get; init; } = 16;

    /// <summary>Channels of the result.</summary>
    public int OutChannels { get; init; } = 16;

    /// <summary>Width of the text encoder's rows.</summary>
    public int TextDim { get; init; } = 4096;

    /// <summary>Width of the sinusoid of the timestep.</summary>
    public int FreqDim { get; init; } = 256;

    /// <summary>Inner width of the feed-forward layers.</summary>
    public int FfnDim { get; init; } = 13824;

    /// <summary>Blocks.</summary>
    public int NumLayers { get; init; } = 40;

    /// <summary>Whether cross attention has a norm of its own.</summary>
    public bool CrossAttnNorm { get; init; } = true;

    /// <summary>Epsilon of the norms, except those of the image embedder.</summary>
    public double Eps { get; init; } = 1e-6;

    /// <summary>Width of the image encoder's rows; null: the model takes no image.</summary>
    public int? ImageDim { get; init; }

    /// <summary>Width of the image rows in cross attention; null: none.</summary>
    public int? AddedKvProjDim { get; init; }

    /// <summary>Positions of the image rows of first and last frame together; null: none.</summary>
    public int? PosEmbedSeqLen { get; init; }

    /// <summary>Blocks after which a control hint is added (VACE); null: the model takes no control video.</summary>
    public IReadOnlyList<int>? VaceLayers { get; init; }

    /// <summary>
    /// Channels after the latents that say what is where in the video, and are made along with it; 0: none. In the input
    /// one more channel follows them: their noise level.
    /// </summary>
    public int SceneChannels { get; init; }

    /// <summary>Channels of the latents that it makes.</summary>
    public int LatentChannels => OutChannels - SceneChannels;

    /// <summary>Channels of the control video.</summary>
    public int VaceInChannels { get; init; } = 96;

    /// <summary>Width of the tokens.</summary>
    public int Dim => NumAttentionHeads * AttentionHeadDim;

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B-Diffusers.</summary>
    public static WanTransformerConfig Wan21T2V1_3B { get; } =
        new()
        {
            NumAttentionHeads = 12,
            FfnDim = 8960,
            NumLayers = 30,
        };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-T2V-14B-Diffusers; each expert of Wan2.2-T2V-A14B has the same sizes.</summary>
    public static WanTransformerConfig Wan21T2V14B { get; } = new();

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-I2V-14B-480P-Diffusers.</summary>
    public static WanTransformerConfig Wan21I2V14B { get; } =
        new()
        {
            InChannels = 36,
            ImageDim = 1280,
            AddedKvProjDim = 5120,
        };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers.</summary>
    public static WanTransformerConfig Wan21Flf2V14B { get; } = Wan21I2V14B with { PosEmbedSeqLen = 514 };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-VACE-1.3B-diffusers.</summary>
    public static WanTransformerConfig Wan21Vace1_3B { get; } =
        Wan21T2V1_3B with
        {
            VaceLayers = [.. Enumerable.Range(0, 15).Select(i => 2 * i)],
        };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.1-VACE-14B-diffusers.</summary>
    public static WanTransformerConfig Wan21Vace14B { get; } =
        Wan21T2V14B with
        {
            VaceLayers = [.. Enumerable.Range(0, 8).Select(i => 5 * i)],
        };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.2-TI2V-5B-Diffusers.</summary>
    public static WanTransformerConfig Wan22TI2V5B { get; } =
        new()
        {
            NumAttentionHeads = 24,
            InChannels = 48,
            OutChannels = 48,
            FfnDim = 14336,
            NumLayers = 30,
        };

    /// <summary>https://huggingface.co/Wan-AI/Wan2.2-I2V-A14B-Diffusers, each expert.</summary>
    public static WanTransformerConfig Wan22I2VA14B { get; } = new() { InChannels = 36 };

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read, or describes another architecture.</exception>
    public static WanTransformerConfig Read(string path) => From(ConfigFile.Read(path));

    internal static WanTransformerConfig From(ConfigFile file)
    {
        var isVace = file.ClassName == "WanVACETransformer3DModel";
        if (!isVace && file.ClassName is { } name && name != "WanTransformer3DModel")
            throw SoraException.Failed(
                $"{file.Path}: unknown transformer class {name}",
                "WanTransformer3DModel and WanVACETransformer3DModel are supported"
            );
        if (file.Text("qk_norm", "rms_norm_across_heads") is { } norm && norm != "rms_norm_across_heads")
            throw SoraException.Failed($"{file.Path}: unknown qk_norm {norm}", "rms_norm_across_heads is supported");
        var fallback = new WanTransformerConfig();
        var patch = file.Ints("patch_size", [1, 2, 2]);
        if (patch.Count != 3 || patch.Any(side => side < 1))
            throw SoraException.Failed($"{file.Path}: patch_size needs three entries of 1 or more");
        var inChannels = file.Size("in_channels", fallback.InChannels);
        var config = new WanTransformerConfig
        {
            PatchSize = (patch[0], patch[1], patch[2]),
            NumAttentionHeads = file.Size("num_attention_heads", fallback.NumAttentionHeads),
            AttentionHeadDim = file.Size("attention_head_dim", fallback.AttentionHeadDim),
            InChannels = inChannels,
            OutChannels = file.Size("out_channels", file.Has("in_channels") ? inChannels : fallback.OutChannels),
            TextDim = file.Size("text_dim", fallback.TextDim),
            FreqDim = file.Size("freq_dim", fallback.FreqDim),
            FfnDim = file.Size("ffn_dim", fallback.FfnDim),
            NumLayers = file.Size("num_layers", fallback.NumLayers),
            CrossAttnNorm = file.Flag("cross_attn_norm", fallback.CrossAttnNorm),
            Eps = file.Number("eps", fallback.Eps),
            ImageDim = file.Size("image_dim"),
            AddedKvProjDim = file.Size("added_kv_proj_dim"),
            PosEmbedSeqLen = file.Size("pos_embed_seq_len"),
            VaceLayers = isVace ? file.Ints("vace_layers", [0, 5, 10, 15, 20, 25, 30, 35]) : null,
            VaceInChannels = file.Size("vace_in_channels", fallback.VaceInChannels),
            SceneChannels = file.Size("scene_channels") ?? 0,
        };
        if (
            config.SceneChannels > 0
            && (config.LatentChannels < 1 || config.InChannels != config.OutChannels + 1 || config.PatchSize != (1, 1, 1))
        )
            throw SoraException.Failed(
                $"{file.Path}: scene_channels {config.SceneChannels} needs more out_channels, "
                    + "one more in_channels than those, and patches of 1"
            );
        if (config.AttentionHeadDim % 2 != 0)
            throw SoraException.Failed($"{file.Path}: attention_head_dim must be even");
        if (config.VaceLayers?.Any(layer => layer < 0 || layer >= config.NumLayers) == true)
            throw SoraException.Failed($"{file.Path}: vace_layers lists a block that doesn't exist");
        return config;
    }

    /// <summary>The <c>config.json</c> that diffusers reads.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["_class_name"] = VaceLayers is null ? "WanTransformer3DModel" : "WanVACETransformer3DModel",
            ["added_kv_proj_dim"] = AddedKvProjDim,
            ["attention_head_dim"] = AttentionHeadDim,
            ["cross_attn_norm"] = CrossAttnNorm,
            ["eps"] = Eps,
            ["ffn_dim"] = FfnDim,
            ["freq_dim"] = FreqDim,
            ["image_dim"] = ImageDim,
            ["in_channels"] = InChannels,
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_layers"] = NumLayers,
            ["out_channels"] = OutChannels,
            ["patch_size"] = new JsonArray(PatchSize.Frames, PatchSize.Rows, PatchSize.Columns),
            ["pos_embed_seq_len"] = PosEmbedSeqLen,
            ["qk_norm"] = "rms_norm_across_heads",
            ["rope_max_seq_len"] = 1024,
            ["text_dim"] = TextDim,
        };
        if (SceneChannels > 0)
            json["scene_channels"] = SceneChannels;
        if (VaceLayers is null)
            return json;
        json["vace_in_channels"] = VaceInChannels;
        json["vace_layers"] = new JsonArray([.. VaceLayers.Select(layer => JsonValue.Create(layer))]);
        return json;
    }
}
