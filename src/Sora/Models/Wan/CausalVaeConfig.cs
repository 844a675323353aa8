using System.Text.Json.Nodes;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// The sizes of a causal video VAE (diffusers' AutoencoderKLWan); every field is one of its <c>config.json</c>.
/// </summary>
public record CausalVaeConfig
{
    /// <summary>Width of the encoder's first stage.</summary>
    public int BaseDim { get; init; } = 96;

    /// <summary>Width of the decoder's last stage; null: as the encoder's first.</summary>
    public int? DecoderBaseDim { get; init; }

    /// <summary>Latent channels.</summary>
    public int ZDim { get; init; } = 16;

    /// <summary>Widths of the stages, in units of the base width; space halves after each but the last.</summary>
    public IReadOnlyList<int> DimMult { get; init; } = [1, 2, 4, 4];

    /// <summary>Residual blocks in an encoder stage; a decoder stage has one more.</summary>
    public int NumResBlocks { get; init; } = 2;

    /// <summary>Scales (1, 1/2, 1/4, …) at which the flat encoder attends after each residual block.</summary>
    public IReadOnlyList<double> AttnScales { get; init; } = [];

    /// <summary>Which of the encoder's down steps also halve time (<c>temperal_downsample</c>, spelled like that).</summary>
    public IReadOnlyList<bool> TemporalDownsample { get; init; } = [false, true, true];

    /// <summary>Whether stages have average and duplication shortcuts (the 2.2 kind).</summary>
    public bool IsResidual { get; init; }

    /// <summary>Channels that the encoder sees: 3 times the square of the patch size.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels that the decoder gives, before unfolding.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Side of the squares of pixels folded into channels before the encoder; 1 is none.</summary>
    public int PatchSize { get; init; } = 1;

    /// <summary>Mean of each latent channel.</summary>
    public IReadOnlyList<double> LatentsMean { get; init; } = Wan21Mean;

    /// <summary>Standard deviation of each latent channel.</summary>
    public IReadOnlyList<double> LatentsStd { get; init; } = Wan21Std;

    /// <summary>How frames map to latents.</summary>
    public LatentGeometry Geometry => new(ZDim, TemporalFactor, SpatialFactor);

    /// <summary>Pixels a side of one latent pixel.</summary>
    public int SpatialFactor => PatchSize << (DimMult.Count - 1);

    /// <summary>Frames of one latent frame, except the first.</summary>
    public int TemporalFactor => 1 << TemporalDownsample.Count(halves => halves);

    /// <summary>Whether a latent frame and the one before it decide what it shows.</summary>
    public virtual bool DecodesGroups => false;

    /// <summary>Latents on each side of one that affect what it shows, for a VAE that <see cref="DecodesGroups"/>.</summary>
    public virtual int Reach => 0;

    /// <summary>(raw - mean) / std for each channel of [B, z, T, h, w]: what the transformer and the sampler work on.</summary>
    public Tensor Normalise(Tensor raw)
    {
        using var scope = NewDisposeScope();
        var (mean, reciprocal) = Statistics(raw);
        return raw.sub(mean).mul(reciprocal).MoveToOuterDisposeScope();
    }

    /// <summary>The raw latents of normalised ones.</summary>
    public Tensor Denormalise(Tensor normalised)
    {
        using var scope = NewDisposeScope();
        var (mean, reciprocal) = Statistics(normalised);
        return normalised.div(reciprocal).add(mean).MoveToOuterDisposeScope();
    }

    private (Tensor Mean, Tensor Reciprocal) Statistics(Tensor like)
    {
        Tensor Channels(IReadOnlyList<double> values) =>
            tensor(values.Select(value => (float)value).ToArray(), float32).to(like.dtype, like.device).view(1, -1, 1, 1, 1);
        return (Channels(LatentsMean), Channels(LatentsStd).reciprocal());
    }

    // csharpier-ignore
    private static readonly double[] Wan21Mean =
    [
        -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
        0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
    ];

    // csharpier-ignore
    private static readonly double[] Wan21Std =
    [
        2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
        3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
    ];

    // csharpier-ignore
    private static readonly double[] Wan22Mean =
    [
        -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
        0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
        -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
        -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
    ];

    // csharpier-ignore
    private static readonly double[] Wan22Std =
    [
        0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
        0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
        0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
        0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
    ];

    /// <summary>
    /// The VAE of Wan 2.1 and of the Wan 2.2 A14B models:
    /// https://huggingface.co/Wan-AI/Wan2.1-T2V-14B-Diffusers/blob/main/vae/config.json.
    /// </summary>
    public static CausalVaeConfig Wan21 { get; } = new();

    /// <summary>
    /// The VAE of Wan 2.2 TI2V-5B, 16x16x4:
    /// https://huggingface.co/Wan-AI/Wan2.2-TI2V-5B-Diffusers/blob/main/vae/config.json.
    /// </summary>
    public static CausalVaeConfig Wan22 { get; } =
        new()
        {
            BaseDim = 160,
            DecoderBaseDim = 256,
            ZDim = 48,
            IsResidual = true,
            InChannels = 12,
            OutChannels = 12,
            PatchSize = 2,
            LatentsMean = Wan22Mean,
            LatentsStd = Wan22Std,
        };

    /// <summary>Fills in the fields of a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">They contradict each other.</exception>
    internal CausalVaeConfig With(ConfigFile file)
    {
        var fallback = Wan21;
        var config = this with
        {
            BaseDim = file.Size("base_dim", fallback.BaseDim),
            DecoderBaseDim = file.Size("decoder_base_dim"),
            ZDim = file.Size("z_dim", fallback.ZDim),
            DimMult = file.Ints("dim_mult", fallback.DimMult),
            NumResBlocks = file.Size("num_res_blocks", fallback.NumResBlocks),
            AttnScales = file.Numbers("attn_scales", fallback.AttnScales),
            TemporalDownsample = file.Flags("temperal_downsample", fallback.TemporalDownsample),
            IsResidual = file.Flag("is_residual", false),
            InChannels = file.Size("in_channels", fallback.InChannels),
            OutChannels = file.Size("out_channels", fallback.OutChannels),
            PatchSize = file.Size("patch_size", 1),
            LatentsMean = file.Numbers("latents_mean", fallback.LatentsMean),
            LatentsStd = file.Numbers("latents_std", fallback.LatentsStd),
        };
        config.Check(
            (holds, what) =>
            {
                if (!holds)
                    throw SoraException.Failed($"{file.Path}: {what}");
            }
        );
        return config;
    }

    /// <summary>The <c>config.json</c> that diffusers reads.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = ClassName,
            ["attn_scales"] = List(AttnScales),
            ["base_dim"] = BaseDim,
            ["decoder_base_dim"] = DecoderBaseDim,
            ["dim_mult"] = List(DimMult),
            ["dropout"] = 0.0,
            ["in_channels"] = InChannels,
            ["is_residual"] = IsResidual,
            ["latents_mean"] = List(LatentsMean),
            ["latents_std"] = List(LatentsStd),
            ["num_res_blocks"] = NumResBlocks,
            ["out_channels"] = OutChannels,
            ["patch_size"] = PatchSize == 1 ? null : PatchSize,
            ["scale_factor_spatial"] = SpatialFactor,
            ["scale_factor_temporal"] = TemporalFactor,
            ["temperal_downsample"] = List(TemporalDownsample),
            ["z_dim"] = ZDim,
        };

    /// <summary>The class that configs name.</summary>
    internal virtual string ClassName => "AutoencoderKLWan";

    /// <summary>The network that encodes.</summary>
    internal virtual IVaeNetwork NewEncoder(Weights weights) => new VaeEncoderNetwork(this, weights);

    /// <summary>The network that decodes.</summary>
    internal virtual IVaeNetwork NewDecoder(Weights weights) => new VaeDecoderNetwork(this, weights);

    private static JsonArray List<T>(IEnumerable<T> values) => [.. values.Select(value => JsonValue.Create(value))];

    /// <summary>Demands that the sizes fit each other.</summary>
    /// <param name="demand">Throws where something doesn't hold.</param>
    private protected virtual void Check(Action<bool, string> demand)
    {
        demand(BaseDim > 0 && ZDim > 0 && NumResBlocks > 0 && PatchSize > 0, "sizes must be positive");
        demand(DimMult.Count > 0 && DimMult.All(mult => mult > 0), "dim_mult must list positive widths");
        demand(TemporalDownsample.Count == DimMult.Count - 1, "temperal_downsample needs one entry for each stage but the last");
        demand(
            InChannels == 3 * PatchSize * PatchSize && OutChannels == InChannels,
            "in_channels and out_channels must be 3 times the square of patch_size"
        );
        demand(!IsResidual || ShortcutsDivide(), "the widths of neighbouring stages don't fit the shortcuts of a residual VAE");
        demand(LatentsMean.Count == ZDim && LatentsStd.Count == ZDim, $"latents_mean and latents_std need {ZDim} entries");
    }

    /// <summary>
    /// Shortcuts average whole groups of channels on the way down and repeat channels whole times on the way up, so one
    /// width has to divide the other's cells.
    /// </summary>
    private bool ShortcutsDivide()
    {
        for (var stage = 0; stage < DimMult.Count; stage++)
        {
            var isLast = stage == DimMult.Count - 1;
            var cell =
                isLast ? 1
                : TemporalDownsample[stage] ? 8
                : 4;
            var before = stage == 0 ? 1 : DimMult[stage - 1];
            if (before * cell % DimMult[stage] != 0)
                return false;

            // The decoder's stages are the encoder's in reverse; its last has no shortcut.
            if (isLast)
                continue;
            var (from, to) = (stage == 0 ? DimMult[^1] : DimMult[^stage], DimMult[DimMult.Count - 1 - stage]);
            var upCell = TemporalDownsample[TemporalDownsample.Count - 1 - stage] ? 8 : 4;
            if (to * upCell % from != 0)
                return false;
        }
        return true;
    }
}
