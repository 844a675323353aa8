using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>
/// A model as pipelines, plans and verbs see it, whatever its family: how frames map to latents, what it can do, what it
/// costs, and its parts, which are loaded on demand. A family overrides what it does in its own way and is named in
/// <see cref="ModelRegistry"/>.
/// </summary>
/// <param name="files">Its files.</param>
public abstract class VideoModel(ModelFolder files) : ModelFolder(files)
{
    /// <summary>How frames map to latents.</summary>
    public abstract LatentGeometry Geometry { get; }

    /// <summary>Rows and columns of latents in a token: what is known or unknown as a whole.</summary>
    public virtual (int Rows, int Columns) PatchSize => (1, 1);

    /// <summary>Pixels of a token; sizes are multiples of them.</summary>
    public (int Rows, int Columns) TokenSize => (Geometry.SpatialFactor * PatchSize.Rows, Geometry.SpatialFactor * PatchSize.Columns);

    /// <summary>How the network is told what is known.</summary>
    public virtual ConditioningMode Mode => ConditioningMode.Renoise;

    /// <summary>Channels that the network makes after those of the latents; not part of the video.</summary>
    public virtual int AuxiliaryChannels => 0;

    /// <summary>Transformers that share the noise levels between them.</summary>
    public virtual int Experts => 1;

    /// <summary>Timesteps from this part of 1000 on belong to the expert for high noise; null: a single one.</summary>
    public virtual double? BoundaryRatio => null;

    /// <summary>Whether each token has a timestep of its own.</summary>
    public virtual bool ExpandTimesteps => false;

    /// <summary>
    /// Whether a latent frame and the one before it decide what it shows: then
    /// its VAE decodes a video from any place, with gradients.
    /// </summary>
    public virtual bool DecodesGroups => false;

    /// <summary>Pictures that it can't do without.</summary>
    public virtual int NeedsPictures => 0;

    /// <summary>What the table of checkpoints says about it; null: it isn't known.</summary>
    public virtual KnownCheckpoint? Known => null;

    /// <summary>Sizes, rates and guidance that its authors recommend, where neither the user nor its files say anything.</summary>
    public abstract SamplingSettings Published { get; }

    /// <summary>Its sizes, as one line for people.</summary>
    public abstract string Sizes { get; }

    /// <summary>
    /// Opens a model: a folder, a file with a transformer, a name that <see cref="ModelLocator.Installed"/> lists, or null for
    /// the built-in one.
    /// </summary>
    /// <param name="model">Path or name.</param>
    /// <param name="parts">Parts to take from elsewhere.</param>
    /// <exception cref="SoraException">There is no such model, a part is missing, or its architecture is unknown.</exception>
    public static VideoModel Open(string? model, PartPaths? parts = null) => ModelRegistry.Open(Find(model, parts));

    /// <summary>How well it can do something.</summary>
    public abstract Support Supports(Ability ability);

    /// <summary>How it approximates what it wasn't trained for.</summary>
    protected abstract string Approximation(Ability ability);

    /// <summary>What a user should know about an ability: how it is approximated, or which model can do what this one can't.</summary>
    public string? Note(Ability ability) =>
        Supports(ability) switch
        {
            Support.Native => null,
            Support.Refused => ModelRegistry.Able(ability),
            _ => Approximation(ability),
        };

    /// <summary>Normalised latents of raw ones, [B, C, T, h, w]: what network and sampler work on.</summary>
    public abstract Tensor Normalise(Tensor raw);

    /// <summary>Raw latents of normalised ones, as clips hold them.</summary>
    public abstract Tensor Denormalise(Tensor normalised);

    /// <summary>Loads the VAE.</summary>
    /// <exception cref="SoraException">Its weights are missing or broken.</exception>
    public abstract VideoVae OpenVae(Device device);

    /// <summary>Encodes the prompts of a run. What that needs is loaded, used and freed.</summary>
    public abstract PromptEmbeds EncodePrompt(SamplingSettings settings, Precision precision, Reporter reporter);

    /// <summary>Loads the transformer, or one of its <see cref="Experts"/>.</summary>
    /// <param name="expert">0, or 1 for the one for low noise.</param>
    /// <param name="precision">Where and how it computes.</param>
    /// <param name="cancel">Checked in every block.</param>
    public abstract DenoisingNetwork OpenNetwork(int expert, Precision precision, CancellationToken cancel);

    /// <summary>The conditioning of a run that knows nothing.</summary>
    public EncodedConditioning Unconditioned => new(Mode, PatchSize) { AuxiliaryChannels = AuxiliaryChannels };

    /// <summary>
    /// What is known, in the form that the network takes, in float32.
    /// Encoders that this needs are loaded, used and freed.
    /// </summary>
    /// <param name="conditioning">What is known.</param>
    /// <param name="settings">Of the run.</param>
    /// <param name="noise">The noise of the run's start.</param>
    /// <param name="precision">Where it is computed.</param>
    /// <exception cref="SoraException">The model can't use it.</exception>
    public EncodedConditioning Encode(Conditioning conditioning, SamplingSettings settings, Tensor noise, Precision precision)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var encoded = EncodeConditions(conditioning, settings, noise, precision) with { Exact = conditioning.Exact };
        foreach (var (_, tensor) in encoded.Tensors())
        {
            if (scope.Contains(tensor))
                tensor.MoveToOuterDisposeScope();
        }
        return encoded;
    }

    /// <summary>What a run needs, stage by stage, in their order; decoding is another program's, but its need is listed here.</summary>
    /// <param name="request">The run.</param>
    /// <param name="calls">Model calls of its schedule.</param>
    /// <param name="precision">Where and in which type the model computes, and how much of it stays in memory.</param>
    public abstract IReadOnlyList<StageCost> Costs(GenerationRequest request, int calls, Precision precision);

    /// <summary>What encoding a video of this many frames needs.</summary>
    public abstract StageCost EncodeCost(FrameSize size, int frames, Device device);

    /// <summary>What decoding it needs.</summary>
    public abstract StageCost DecodeCost(FrameSize size, int frames, Device device);

    /// <summary>
    /// Checks the header of every part with weights against its config, and the parts against each other. Loads torch.
    /// </summary>
    /// <exception cref="SoraException">One is missing, truncated, or of another model.</exception>
    public abstract void Check();

    /// <summary>Identifies the VAE that latents belong to: its <see cref="Checkpoint.Fingerprint"/>.</summary>
    public abstract string VaeFingerprint();

    /// <summary>Tells models of the same sizes apart: the <see cref="Checkpoint.Fingerprint"/> of the transformer.</summary>
    public abstract string Fingerprint();

    /// <summary>The same model with LoRAs merged into its transformer, and into both experts where it has two.</summary>
    /// <param name="added">Files and weights; none gives the model itself.</param>
    /// <param name="reporter">Told which tensors of the files were left out.</param>
    /// <exception cref="SoraException">A file is no LoRA, or does not fit the model.</exception>
    public VideoModel With(IReadOnlyList<LoraOption> added, Reporter reporter) => (VideoModel)Merging(added, reporter);

    /// <summary>The shape [1, C, T, h, w] of a video's latents.</summary>
    public long[] LatentShape(SamplingSettings settings) => Geometry.Shape(settings.Frames, settings.Height, settings.Width);

    /// <summary>Tokens of a video: what the transformer attends to.</summary>
    public long Tokens(SamplingSettings settings)
    {
        var shape = LatentShape(settings);
        return shape[2] * (shape[3] / PatchSize.Rows) * (shape[4] / PatchSize.Columns);
    }

    /// <summary>Which expert a timestep belongs to.</summary>
    public int ExpertOf(SamplingSettings settings, float timestep) =>
        Experts > 1 && (settings.Boundary ?? BoundaryRatio) is { } ratio && timestep < ratio * Schedule.TrainSteps ? 1 : 0;

    /// <summary>As <see cref="Encode"/>: known latents replace the sampler's, and each still is encoded at its place.</summary>
    protected virtual EncodedConditioning EncodeConditions(
        Conditioning conditioning,
        SamplingSettings settings,
        Tensor noise,
        Precision precision
    )
    {
        var encoded = StillEncoder.Blend(this, conditioning, settings, precision);
        return Mode == ConditioningMode.Renoise ? encoded with { Noise = noise } : encoded;
    }
}
