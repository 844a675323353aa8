using Sora.Clips;
using Sora.Models;
using Sora.Models.Depth;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Cli;

/// <summary>Depth by the heads that clips' models have.</summary>
/// <param name="device">Where they compute.</param>
internal sealed class DepthHeads(Device device) : IDisposable
{
    /// <summary>What measures clips and footage that no head is for.</summary>
    public const string OpenModel = "pass a Depth Anything V2 model with --model, such as Depth-Anything-V2-Small-hf";

    private readonly LastOpened<LatentDepthHead> heads = new(model =>
        LatentDepthHead.Open(model, device) ?? throw SoraException.Usage($"the model {model.Name} has no depth head", OpenModel)
    );

    /// <summary>The relative inverse depth of each frame of a clip, from its latents alone; one scale for all of it.</summary>
    /// <exception cref="SoraException">The clip's model has no head.</exception>
    public IEnumerable<(DepthMap Map, bool IsCut)> Measure(Run run, Clip clip, VideoModel model)
    {
        var head = heads.For(model);
        if (clip.History is [{ Verb: "encode" }, ..])
            run.Reporter.Note($"the depth of {model.Name} is learned from its synthetic world and poor on footage; {OpenModel}");
        var (frames, isFirst) = (model.Geometry.VideoFrames(clip.FinishedLatents.Shape[2]), true);
        using var given = TensorIO.ToTensor(clip.FinishedLatents);
        using var latents = clip.Info.Space == LatentSpace.Raw ? model.Normalise(given.to(float32)) : given.to(float32);
        foreach (var map in run.Reporter.Counted("measuring", head.Measure(latents, run.Cancel), frames))
        {
            yield return (map, isFirst);
            isFirst = false;
        }
    }

    public void Dispose() => heads.Dispose();
}
