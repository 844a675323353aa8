using System.Globalization;

namespace Sora.Models.Depth;

/// <summary>
/// The sizes of a DINOv2 backbone; every field is one of <c>backbone_config</c> in the transformers layout, and what is
/// missing there is as transformers has it.
/// </summary>
public sealed record DinoV2Config
{
    /// <summary>Width of the hidden state.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary>Layers of the checkpoint.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary>Width of the feed-forward layer, as a multiple of <see cref="HiddenSize"/>.</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Of the layer norms.</summary>
    public double LayerNormEps { get; init; } = 1e-6;

    /// <summary>Colour channels.</summary>
    public int NumChannels { get; init; } = 3;

    /// <summary>Side of the square images whose position embeddings are stored, in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Side of a patch, in pixels.</summary>
    public int PatchSize { get; init; } = 14;

    /// <summary>Whether queries, keys and values have biases.</summary>
    public bool QkvBias { get; init; } = true;

    /// <summary>Whether the features pass through the final layer norm.</summary>
    public bool ApplyLayernorm { get; init; } = true;

    /// <summary>Layers, counted from 1, whose outputs are the features; ascending.</summary>
    public IReadOnlyList<int> OutFeatures { get; init; } = [];

    /// <summary>Width of the feed-forward layer.</summary>
    public int IntermediateSize => (int)(HiddenSize * MlpRatio);

    /// <summary>Patches along a side of the stored position embeddings.</summary>
    public int Grid => ImageSize / PatchSize;

    internal static DinoV2Config From(ConfigFile file)
    {
        var fallback = new DinoV2Config();
        var type = file.Text("model_type", null);
        if (type != "dinov2")
            throw SoraException.Failed($"{file.Path}: unknown backbone {type ?? "(no backbone_config)"}", "dinov2 is supported");
        var activation = file.Text("hidden_act", "gelu");
        if (activation != "gelu" || file.Flag("use_swiglu_ffn", false))
            throw SoraException.Failed(
                $"{file.Path}: unknown feed-forward layer of the backbone ({(activation == "gelu" ? "SwiGLU" : activation)})",
                "gelu is supported"
            );
        if (file.Flag("reshape_hidden_states", false))
            throw SoraException.Failed($"{file.Path}: reshape_hidden_states is true, but the neck takes tokens");
        var config = new DinoV2Config
        {
            HiddenSize = file.Size("hidden_size", fallback.HiddenSize),
            NumHiddenLayers = file.Size("num_hidden_layers", fallback.NumHiddenLayers),
            NumAttentionHeads = file.Size("num_attention_heads", fallback.NumAttentionHeads),
            MlpRatio = file.Number("mlp_ratio", fallback.MlpRatio),
            LayerNormEps = file.Number("layer_norm_eps", fallback.LayerNormEps),
            NumChannels = file.Size("num_channels", fallback.NumChannels),
            ImageSize = file.Size("image_size", fallback.ImageSize),
            PatchSize = file.Size("patch_size", fallback.PatchSize),
            QkvBias = file.Flag("qkv_bias", fallback.QkvBias),
            ApplyLayernorm = file.Flag("apply_layernorm", fallback.ApplyLayernorm),
            OutFeatures = Stages(file),
        };
        if (config.HiddenSize % config.NumAttentionHeads != 0)
            throw SoraException.Damaged($"{file.Path}: {config.NumAttentionHeads} heads don't divide the width {config.HiddenSize}");
        if (config.ImageSize < config.PatchSize || config.IntermediateSize < 1)
            throw SoraException.Damaged(
                $"{file.Path}: no network has patch_size {config.PatchSize}, image_size {config.ImageSize} and mlp_ratio {config.MlpRatio}"
            );
        var features = config.OutFeatures;
        if (features.Any(layer => layer < 1 || layer > config.NumHiddenLayers) || !features.SequenceEqual(features.Distinct().Order()))
            throw SoraException.Damaged(
                $"{file.Path}: out_features must ascend from stage1 to stage{config.NumHiddenLayers}, found {string.Join(' ', features)}"
            );
        return config;
    }

    /// <summary>By name, or by number where there are no names: stage k is the output of layer k, counted from 1.</summary>
    private static IReadOnlyList<int> Stages(ConfigFile file)
    {
        const string Stage = "stage";
        if (!file.Has("out_features"))
            return file.Ints("out_indices", []);
        return
        [
            .. file.Texts("out_features", [])
                .Select(name =>
                    name?.StartsWith(Stage, StringComparison.Ordinal) == true
                    && int.TryParse(name[Stage.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var layer)
                        ? layer
                        : throw SoraException.Failed(
                            $"{file.Path}: unknown feature {name} in out_features",
                            "stage1, stage2 … are supported"
                        )
                ),
        ];
    }
}

/// <summary>
/// The sizes of a Depth Anything model; every field is one of its <c>config.json</c> in the transformers layout, and what is
/// missing there is as transformers has it.
/// </summary>
public sealed record DepthAnythingConfig
{
    /// <summary>The network that sees the image.</summary>
    public required DinoV2Config Backbone { get; init; }

    /// <summary>Channels of the reassembled maps, one for each feature of the backbone.</summary>
    public IReadOnlyList<int> NeckHiddenSizes { get; init; } = [48, 96, 192, 384];

    /// <summary>How much finer than the patches each map is.</summary>
    public IReadOnlyList<double> ReassembleFactors { get; init; } = [4, 2, 1, 0.5];

    /// <summary>Channels of the maps while they are fused.</summary>
    public int FusionHiddenSize { get; init; } = 64;

    /// <summary>Channels of the head at the image's resolution.</summary>
    public int HeadHiddenSize { get; init; } = 32;

    /// <summary>Whether depths are metres, larger ones farther away; else they are of an arbitrary scale, larger ones nearer.</summary>
    public bool IsMetric { get; init; }

    /// <summary>What the head's result is multiplied by: the largest depth in metres; 1 where depths are no metres.</summary>
    public double MaxDepth { get; init; } = 1;

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read, is of another kind of model, or asks for what isn't supported.</exception>
    public static DepthAnythingConfig Read(string path) => From(ConfigFile.Read(path));

    internal static DepthAnythingConfig From(ConfigFile file)
    {
        var type = file.Text("model_type", null);
        if (type != "depth_anything")
            throw SoraException.Failed($"{file.Path}: unknown depth model {type}", "depth_anything is supported");
        var estimation = file.Text("depth_estimation_type", "relative");
        if (estimation is not ("relative" or "metric"))
            throw SoraException.Failed($"{file.Path}: unknown depth_estimation_type {estimation}", "relative and metric are supported");
        var fallback = new DepthAnythingConfig { Backbone = DinoV2Config.From(file.Inner("backbone_config")) };
        var depth = file.Number("max_depth", 0);
        var config = fallback with
        {
            NeckHiddenSizes = file.Ints("neck_hidden_sizes", fallback.NeckHiddenSizes),
            ReassembleFactors = file.Numbers("reassemble_factors", fallback.ReassembleFactors),
            FusionHiddenSize = file.Size("fusion_hidden_size", fallback.FusionHiddenSize),
            HeadHiddenSize = file.Size("head_hidden_size", fallback.HeadHiddenSize),
            IsMetric = estimation == "metric",
            // transformers takes nothing and 0 as 1.
            MaxDepth = depth == 0 ? fallback.MaxDepth : depth,
        };
        config.Check(file);
        return config;
    }

    private void Check(ConfigFile file)
    {
        var (features, maps, factors) = (Backbone.OutFeatures.Count, NeckHiddenSizes.Count, ReassembleFactors.Count);
        if (maps == 0 || features != maps || factors != maps)
            throw SoraException.Damaged(
                $"{file.Path}: {features} out_features, {maps} neck_hidden_sizes and {factors} reassemble_factors aren't equally many"
            );
        if (NeckHiddenSizes.Any(channels => channels < 1) || FusionHiddenSize < 2 || !(MaxDepth > 0 && double.IsFinite(MaxDepth)))
            throw SoraException.Damaged($"{file.Path}: neck_hidden_sizes, fusion_hidden_size and max_depth must be above 0");
        if (ReassembleFactors.Any(factor => !(factor >= 1 ? factor % 1 == 0 : factor > 0)))
            throw SoraException.Damaged($"{file.Path}: reassemble_factors must be whole numbers, or between 0 and 1");
        // transformers lets the neck's sizes differ from the backbone's, and fails then.
        if (file.Size("reassemble_hidden_size", Backbone.HiddenSize) != Backbone.HiddenSize)
            throw SoraException.Damaged($"{file.Path}: reassemble_hidden_size isn't the backbone's width {Backbone.HiddenSize}");
        if (file.Size("patch_size", Backbone.PatchSize) != Backbone.PatchSize)
            throw SoraException.Damaged($"{file.Path}: patch_size isn't that of the backbone, {Backbone.PatchSize}");
        if (Backbone.NumChannels != 3)
            throw SoraException.Failed($"{file.Path}: num_channels is {Backbone.NumChannels}", "3 (RGB) is supported");
        // The last map is the finest one.
        if (file.Number("head_in_index", -1) != -1)
            throw SoraException.Failed($"{file.Path}: head_in_index isn't -1", "-1 is supported");
    }
}
