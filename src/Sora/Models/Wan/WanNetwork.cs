using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models.Text;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>A transformer of Wan, or one of its two experts, with guidance.</summary>
internal class WanNetwork : DenoisingNetwork
{
    /// <summary>Names of what the network reads besides latents, among <see cref="EncodedConditioning.Inputs"/>.</summary>
    internal const string Channels = "channels",
        Image = "image",
        Control = "control";

    private readonly Precision precision;
    private readonly Weights weights;
    private readonly WanTransformer transformer;
    private TextContext? prompt;
    private TextContext? negative;

    public WanNetwork(WanModel model, int expert, Precision precision, CancellationToken cancel)
    {
        this.precision = precision;
        using var noGradient = no_grad();
        weights = Weights.From(model.OpenWeights(expert == 0 ? "transformer" : "transformer_2"), precision.Options);
        transformer = new WanTransformer(expert == 0 ? model.Transformer : model.Transformer2!, weights)
        {
            // Called in every block, so a cancelled run ends within a fraction of a pass.
            Observer = (_, _) => cancel.ThrowIfCancellationRequested(),
        };
    }

    /// <summary>The guided velocity, from two passes; from one where there is no negative prompt.</summary>
    public override Tensor Velocity(Tensor latents, NoiseLevel level, double guidance)
    {
        var input = Input(latents, level);
        var conditioned = Pass(input, prompt!);
        if (negative is null)
            return Velocity(conditioned, input, level);
        return Velocity(Samplers.Guided(Pass(input, negative), conditioned, guidance, Conditioning!.AuxiliaryChannels), input, level);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        DisposeText();
        transformer.Dispose();
        weights.Dispose();
    }

    /// <summary>The transformer's input for latents of a noise level; <see cref="Pass"/> adds the text.</summary>
    protected virtual TransformerInput Input(Tensor state, NoiseLevel level)
    {
        var known = Conditioning!;
        var (latents, clean) = known.Held(known.Video(state), level);
        var timestep = full([1], level.Timestep, device: latents.device);
        if (clean is not null)
            timestep = cat([timestep, zeros([1], device: latents.device)]);
        if (known.Inputs.TryGetValue(Channels, out var channels))
            latents = cat([latents, channels], 1);
        return new TransformerInput
        {
            HiddenStates = latents,
            Timestep = timestep,
            TimestepIndex = clean?.to(int64),
            Control = known.Inputs.GetValueOrDefault(Control),
            ControlScale = known.ControlScale,
        };
    }

    /// <summary>The velocity that the transformer's output stands for.</summary>
    protected virtual Tensor Velocity(Tensor output, TransformerInput input, NoiseLevel level) => output;

    /// <summary>Embeds text and picture.</summary>
    protected override void Embed(EncodedConditioning conditioning, PromptEmbeds text)
    {
        DisposeText();
        var image = conditioning.Inputs.GetValueOrDefault(Image)?.to(precision.Type);
        prompt = transformer.Embed(text.Prompt, text.Length, image);
        negative = text.Negative is null ? null : transformer.Embed(text.Negative, text.Length, image);
    }

    private Tensor Pass(TransformerInput input, TextContext text) =>
        transformer
            .Forward(
                input with
                {
                    HiddenStates = input.HiddenStates.to(precision.Type),
                    Control = input.Control?.to(precision.Type),
                    Context = text,
                }
            )
            .to(float32);

    private void DisposeText()
    {
        prompt?.Dispose();
        negative?.Dispose();
        negative = null;
    }
}
