using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// The transformer of a model, or its two experts of which one is in memory at a time, behind guidance: noise levels
/// from the boundary on belong to the first.
/// </summary>
internal sealed class DenoisingModel(ModelFolder model, Precision precision, CancellationToken cancel) : IDisposable
{
    private Loaded? current;
    private bool isSecondSound;

    /// <summary>Which expert a timestep belongs to.</summary>
    public static int Of(ModelFolder model, SamplingSettings settings, float timestep)
    {
        var boundary = settings.Boundary ?? model.BoundaryRatio;
        return model.Transformer2 is not null && boundary is { } ratio && timestep < ratio * Schedule.TrainSteps ? 1 : 0;
    }

    /// <summary>
    /// Asks of the expert that takes over within these calls that its weights are numbers, by reading them once: it is loaded
    /// when half of the run is behind, and what is wrong with it would be known no sooner.
    /// </summary>
    /// <exception cref="SoraException">They aren't.</exception>
    public void RequireFinite(SamplingSettings settings, IEnumerable<float> timesteps)
    {
        if (isSecondSound || timesteps.Select(timestep => Of(model, settings, timestep)).Distinct().Count() < 2) return;
        using var weights = Checkpoint.Open(model.Part("transformer_2"));
        Weights.RequireFinite(weights, cancel);
        isSecondSound = true;
    }

    /// <summary>The guided model for what is known; with a cache, which answers some of the calls.</summary>
    public Denoiser Denoiser(SamplingSettings settings, EncodedConditioning encoded, PromptEmbeds text, StepCache? cache = null) => (latents, level) =>
    {
        var index = Of(model, settings, level.Timestep);
        Tensor Ask() => Guided(Load(index, encoded, text), settings, encoded.Input(latents, level), level);
        // Another expert, or other places that are held, answer in another way.
        var phase = 2 * index + (encoded.HoldsHints(level) ? 1 : 0);
        return encoded.Answer(cache is null ? Ask() : cache.Velocity(latents, level.Call, phase, Ask), latents, level);
    };

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        current?.Dispose();
        current = null;
    }

    /// <summary>The guided answer, of two passes; that of one where the scale is at most 1.</summary>
    private Tensor Guided(Loaded expert, SamplingSettings settings, TransformerInput input, NoiseLevel level)
    {
        var scale = expert.Index == 1 ? settings.Guidance2 ?? settings.Guidance : settings.Guidance;
        var conditioned = Pass(expert, input, expert.Prompt);
        if (expert.Negative is null) return Velocity(conditioned, input, level);
        var unconditioned = Pass(expert, input, expert.Negative);
        return Velocity(Samplers.Guided(unconditioned, conditioned, scale, model.Transformer.SceneChannels), input, level);
    }

    private Tensor Velocity(Tensor output, TransformerInput input, NoiseLevel level)
    {
        if (model.Preconditioning is not { } preconditioning) return output;
        Tensor Of(long channels, float sigma) => full([1, channels, 1, 1, 1], sigma, device: output.device);
        var (all, scene) = (output.shape[1], model.Transformer.SceneChannels);
        var sigma = scene == 0 ? Of(1, level.Sigma) : cat([Of(all - scene, level.Sigma), Of(scene, level.SceneSigma)], 1);
        return preconditioning.Velocity(output, input.HiddenStates.narrow(1, 0, all), sigma);
    }

    private Tensor Pass(Loaded expert, TransformerInput input, TextContext text) => expert.Transformer.Forward(input with
    {
        HiddenStates = input.HiddenStates.to(precision.Type),
        Control = input.Control?.to(precision.Type),
        Context = text,
    }).to(float32);

    private Loaded Load(int index, EncodedConditioning encoded, PromptEmbeds text)
    {
        if (current is not null && current.Index != index) Dispose();
        current ??= new Loaded(model, index, precision, cancel);
        if (!ReferenceEquals(current.Conditioning, encoded) || !ReferenceEquals(current.Text, text)) current.EmbedText(encoded, text, precision);
        return current;
    }

    private sealed class Loaded : IDisposable
    {
        private readonly Weights weights;

        public Loaded(ModelFolder model, int index, Precision precision, CancellationToken cancel)
        {
            using var noGradient = no_grad();
            Index = index;
            weights = Weights.From(model.OpenWeights(index == 0 ? "transformer" : "transformer_2"), precision.Options);
            Transformer = new WanTransformer(index == 0 ? model.Transformer : model.Transformer2!, weights)
            {
                // Called in every block: a run ends within a fraction of a pass.
                Observer = (_, _) => cancel.ThrowIfCancellationRequested(),
            };
        }

        public int Index { get; }

        public WanTransformer Transformer { get; }

        public EncodedConditioning? Conditioning { get; private set; }

        public PromptEmbeds? Text { get; private set; }

        public TextContext Prompt { get; private set; } = null!;

        public TextContext? Negative { get; private set; }

        /// <summary>Embeds text and picture, once for all steps.</summary>
        public void EmbedText(EncodedConditioning encoded, PromptEmbeds text, Precision precision)
        {
            DisposeText();
            using var noGradient = no_grad();
            var image = encoded.Image?.to(precision.Type);
            (Conditioning, Text) = (encoded, text);
            Prompt = Transformer.Embed(text.Prompt, text.Length, image);
            Negative = text.Negative is null ? null : Transformer.Embed(text.Negative, text.Length, image);
        }

        public void Dispose()
        {
            DisposeText();
            Transformer.Dispose();
            weights.Dispose();
        }

        private void DisposeText()
        {
            Prompt?.Dispose();
            Negative?.Dispose();
            Negative = null;
        }
    }
}
