using Sora.Models.Depth;
using Sora.Models.Text;
using Sora.Models.Vision;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>
/// Checks that the parts of a model are what their configs say, and fit each other, from configs and headers alone: a run
/// that can't succeed ends before anything long begins.
/// </summary>
internal static class WanModelCheck
{
    /// <exception cref="SoraException">
    /// A part is missing, truncated, lacks a tensor, has one of another shape, or belongs to another model.
    /// </exception>
    public static void Run(WanModel model)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Shapes(
            model,
            "transformer",
            weights => _ = new WanTransformer(model.Transformer, weights),
            $"blocks.{model.Transformer.NumLayers}."
        );
        if (model.Transformer2 is { } low)
            Shapes(model, "transformer_2", weights => _ = new WanTransformer(low, weights), $"blocks.{low.NumLayers}.");
        Shapes(model, "vae", weights => _ = new CausalVae(model.Vae, weights));
        Agree((model, "vae", "outputs latents of", model.Vae.ZDim), ("channels", model.Transformer.LatentChannels));
        if (model.Has("text_encoder"))
        {
            var config = T5Config.From(model.Config("text_encoder"));
            Shapes(model, "text_encoder", weights => _ = new T5Encoder(config, weights), $"encoder.block.{config.NumLayers}.");
            Agree((model, "text_encoder", "outputs rows of", config.DModel), ("numbers", model.Transformer.TextDim));
        }
        if (model.Has("image_encoder"))
        {
            var config = ClipVisionConfig.From(model.Config("image_encoder"));
            Shapes(model, "image_encoder", weights => _ = new ClipVision(config, weights));
            ClipPixels.Of(model, config);
            if (model.Transformer.ImageDim is { } width)
                Agree((model, "image_encoder", "outputs rows of", config.HiddenSize), ("numbers", width));
        }
        if (LatentDepthHead.ConfigOf(model) is { } head)
            Shapes(model, LatentDepthHead.Part, weights => _ = new LatentDepthHead(head, weights), $"blocks.{head.NumBlocks}.");
    }

    /// <param name="model">The model.</param>
    /// <param name="part">Its part.</param>
    /// <param name="build">Requests every tensor.</param>
    /// <param name="beyond">What a layer after the last one would be called: a config that leaves layers out is another model's.</param>
    private static void Shapes(ModelFolder model, string part, Action<Weights> build, string? beyond = null)
    {
        using var source = model.OpenWeights(part);
        using var weights = Weights.Headers(source);
        build(weights);
        if (beyond is not null && source.Tensors.Keys.FirstOrDefault(name => name.StartsWith(beyond, StringComparison.Ordinal)) is { } more)
            throw SoraException.Failed(
                $"{source.Origin} has the tensor {more}, of a layer that its config doesn't have",
                "the weights and config.json belong to different models"
            );
    }

    private static void Agree((ModelFolder Model, string Part, string Gives, int Size) part, (string Units, int Size) transformer)
    {
        if (part.Size == transformer.Size)
            return;
        throw SoraException.Failed(
            $"{part.Model.Part(part.Part)} {part.Gives} {part.Size} {transformer.Units}, but the transformer takes {transformer.Size}",
            $"it belongs to a different model than {part.Model.Part("transformer")}"
        );
    }
}
