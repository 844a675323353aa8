using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// Models of Wan 2.1 and 2.2 (https://arxiv.org/abs/2503.20314): text,
/// image and control to video, one transformer or two experts.
/// </summary>
public class WanModel : VideoModel
{
    private readonly Lazy<string> vaeFingerprint;

    /// <summary>Reads the configs.</summary>
    /// <exception cref="SoraException">A part is missing, or its architecture is unknown.</exception>
    public WanModel(ModelFolder files)
        : base(files)
    {
        Transformer = WanTransformerConfig.From(Config("transformer"));
        if (Has("transformer_2"))
            Transformer2 = WanTransformerConfig.From(Config("transformer_2"));
        Vae = ModelRegistry.VaeConfig(Config("vae"));
        vaeFingerprint = new Lazy<string>(() => FingerprintOf("vae", Vae.ToJson().ToJsonString()));
        var fingerprint = new Lazy<string>(Fingerprint);
        Known = CheckpointTable.Find(new ModelTraits(Name, Transformer, Experts, Reference == ModelLocator.Builtin, fingerprint));
        BoundaryRatio =
            Index.Has("boundary_ratio") ? Index.Number("boundary_ratio", 0)
            : IsLoose ? Known?.Boundary
            : null;
        // Without an index: this kind of VAE came with the transformer that was trained that way.
        ExpandTimesteps = Index.Flag("expand_timesteps", IsLoose && Vae.IsResidual);
    }

    /// <summary>Sizes of the VAE.</summary>
    public CausalVaeConfig Vae { get; }

    /// <summary>Sizes of the transformer; with two experts, of the one for high noise.</summary>
    public WanTransformerConfig Transformer { get; }

    /// <summary>Sizes of the expert for low noise, or null.</summary>
    public WanTransformerConfig? Transformer2 { get; }

    /// <inheritdoc/>
    public override KnownCheckpoint? Known { get; }

    /// <inheritdoc/>
    public override double? BoundaryRatio { get; }

    /// <summary>Whether each token has a timestep of its own (TI2V).</summary>
    public override bool ExpandTimesteps { get; }

    /// <inheritdoc/>
    public override LatentGeometry Geometry => Vae.Geometry;

    /// <inheritdoc/>
    public override (int Rows, int Columns) PatchSize => (Transformer.PatchSize.Rows, Transformer.PatchSize.Columns);

    /// <inheritdoc/>
    public override int Experts => Transformer2 is null ? 1 : 2;

    /// <inheritdoc/>
    public override bool DecodesGroups => Vae.DecodesGroups;

    /// <inheritdoc/>
    public override int NeedsPictures => Mode == ConditioningMode.MaskChannels ? PicturesSeen : 0;

    /// <summary>Pictures that CLIP looks at: the first one, or the first and the last one.</summary>
    internal int PicturesSeen => Transformer.PosEmbedSeqLen is null ? 1 : 2;

    /// <inheritdoc/>
    public override ConditioningMode Mode =>
        this switch
        {
            { Transformer.VaceLayers: not null } => ConditioningMode.Control,
            { ExpandTimesteps: true } => ConditioningMode.TokenTimesteps,
            _ when Transformer.InChannels > Transformer.OutChannels => ConditioningMode.MaskChannels,
            _ => ConditioningMode.Renoise,
        };

    /// <inheritdoc/>
    public override SamplingSettings Published =>
        this switch
        {
            // Where there is no scheduler, Wan's own program takes a shift of 5.
            { ExpandTimesteps: true } => new()
            {
                Width = 1280,
                Height = 704,
                Frames = 121,
                Window = 121,
                Fps = 24,
                Shift = 5,
            },
            { Transformer2: not null } => new()
            {
                Width = 832,
                Height = 480,
                Frames = 81,
                Guidance = 4,
                Guidance2 = 3,
                Steps = 40,
                Shift = 5,
            },
            _ => new()
            {
                Width = 832,
                Height = 480,
                Frames = 81,
                Shift = 5,
            },
        };

    /// <inheritdoc/>
    public override string Sizes =>
        $"{Transformer.NumLayers} blocks of width {Transformer.Dim}; latents of {Vae.ZDim} channels, "
        + $"one per {Vae.SpatialFactor}x{Vae.SpatialFactor} pixels and {Vae.TemporalFactor} frames";

    /// <inheritdoc/>
    public override Support Supports(Ability ability) => WanAbilities.Of(this, ability);

    /// <inheritdoc/>
    public override Tensor Normalise(Tensor raw) => Vae.Normalise(raw);

    /// <inheritdoc/>
    public override Tensor Denormalise(Tensor normalised) => Vae.Denormalise(normalised);

    /// <inheritdoc/>
    public override VideoVae OpenVae(Device device) =>
        CausalVae.Owning(Vae, Weights.From(OpenWeights("vae"), new WeightsOptions { Device = device, DType = float32 }));

    /// <inheritdoc/>
    public override PromptEmbeds EncodePrompt(SamplingSettings settings, Precision precision, Reporter reporter) =>
        PromptEmbeds.Encode(this, settings, precision, reporter);

    /// <inheritdoc/>
    public override DenoisingNetwork OpenNetwork(int expert, Precision precision, CancellationToken cancel) =>
        new WanNetwork(this, expert, precision, cancel);

    /// <inheritdoc/>
    public override IReadOnlyList<StageCost> Costs(GenerationRequest request, int calls, Precision precision) =>
        new WanCosts(this, request, precision).Stages(calls);

    /// <inheritdoc/>
    public override StageCost EncodeCost(FrameSize size, int frames, Device device) => new VaeStages(this, size, frames, device).Encode();

    /// <inheritdoc/>
    public override StageCost DecodeCost(FrameSize size, int frames, Device device) => new VaeStages(this, size, frames, device).Decode();

    /// <inheritdoc/>
    public override void Check() => WanModelCheck.Run(this);

    /// <inheritdoc/>
    public override string VaeFingerprint() => vaeFingerprint.Value;

    /// <inheritdoc/>
    public override string Fingerprint() => FingerprintOf("transformer", Transformer.ToJson().ToJsonString());

    /// <inheritdoc/>
    protected override string Approximation(Ability ability) => WanAbilities.Approximation(this, ability);

    /// <inheritdoc/>
    protected override EncodedConditioning EncodeConditions(
        Conditioning conditioning,
        SamplingSettings settings,
        Tensor noise,
        Precision precision
    )
    {
        if (Mode == ConditioningMode.MaskChannels)
            return MaskChannels.Encode(this, settings, conditioning, precision);
        if (Mode != ConditioningMode.Control)
            return base.EncodeConditions(conditioning, settings, noise, precision);
        var known = base.EncodeConditions(conditioning with { Stills = [] }, settings, noise, precision) with { Noise = noise };
        return new ControlVideo(this, settings, precision).Encode(known, conditioning);
    }

    private string FingerprintOf(string part, string config)
    {
        using var weights = OpenWeights(part);
        return Checkpoint.Fingerprint(weights, config);
    }
}
