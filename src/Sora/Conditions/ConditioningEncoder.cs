using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Conditions;

/// <summary>
/// Brings what is known into the form in which a model's network takes it. The encoders that this needs are loaded,
/// used and freed.
/// </summary>
internal sealed class ConditioningEncoder(ModelFolder model, Precision precision, SamplingSettings settings)
{
    /// <summary>How a model is told what is known.</summary>
    public static ConditioningMode ModeOf(ModelFolder model) => model switch
    {
        { Transformer.VaceLayers: not null } => ConditioningMode.Control,
        { ExpandTimesteps: true } => ConditioningMode.TokenTimesteps,
        _ when model.Transformer.InChannels > model.Transformer.OutChannels => ConditioningMode.MaskChannels,
        _ => ConditioningMode.Renoise,
    };

    /// <summary>The conditioning of a run that knows nothing.</summary>
    public EncodedConditioning Empty => new(ModeOf(model), (model.Transformer.PatchSize.Rows, model.Transformer.PatchSize.Columns)) { SceneChannels = model.Transformer.SceneChannels };

    /// <summary>What is known as the network takes it, in float32.</summary>
    /// <param name="conditioning">What is known.</param>
    /// <param name="noise">The noise of the run's start.</param>
    /// <exception cref="SoraException">The model can't be told.</exception>
    public EncodedConditioning Encode(Conditioning conditioning, Tensor noise)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var encoded = Empty.Mode switch
        {
            ConditioningMode.TokenTimesteps => Blended(Empty, conditioning),
            ConditioningMode.Renoise => Blended(Empty, conditioning) with { Noise = noise },
            ConditioningMode.MaskChannels => MaskChannels.Encode(Empty, model, settings, conditioning, precision),
            _ => new ControlVideo(model, settings, precision).Encode(Blended(Empty, conditioning with { Stills = [] }) with { Noise = noise }, conditioning),
        };
        encoded = encoded with { Exact = conditioning.Exact };
        foreach (var (_, tensor) in encoded.Tensors())
        {
            if (scope.Contains(tensor)) tensor.MoveToOuterDisposeScope();
        }
        return encoded;
    }

    /// <summary>Known latents that replace the sampler's, with each still encoded at its place.</summary>
    private EncodedConditioning Blended(EncodedConditioning encoded, Conditioning conditioning)
    {
        var shape = settings.LatentShape(model.Vae.Geometry);
        // Without a mask the known latents are only where the run starts.
        var (known, mask) = conditioning.Mask is null ? (null, null) : (conditioning.Known, conditioning.Mask);
        var (hints, shown) = (conditioning.Hints, new List<Still>());
        if (conditioning.Stills.Count > 0)
        {
            known = known?.clone() ?? zeros(shape, device: precision.Device);
            mask = mask?.clone() ?? zeros([1, 1, .. shape[2..]], device: precision.Device);
            using var weights = Weights.From(model.OpenWeights("vae"), precision.Full);
            var vae = new CausalVae(model.Vae, weights);
            foreach (var still in conditioning.Stills.Select(Resized))
            {
                var at = model.Vae.Geometry.LatentFrameOf(still.Frame);
                known.narrow(2, at, 1).copy_(Encode(vae, still));
                if (still.Frame == 0)
                {
                    mask.narrow(2, 0, 1).fill_(1);
                    continue;
                }
                hints ??= zeros_like(mask);
                hints.narrow(2, at, 1).fill_(1);
                shown.Add(still);
            }
        }
        return encoded with { Known = known, Mask = mask, Hints = hints, Stills = shown };
    }

    private Still Resized(Still still) => still with { Picture = Resample.ToSize(still.Picture, settings.Width, settings.Height, still.Fit) };

    /// <summary>A still of the video's size as one normalised latent frame: behind copies of itself, where it isn't the first.</summary>
    private Tensor Encode(CausalVae vae, Still still)
    {
        var frames = model.Vae.Geometry.VideoFrames(still.Frame == 0 ? 1 : 2);
        var pixels = Pixels.ToTensor([still.Picture], precision.Device).expand(-1, -1, frames, -1, -1);
        var latents = vae.Normalise(vae.Encode(pixels));
        return latents.narrow(2, latents.shape[2] - 1, 1);
    }
}
