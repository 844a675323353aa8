using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models.Text;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>A transformer in memory, as a sampler sees it: it gives the velocity of flow matching, noise - x0.</summary>
public abstract class DenoisingNetwork : IDisposable
{
    /// <summary>What is known, as of the last <see cref="Condition"/>.</summary>
    public EncodedConditioning? Conditioning { get; private set; }

    /// <summary>The prompts, as of the last <see cref="Condition"/>.</summary>
    public PromptEmbeds? Prompt { get; private set; }

    /// <summary>
    /// Takes what is known and the prompts, and computes what is the same
    /// in all steps; does nothing if it has them already.
    /// </summary>
    public void Condition(EncodedConditioning conditioning, PromptEmbeds prompt)
    {
        if (ReferenceEquals(Conditioning, conditioning) && ReferenceEquals(Prompt, prompt))
            return;
        (Conditioning, Prompt) = (conditioning, prompt);
        using var noGradient = no_grad();
        Embed(conditioning, prompt);
    }

    /// <summary>The velocity at noisy latents, float32 like these.</summary>
    /// <param name="latents">Normalised latents, with the auxiliary channels of the family, [B, C, T, h, w].</param>
    /// <param name="level">Their noise level.</param>
    /// <param name="guidance">The scale of guidance, which counts where a negative prompt is encoded.</param>
    public abstract Tensor Velocity(Tensor latents, NoiseLevel level, double guidance);

    /// <summary>Computes what is the same in all steps.</summary>
    protected abstract void Embed(EncodedConditioning conditioning, PromptEmbeds prompt);

    /// <summary>Frees the weights.</summary>
    public abstract void Dispose();
}
