using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// The transformer of a model, or its two experts, one in memory at a time:
/// noise levels from the boundary on belong to the first.
/// </summary>
internal sealed class DenoisingModel(VideoModel model, Precision precision, CancellationToken cancel) : IDisposable
{
    private (int Expert, DenoisingNetwork Network)? current;
    private bool isSecondSound;

    /// <summary>
    /// Checks that the weights of the expert that takes over within these calls are numbers, by reading them once: it is
    /// loaded when half of the run is done, and nobody would know sooner that something is wrong with it.
    /// </summary>
    /// <exception cref="SoraException">They aren't.</exception>
    public void RequireFinite(SamplingSettings settings, IEnumerable<float> timesteps)
    {
        if (isSecondSound || timesteps.Select(timestep => model.ExpertOf(settings, timestep)).Distinct().Count() < 2)
            return;
        using var weights = Checkpoint.Open(model.Part("transformer_2"));
        Weights.RequireFinite(weights, cancel);
        isSecondSound = true;
    }

    /// <summary>The guided model for what is known; a cache, if any, answers some of the calls.</summary>
    public Denoiser Denoiser(SamplingSettings settings, EncodedConditioning encoded, PromptEmbeds prompt, StepCache? cache = null) =>
        (latents, level) =>
        {
            var expert = model.ExpertOf(settings, level.Timestep);
            var guidance = expert == 1 ? settings.Guidance2 ?? settings.Guidance : settings.Guidance;
            Tensor Ask()
            {
                var network = Load(expert);
                network.Condition(encoded, prompt);
                return network.Velocity(latents, level, guidance);
            }
            // Another expert, or other held places, answer differently.
            var phase = 2 * expert + (encoded.HoldsHints(level) ? 1 : 0);
            return encoded.Answer(cache is null ? Ask() : cache.Velocity(latents, level.Call, phase, Ask), latents, level);
        };

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        current?.Network.Dispose();
        current = null;
    }

    private DenoisingNetwork Load(int expert)
    {
        if (current is { } loaded && loaded.Expert == expert)
            return loaded.Network;
        Dispose();
        current = (expert, model.OpenNetwork(expert, precision, cancel));
        return current.Value.Network;
    }
}
