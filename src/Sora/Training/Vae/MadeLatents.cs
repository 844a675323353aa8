using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Mini;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Latents as a transformer leaves them: what it makes of noised latents in one pass, which is what the last of a few steps
/// leaves. Its blocks don't quite fit each other, and fine detail is missing.
/// </summary>
internal sealed class MadeLatents : IDisposable
{
    /// <summary>Noise over signal in the last of few steps, at least and at most.</summary>
    private const double LeastNoise = 0.7,
        MostNoise = 4;

    private readonly WanTransformer transformer;
    private readonly T5Encoder text;
    private readonly Tokenizer tokenizer;
    private readonly Preconditioning? preconditioning;
    private readonly Weights transformerWeights,
        textWeights;

    /// <summary>Opens a model that <see cref="TransformerTrainer"/> trained.</summary>
    /// <exception cref="SoraException">The folder holds none, or its latents have another number of channels.</exception>
    public MadeLatents(string folder, CausalVaeConfig vae)
    {
        if (VideoModel.Open(folder) is not MiniModel model || model.Transformer.LatentChannels != vae.ZDim)
            throw SoraException.Failed(
                $"{folder} does not generate latents of this VAE",
                "pass a model that sora train transformer made with this VAE"
            );
        var how = new WeightsOptions { DType = float32 };
        (transformerWeights, textWeights) = (
            Weights.From(model.OpenWeights("transformer"), how),
            Weights.From(model.OpenWeights("text_encoder"), how)
        );
        transformer = new(model.Transformer, transformerWeights);
        text = new(T5Config.From(model.Config("text_encoder")), textWeights);
        (tokenizer, preconditioning) = (model.OpenTokenizer(), model.Preconditioning);
    }

    /// <summary>A noise level for each of so many clips, <c>[B, 1, 1, 1, 1]</c>.</summary>
    public static Tensor DrawSigma(long clips)
    {
        using var draws = rand(clips);
        var noise = draws.data<float>().Select(draw => LeastNoise * Math.Pow(MostNoise / LeastNoise, draw));
        return tensor(noise.Select(n => (float)(n / (1 + n))).ToArray(), [clips, 1, 1, 1, 1]);
    }

    /// <summary>What is made of normalised latents <c>[B, C, T, h, w]</c> under noise, without being told what is where.</summary>
    /// <param name="latents">Normalised latents.</param>
    /// <param name="captions">What each of the clips shows.</param>
    /// <param name="sigma">Noise level of each clip, <c>[B, 1, 1, 1, 1]</c>.</param>
    public Tensor Of(Tensor latents, IReadOnlyList<string> captions, Tensor sigma)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (shape, covered) = (latents.shape, ones([1, 1, 1, 1, 1]));
        var noised = NoisedClips.Of(
            latents,
            null,
            randn([shape[0], shape[1] + transformer.Config.SceneChannels, .. shape[2..]]),
            sigma,
            covered
        );
        var output = transformer.Forward(
            new TransformerInput
            {
                HiddenStates = noised.Hidden,
                Timestep = sigma.flatten() * Schedule.TrainSteps,
                Text = text.Encode(tokenizer, captions, MiniPreset.TextLength),
                TextLength = MiniPreset.TextLength,
            }
        );
        var velocity = preconditioning?.Velocity(output, noised.State, noised.Level) ?? output;
        return (noised.State - (noised.Level * velocity)).narrow(1, 0, shape[1]).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        transformerWeights.Dispose();
        textWeights.Dispose();
    }
}
