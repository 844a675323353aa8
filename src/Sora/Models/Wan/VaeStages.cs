using Sora.Conditions;
using Sora.Models.Vision;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>The stages of a run in which its VAE works.</summary>
/// <param name="model">The model.</param>
/// <param name="size">Of the frames.</param>
/// <param name="frames">Video frames.</param>
/// <param name="device">Where it computes.</param>
internal sealed class VaeStages(WanModel model, FrameSize size, int frames, Device device)
{
    /// <summary>
    /// Numbers for each pixel of a video whose control is built: for a given one, the video, the mask in three steps,
    /// what is remade and what isn't, and two products; for known latents also what was decoded, and what it becomes.
    /// </summary>
    private const double OfControl = 17.25,
        OfKnownControl = 23.25,
        OfGreyControl = 12.25;

    /// <summary>Bytes of the VAE's weights.</summary>
    public long Weights { get; } = model.Elements("vae") * sizeof(float);

    /// <summary>Frames to latents, as they come.</summary>
    public StageCost Encode() => Of("encode", Plan(frames).Encode());

    /// <summary>Latents to frames, as they are taken.</summary>
    public StageCost Decode() => Of("decode", Plan(frames).Decode());

    /// <summary>Frames decoded and encoded, next to this many bytes of weights.</summary>
    internal StageCost Frames(long beside) =>
        Of("frames", VaeLoad.Then(Plan(frames).Decode(), Plan(frames).Encode())) with
        {
            Weights = Weights + beside,
        };

    /// <summary>What is given, encoded for the network; null: nothing has to be encoded.</summary>
    /// <param name="request">The run.</param>
    /// <param name="bytes">Bytes of a number in the type that other parts compute in.</param>
    public StageCost? Conditions(GenerationRequest request, int bytes)
    {
        // An unfinished clip holds what was encoded; only its windows encode what earlier ones made.
        if (request is { CallsDone: not null, KnowsLatents: false })
            return null;
        if (model.Mode is ConditioningMode.TokenTimesteps or ConditioningMode.Renoise)
        {
            // A single frame, or one after copies of itself.
            var seen = model.Geometry.VideoFrames(request.ShowsOthers ? 2 : 1);
            return request.Conditioning.Stills.Count > 0 ? Of("encode", Plan(seen).Encode()) : null;
        }
        var plan = Plan(frames);
        if (model.Mode == ConditioningMode.Control)
        {
            var numbers =
                request.Conditioning.Control is { Video.Count: > 0 } ? OfControl
                : request.KnowsLatents ? OfKnownControl
                : OfGreyControl;
            return Of("encode", plan.Encode(plan.Video * numbers));
        }
        // A video that is grey where nothing is known.
        var channels = Of("encode", plan.Encode(3 * plan.Video));
        if (model.Transformer.ImageDim is null || !model.Has("image_encoder"))
            return channels;
        // What is known is decoded, for CLIP to look at its ends.
        if (request.KnowsLatents)
            channels = Of("encode", VaeLoad.Then(plan.Decode(6 * plan.Video), plan.Encode(3 * plan.Video)));
        var config = ClipVisionConfig.From(model.Config("image_encoder"));
        var (pictures, wide) = (model.PicturesSeen, 4 * config.HiddenSize + 2 * config.IntermediateSize);
        var clip = new StageCost(
            "encode",
            model.Elements("image_encoder") * bytes,
            (long)pictures * config.Tokens * wide * bytes,
            channels.Flops
        );
        return clip.Peak > channels.Peak ? clip : channels;
    }

    private VaePlan Plan(int length) => new(model.Vae, size, length, device.type == DeviceType.CPU ? get_num_threads() : 0);

    private StageCost Of(string name, VaeLoad load) => new StageCost(name, Weights, load.Bytes, load.Flops).On(device);
}
