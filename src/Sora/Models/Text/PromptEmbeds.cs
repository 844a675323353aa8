using Sora.Diffusion;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Text;

/// <summary>What a run gives the transformer besides latents and what is known.</summary>
/// <param name="Prompt">Rows [1, n, D] of the prompt.</param>
/// <param name="Negative">Rows of what guidance steers away from; null without guidance.</param>
/// <param name="Length">Rows attended to, zeros after the given ones.</param>
public sealed record PromptEmbeds(Tensor Prompt, Tensor? Negative, int Length)
{
    /// <summary>
    /// Encodes the prompts of a run. The encoder is loaded, used and freed.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">Holds the prompts; without guidance the negative one isn't looked at.</param>
    /// <param name="precision">Where and in which type.</param>
    /// <param name="reporter">Told which words the model doesn't know.</param>
    public static PromptEmbeds Encode(ModelFolder model, SamplingSettings settings, Precision precision, Reporter reporter)
    {
        using var encoder = TextEncoder.Open(model, precision.Options, reporter);
        var unknown = encoder.Tokenizer.UnknownWords(PromptCleaner.Clean(settings.Prompt));
        if (unknown.Count > 0)
            reporter.Warn($"the model doesn't know {string.Join(", ", unknown.Select(word => $"'{word}'"))}");
        Tensor Rows(string prompt) => encoder.Rows(prompt, settings.TextLength).unsqueeze(0);
        return new(Rows(settings.Prompt), settings.Guidance > 1 ? Rows(settings.Negative) : null, settings.TextLength);
    }
}
