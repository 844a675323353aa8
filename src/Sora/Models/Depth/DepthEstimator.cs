using Sora.Media;
using Sora.Models.Checkpoints;
using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Depth;

/// <summary>
/// Depth of pictures, by a Depth Anything V2 model (https://arxiv.org/abs/2406.09414) in the layout of transformers, or of a
/// single file, whoever named its tensors. It computes in float32, one picture at a time; not for several threads at a time.
/// </summary>
public sealed class DepthEstimator : IDisposable
{
    /// <summary>The part that it is, as diffusers calls it.</summary>
    private const string Part = "depth_estimator";

    private readonly Weights weights;
    private readonly DepthAnything network;

    private DepthEstimator(DepthAnythingConfig config, DepthPixels pixels, Weights weights)
    {
        (Config, Pixels, this.weights) = (config, pixels, weights);
        network = new DepthAnything(config, weights);
        var left = weights.Unused().Where(name => !DepthAnything.IsSpare(name)).ToList();
        if (left.Count > 0)
            throw SoraException.Failed(
                $"{weights.Source} has tensors that the network doesn't: {NameList.Text(left)}",
                "the weights and config.json belong to different models"
            );
    }

    /// <summary>The sizes of the network.</summary>
    public DepthAnythingConfig Config { get; }

    /// <summary>What is done to pictures before the network sees them.</summary>
    public DepthPixels Pixels { get; }

    /// <summary>
    /// Whether depths are metres, from 0 to <see cref="DepthAnythingConfig.MaxDepth"/>, larger ones farther away. Else they are
    /// relative, of an arbitrary scale, larger ones nearer.
    /// </summary>
    public bool IsMetric => Config.IsMetric;

    /// <summary>Is shown intermediate results by the names of <see cref="DepthAnything.Observer"/>.</summary>
    public Action<string, Tensor>? Observer
    {
        get => network.Observer;
        set => network.Observer = value;
    }

    /// <summary>Opens a model and loads its weights, which are made float32 whatever they are stored in.</summary>
    /// <param name="path">
    /// A folder with <c>config.json</c> and weights, or a file of weights; where no config of a depth model lies beside it, the
    /// sizes come from its tensors, and a metric model's largest depth from its published name.
    /// </param>
    /// <param name="device">Where it computes; null is the CPU.</param>
    /// <exception cref="SoraException">
    /// There is no such model, it is another kind's, its sizes can't be told, or a tensor is missing, is one too many or has
    /// another shape than the config says.
    /// </exception>
    public static DepthEstimator Open(string path, Device? device = null)
    {
        if (File.Exists(Path.Combine(path, "model_index.json")))
            throw SoraException.Failed($"{path} is a video model, not a depth model", "pass a Depth Anything V2 model");
        var config = DepthAnythingConfig.From(ModelFolder.ConfigOf(Part, path));
        var pixels = DepthPixels.Of(path, config.Backbone.PatchSize);
        var weights = Checkpoint.Load(path, new WeightsOptions { Device = device, DType = float32 });
        try
        {
            return new DepthEstimator(config, pixels, weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The depth of each pixel of a picture. It can be a little below 0, where the bicubic filter overshoots.</summary>
    public DepthMap Estimate(Image image) => Estimate(image, new FrameSize(image.Width, image.Height));

    /// <summary>The depth of a picture at another size than its own.</summary>
    public DepthMap Estimate(Image image, FrameSize at)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        long[] size = [at.Height, at.Width];
        var depth = Predict(image).unsqueeze(1); // [1, 1, h, w]
        depth = functional.interpolate(depth, size, mode: InterpolationMode.Bicubic, align_corners: false); // [1, 1, H, W]
        return new DepthMap(at.Width, at.Height, depth.cpu().data<float>().ToArray());
    }

    /// <summary>The network's own result <c>[1, h, w]</c> at the size of <see cref="DepthPixels.ResizedTo"/>, on its device.</summary>
    public Tensor Predict(Image image)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var pixels = Pixels.Normalise(Pixels.Resized(image)).to(weights.Device); // [1, 3, h, w]
        Observer?.Invoke("pixel_values", pixels);
        return network.Forward(pixels).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        network.Dispose();
        weights.Dispose();
    }
}
