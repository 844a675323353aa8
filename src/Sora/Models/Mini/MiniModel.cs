using Sora.Conditions;
using Sora.Models.Wan;
using Sora.Nn;

namespace Sora.Models.Mini;

/// <summary>
/// Models that <c>sora train</c> makes, <c>mini</c> among them: Wan's transformer with a timestep for each token, trained
/// on known parts anywhere, whose output may be <see cref="Preconditioning">preconditioned</see>, and which may make a
/// scene along with the video: what is where.
/// </summary>
public sealed class MiniModel : WanModel
{
    /// <summary>Reads the configs.</summary>
    /// <exception cref="SoraException">A part is missing, or its architecture is unknown.</exception>
    public MiniModel(ModelFolder files)
        : base(files)
    {
        if (SchedulerPath is not { } path)
            return;
        Preconditioning = Preconditioning.Read(ConfigFile.Read(path), Transformer.SceneChannels);
        if (Preconditioning is { } p && (p.First.Count != Transformer.OutChannels || p.Later.Count != Transformer.OutChannels))
        {
            throw SoraException.Failed(
                $"{path}: {p.First.Count} first_latents_variance "
                    + $"and {p.Later.Count} latents_variance for {Transformer.OutChannels} channels",
                "it belongs to another model; train it or download it again"
            );
        }
        if (Preconditioning is { } known && !(known.OpenVariance > 0))
        {
            throw SoraException.Failed(
                $"{path}: an open_variance of {known.OpenVariance}",
                "it must be above 0; train the model or download it again"
            );
        }
    }

    /// <summary>Whether files are such a model's: <c>sora train</c> made them, or the output is preconditioned.</summary>
    public static bool Claims(ModelFolder files) =>
        files.IsTrainedHere
        || files.SchedulerPath is { } path
            && File.Exists(path)
            && ConfigFile.Read(path).Text("prediction_type", null) == Preconditioning.PredictionType;

    /// <summary>How the transformer's answer becomes a velocity; null: it is one.</summary>
    public Preconditioning? Preconditioning { get; }

    /// <summary>The channels of its scenes.</summary>
    public override int AuxiliaryChannels => Transformer.SceneChannels;

    /// <inheritdoc/>
    public override string Sizes =>
        base.Sizes + (Transformer.SceneChannels > 0 ? $", and {Transformer.SceneChannels} channels for what is where" : "");

    /// <summary>It takes known parts anywhere, as it was trained to.</summary>
    public override Support Supports(Ability ability) =>
        Mode != ConditioningMode.TokenTimesteps ? base.Supports(ability)
        : ability == Ability.Control ? Support.Refused
        : Support.Native;

    /// <inheritdoc/>
    public override DenoisingNetwork OpenNetwork(int expert, Precision precision, CancellationToken cancel) =>
        new MiniNetwork(this, expert, precision, cancel);
}
