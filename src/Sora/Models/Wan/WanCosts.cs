using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models.Text;
using Sora.Nn;

namespace Sora.Models.Wan;

/// <summary>What the stages of a run need, from configs and headers alone.</summary>
/// <param name="model">The model.</param>
/// <param name="request">The run.</param>
/// <param name="precision">Where and in which type the model computes, and how much of it stays in memory.</param>
internal sealed class WanCosts(WanModel model, GenerationRequest request, Precision precision)
{
    private readonly SamplingSettings settings = request.Settings;

    /// <summary>The stages in order.</summary>
    /// <param name="calls">Model calls of the schedule.</param>
    public IReadOnlyList<StageCost> Stages(int calls)
    {
        var (tokens, passes, bytes) = (model.Tokens(settings), settings.Guidance > 1 ? 2 : 1, precision.Bytes);
        var held = ResidentWeights.OfTransformer(model, precision.Offload);
        var size = new FrameSize(settings.Width, settings.Height);
        var vae = new VaeStages(model, size, settings.Frames, precision.Device);
        var shown = new VaeStages(model, size, Math.Max(settings.Frames, request.JoinedFrames ?? 0), precision.Device);
        var sampling = Sampling(tokens, passes, bytes) with
        {
            Weights = held.Elements * bytes + (request.KeepsVae ? vae.Weights : 0),
            Streamed = held.Streamed,
            Flops = (double)(calls - (request.CallsDone ?? 0)) * passes * PassFlops(tokens),
        };
        // Frames that show pictures, those of joined clips, those next to a join, and those of a preview are decoded and
        // encoded while the transformer is loaded.
        var isShown = request.ShowsOthers && model.Mode is ConditioningMode.TokenTimesteps or ConditioningMode.Renoise;
        var isMatched = model.DecodesGroups && (request.KnowsLatents || request.ShowsFirst || settings.Frames > settings.Window);
        StageCost?[] stages =
        [
            vae.Conditions(request, bytes),
            Text(passes),
            sampling,
            isShown || isMatched || request.KeepsVae ? shown.Frames(held.Elements * bytes) : null,
            shown.Decode(),
        ];
        return [.. stages.OfType<StageCost>().Select(stage => stage.On(precision.Device))];
    }

    private StageCost Text(int passes)
    {
        var bytes = precision.Bytes;
        if (!model.Has("text_encoder"))
            return new StageCost("text", 0, 0, 0);
        var config = T5Config.From(model.Config("text_encoder"));
        var elements = model.Elements("text_encoder");
        long inner = (long)config.NumHeads * config.DKv,
            length = Rows();
        var activations =
            length * (4 * inner + 3L * config.DFf + 4L * config.DModel) * bytes + 3L * config.NumHeads * length * length * bytes;
        var used = elements - (double)config.VocabSize * config.DModel;
        var held = ResidentWeights.Of(model, "text_encoder", precision.Offload);
        return new StageCost("text", held.Elements * bytes, activations, passes * 2 * length * used) { Streamed = held.Streamed };
    }

    /// <summary>Rows of the longer prompt: each token takes a character or more, and one closes it.</summary>
    private int Rows() => Math.Min(settings.TextLength, Math.Max(settings.Prompt.Length, settings.Negative.Length) + 2);

    private StageCost Sampling(long tokens, int passes, int bytes)
    {
        var config = model.Transformer;
        long dim = config.Dim,
            inner = 2L * config.FfnDim;
        // Known tokens have a timestep of their own, and so do its shifts, scales and gates, in float32.
        var each = model.ExpandTimesteps ? 1 : 0;
        // Input, normalised input, queries, keys, values and the result twice; or input, normalised input, inner layer
        // twice, result. Half precision is widened where it is normalised, turned, attended to on the CPU, and added.
        var perToken =
            bytes == sizeof(float) ? Math.Max(7 * dim, (3 + each) * dim + inner) : Math.Max(14 * dim, (10 + 2 * each) * dim + inner);
        // VACE's hints exist before the blocks run that they are added after.
        var control = config.VaceLayers?.Count ?? 0;
        if (control > 0)
            perToken += (control + 1) * dim;
        // In float32 all rows after a prompt's are one row.
        var keys = 2L * passes * (config.NumLayers + control) * (bytes == sizeof(float) ? Rows() : settings.TextLength) * dim;
        // Latents, the sampler's memory, and both answers.
        var latents = 12L * tokens * config.OutChannels * config.PatchSize.Rows * config.PatchSize.Columns * sizeof(float);
        return new StageCost("sampling", 0, (tokens * perToken + keys) * bytes + latents, 0);
    }

    private double PassFlops(long tokens)
    {
        var config = model.Transformer;
        double dim = config.Dim,
            length = tokens;
        var block = length * (2 * dim * (6 * dim + 2 * config.FfnDim) + 4 * dim * (length + settings.TextLength));
        return config.NumLayers * block;
    }
}
