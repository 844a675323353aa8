using System.Text.Json.Nodes;
using Sora.Diffusion;
using Sora.Models.Depth;
using Sora.Models.Mini;
using Sora.Models.Wan;

namespace Sora.Training;

/// <summary>
/// The sizes of the small model: of the Wan 2.2 TI2V kind, small enough to train and run on two cores. A head of 48
/// gives 16 rotary entries to each axis.
/// </summary>
internal static class MiniPreset
{
    /// <summary>Rows of text that the transformer attends to; captions of the synthetic world have up to about 45 words.</summary>
    public const int TextLength = 64;

    private const int TextDim = 128;

    /// <summary>
    /// How the model is sampled: in half of the steps noise is more than twelve times the signal, which is where the layout
    /// is settled.
    /// </summary>
    public const double FlowShift = 12,
        Guidance = 4;

    private const int LatentChannels = 96;

    /// <summary>16x16x4 compression to 96 channels by principal components, and 1.1 million parameters that refine it.</summary>
    public static CausalVaeConfig Vae { get; } =
        new BlockVaeConfig
        {
            BaseDim = 96,
            ZDim = LatentChannels,
            DimMult = [1, 1, 1],
            NumResBlocks = 4,
            TemporalDownsample = [true, true],
            InChannels = 48,
            OutChannels = 48,
            PatchSize = 4,
            LatentsMean = [.. Enumerable.Repeat(0.0, LatentChannels)],
            LatentsStd = [.. Enumerable.Repeat(1.0, LatentChannels)],
        };

    /// <summary>
    /// One token per latent pixel; 8.5 million parameters. Latents, scene and its noise level are 183 numbers, and a token has
    /// 288 channels.
    /// </summary>
    public static WanTransformerConfig Transformer { get; } =
        new()
        {
            PatchSize = (1, 1, 1),
            NumAttentionHeads = 6,
            AttentionHeadDim = 48,
            InChannels = LatentChannels,
            OutChannels = LatentChannels,
            TextDim = TextDim,
            FreqDim = 128,
            FfnDim = 1152,
            NumLayers = 6,
        };

    /// <summary>The config.json of a two-layer encoder of the umT5 kind for a vocabulary.</summary>
    public static JsonObject TextConfig(int vocabulary) =>
        new()
        {
            ["architectures"] = new JsonArray("UMT5EncoderModel"),
            ["model_type"] = "umt5",
            ["d_model"] = TextDim,
            ["d_kv"] = 32,
            ["d_ff"] = 256,
            ["num_layers"] = 2,
            ["num_heads"] = 4,
            ["vocab_size"] = vocabulary,
            ["feed_forward_proj"] = "gated-gelu",
            ["is_gated_act"] = true,
            ["dense_act_fn"] = "gelu_new",
            ["layer_norm_epsilon"] = 1e-6,
            ["relative_attention_num_buckets"] = 32,
            ["relative_attention_max_distance"] = 128,
            ["pad_token_id"] = 0,
            ["eos_token_id"] = 1,
        };

    /// <summary>Writes model_index.json and the scheduler's config.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="vae">The VAE's sizes.</param>
    /// <param name="preconditioning">How the transformer's answer becomes a velocity; null: it is one.</param>
    /// <param name="distilled">Whether one pass does what guidance does in two.</param>
    public static void WriteIndex(string folder, CausalVaeConfig vae, Preconditioning? preconditioning, bool distilled)
    {
        ModelParts.Write(
            Path.Combine(folder, "model_index.json"),
            new JsonObject
            {
                ["_class_name"] = "WanPipeline",
                ["_diffusers_version"] = "0.35.0",
                ["_sora"] = new JsonObject
                {
                    ["steps"] = 8,
                    ["guidance"] = distilled ? 1.0 : Guidance,
                    ["shift"] = FlowShift,
                    ["fps"] = 16,
                    ["size"] = "128x128",
                    ["frames"] = 33,
                    ["window"] = 65,
                    ["text_length"] = TextLength,
                },
                ["boundary_ratio"] = null,
                ["expand_timesteps"] = true,
                ["scheduler"] = new JsonArray("diffusers", "UniPCMultistepScheduler"),
                ["text_encoder"] = new JsonArray("transformers", "UMT5EncoderModel"),
                ["tokenizer"] = new JsonArray("transformers", "T5TokenizerFast"),
                ["transformer"] = new JsonArray("diffusers", "WanTransformer3DModel"),
                ["transformer_2"] = new JsonArray(null, null),
                ["vae"] = new JsonArray("diffusers", vae.ClassName),
            }
        );
        // It measures latents of the VAE, whatever transformer makes them.
        if (Directory.Exists(Path.Combine(folder, LatentDepthHead.Part)))
            ModelParts.List(folder, LatentDepthHead.Part, LatentDepthConfig.Class);
        Directory.CreateDirectory(Path.Combine(folder, "scheduler"));
        ModelParts.Write(
            Path.Combine(folder, "scheduler", "scheduler_config.json"),
            new JsonObject
            {
                ["_class_name"] = "UniPCMultistepScheduler",
                ["flow_shift"] = FlowShift,
                ["num_train_timesteps"] = 1000,
                ["prediction_type"] = preconditioning is null ? SchedulerConfig.Flow : Preconditioning.PredictionType,
                ["first_latents_variance"] = Numbers(preconditioning?.First),
                ["latents_variance"] = Numbers(preconditioning?.Later),
                ["open_variance"] = preconditioning is { OpenVariance: < double.PositiveInfinity and var open } ? open : null,
                ["solver_order"] = 2,
                ["solver_type"] = "bh2",
                ["predict_x0"] = true,
                ["use_flow_sigmas"] = true,
            }
        );
    }

    private static JsonArray? Numbers(IReadOnlyList<double>? values) =>
        values is null ? null : new JsonArray([.. values.Select(v => (JsonNode)Math.Round(v, 6))]);
}
