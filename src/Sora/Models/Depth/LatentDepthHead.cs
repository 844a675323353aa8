using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Depth;

/// <summary>
/// Depth of a video from its latents, without decoding them: a part of a model. Convolutions in space and time on the grid of the
/// latents, then in space on a grid <see cref="LatentDepthConfig.FineFactor"/> times as fine, of which each place gives the depths
/// of its pixels in every frame (sub-pixel convolution: Shi et al. 2016, https://arxiv.org/abs/1609.05158). What a frame's depth is
/// depends on <see cref="Reach"/> latent frames before and after its own, so long clips are measured in parts. Not for several
/// threads at a time.
/// </summary>
public sealed class LatentDepthHead : IDisposable
{
    /// <summary>The folder of a model that it lies in.</summary>
    public const string Part = "depth_head";

    /// <summary>Channels that say where in the picture a place is: across and down, from -1 to 1.</summary>
    private const int Places = 2;

    /// <summary>Places of the finer grid that are computed at a time, so that memory doesn't grow with the duration.</summary>
    private const long PlacesAtOnce = 1 << 17;

    private readonly Weights weights;
    private readonly Point input,
        enlarge;
    private readonly Tensor start;
    private readonly SpaceTimeBlock[] blocks;
    private readonly FrameBlock[] fine;
    private readonly FrameNorm norm;
    private readonly (Tensor Weight, Tensor Bias) output;

    /// <summary>Builds the network over <paramref name="weights"/>, which are freed with it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public LatentDepthHead(LatentDepthConfig config, Weights weights)
    {
        (Config, this.weights) = (config, weights);
        var (width, fineWidth, factor) = (config.Width, config.FineWidth, config.FineFactor);
        var pixels = config.SpatialFactor / factor;
        input = new(weights.Scope("conv_in"), config.LatentChannels + Places, width);
        start = weights.Get("start", Init.Zeros, width);
        blocks = [.. Enumerable.Range(0, config.NumBlocks).Select(i => new SpaceTimeBlock(weights.Scope("blocks", i), width))];
        enlarge = new(weights.Scope("enlarge"), width, fineWidth * factor * factor);
        fine = [.. Enumerable.Range(0, config.NumFineBlocks).Select(i => new FrameBlock(weights.Scope("fine_blocks", i), fineWidth))];
        norm = new(weights.Scope("norm_out"), fineWidth);
        var last = weights.Scope("conv_out");
        var outputs = config.TemporalFactor * pixels * pixels;
        output = (
            last.Get("weight", Init.FanIn(fineWidth * 9), outputs, fineWidth, 3, 3),
            last.Get("bias", Init.FanIn(fineWidth * 9), outputs)
        );
    }

    /// <summary>Its sizes.</summary>
    public LatentDepthConfig Config { get; }

    /// <summary>Latent frames before and after one that its depth depends on.</summary>
    public int Reach => Config.NumBlocks + 1;

    /// <summary>Loads the head of a model; null: the model has none.</summary>
    /// <param name="model">The model.</param>
    /// <param name="device">Where it computes; null is the CPU.</param>
    /// <exception cref="SoraException">The head is broken, or for other latents than the model's.</exception>
    public static LatentDepthHead? Open(VideoModel model, Device? device = null)
    {
        if (ConfigOf(model) is not { } config)
            return null;
        var weights = Weights.From(model.OpenWeights(Part), new WeightsOptions { Device = device, DType = float32 });
        try
        {
            return new LatentDepthHead(config, weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The sizes of a model's head; null: the model has none.</summary>
    /// <exception cref="SoraException">They are broken, or for other latents than the model's.</exception>
    internal static LatentDepthConfig? ConfigOf(VideoModel model)
    {
        if (!model.Has(Part))
            return null;
        var config = LatentDepthConfig.From(model.Config(Part));
        return config.Geometry == model.Geometry
            ? config
            : throw SoraException.Failed($"{model.Part(Part)} is for the latents of another model", "train one on this model's");
    }

    /// <summary>
    /// Relative inverse depth, 1 at a distance of one unit of its training data and 0 infinitely far away; as the network computes
    /// it, so that it can be a little below 0.
    /// </summary>
    /// <param name="latents">Normalised latents <c>[B, C, T, h, w]</c>, float32, of a whole clip or a part of it.</param>
    /// <param name="isStart">Whether the first latent frame is that of the clip.</param>
    /// <returns><c>[B, F, H, W]</c>; F as <see cref="LatentGeometry.VideoFrames"/> says, or T times as many as the others have.</returns>
    public Tensor Forward(Tensor latents, bool isStart = true)
    {
        using var scope = NewDisposeScope();
        var (batch, frames) = (latents.shape[0], latents.shape[2]);
        var x = latents.transpose(1, 2).flatten(0, 1); // [B T, C, h, w]
        x = input.Forward(cat([x, Grid(x)], 1)); // [B T, width, h, w]
        if (isStart)
            x = x.unflatten(0, batch, frames)
                .add(functional.pad(start.view(1, 1, -1, 1, 1), [0, 0, 0, 0, 0, 0, 0, frames - 1]))
                .flatten(0, 1);
        foreach (var block in blocks)
            x = block.Forward(x, frames);
        x = functional.pixel_shuffle(enlarge.Forward(x), Config.FineFactor); // [B T, fine width, k h, k w]
        foreach (var block in fine)
            x = block.Forward(x);
        x = Functional.Conv2d(norm.Forward(x).silu(), output.Weight, output.Bias, padding: [1, 1]);
        x = functional.pixel_shuffle(x, Config.SpatialFactor / Config.FineFactor); // [B T, frames of a latent, H, W]
        x = x.unflatten(0, batch, frames).flatten(1, 2); // [B, T frames, H, W]
        var before = isStart ? Config.TemporalFactor - Config.FirstFrames : 0;
        return Steadied(x.narrow(1, before, x.shape[1] - before)).MoveToOuterDisposeScope();
    }

    /// <summary>The relative inverse depth of each frame of a clip, 0 or more, as it is taken.</summary>
    /// <param name="latents">Normalised latents <c>[1, C, T, h, w]</c>.</param>
    /// <param name="cancel">Stops between parts.</param>
    public IEnumerable<DepthMap> Measure(Tensor latents, CancellationToken cancel = default) =>
        Measure(
            latents,
            (int)Math.Max(1, PlacesAtOnce / (latents.shape[3] * latents.shape[4] * Config.FineFactor * Config.FineFactor)),
            cancel
        );

    /// <summary>As <see cref="Measure(Tensor, CancellationToken)"/>, so many latent frames at a time.</summary>
    internal IEnumerable<DepthMap> Measure(Tensor latents, int atOnce, CancellationToken cancel)
    {
        var frames = latents.shape[2];
        for (long first = 0; first < frames; first += atOnce)
        {
            cancel.ThrowIfCancellationRequested();
            foreach (var map in Maps(latents, first, Math.Min(atOnce, frames - first)))
                yield return map;
        }
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => weights.Dispose();

    /// <summary>The frames of some latent frames, measured with as many before and after as they depend on.</summary>
    private List<DepthMap> Maps(Tensor latents, long first, long count)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var from = Math.Max(0, first - Reach);
        var until = Math.Min(latents.shape[2], first + count + Reach);
        var depth = Forward(latents.narrow(2, from, until - from).to(float32).to(weights.Device), from == 0); // [1, F, H, W]
        var geometry = Config.Geometry;
        var skipped = from == 0 ? geometry.VideoFrames(first) : (first - from) * Config.TemporalFactor;
        var wanted = geometry.VideoFrames(first + count) - geometry.VideoFrames(first);
        var (height, width) = ((int)depth.shape[2], (int)depth.shape[3]);
        var values = depth.narrow(1, skipped, wanted).clamp_min(0).cpu().contiguous().data<float>().ToArray();
        return [.. values.Chunk(height * width).Select(map => new DepthMap(width, height, map))];
    }

    /// <summary>
    /// The mean of each frame, twice, and its neighbours, <c>[B, F, H, W]</c>: what changes evenly, as planes do under a moving camera,
    /// stays as it is, and the small jumps from one latent frame to the next don't flicker.
    /// </summary>
    private static Tensor Steadied(Tensor x)
    {
        var (frames, last) = (x.shape[1], x.shape[1] - 1);
        if (last == 0)
            return x;
        using var scope = NewDisposeScope();
        // The ends go on as they began, so that they stay as they are, too.
        Tensor At(long frame) => x.narrow(1, frame, 1);
        var padded = cat([At(0) * 2 - At(1), x, At(last) * 2 - At(last - 1)], 1);
        return (x / 2 + (padded.narrow(1, 0, frames) + padded.narrow(1, 2, frames)) / 4).MoveToOuterDisposeScope();
    }

    /// <summary>Where each place is in its picture, <c>[N, 2, h, w]</c>: the middles of places between -1 and 1.</summary>
    private static Tensor Grid(Tensor x)
    {
        using var scope = NewDisposeScope();
        var (count, rows, columns) = (x.shape[0], x.shape[2], x.shape[3]);
        Tensor Middles(long number) => (arange(number, float32, x.device) * 2 + 1) / number - 1;
        return stack(
                [Middles(columns).view(1, 1, -1).expand(count, rows, columns), Middles(rows).view(1, -1, 1).expand(count, rows, columns)],
                1
            )
            .MoveToOuterDisposeScope();
    }

    /// <summary>A linear map of the channels of each place.</summary>
    private sealed class Point(Weights weights, long inputs, long outputs)
    {
        private readonly Tensor weight = weights.Get("weight", Init.FanIn(inputs), outputs, inputs, 1, 1);
        private readonly Tensor bias = weights.Get("bias", Init.FanIn(inputs), outputs);

        public Tensor Forward(Tensor x) => Functional.Conv2d(x, weight, bias);
    }

    /// <summary>
    /// Norm, SiLU, 3x3 convolution, to which each frame adds what its mean over all places tells; norm, SiLU, a convolution over three
    /// latent frames; added to the input. Begins as the identity.
    /// </summary>
    private sealed class SpaceTimeBlock(Weights weights, long width)
    {
        private readonly FrameNorm norm1 = new(weights.Scope("norm1"), width),
            norm2 = new(weights.Scope("norm2"), width);
        private readonly Tensor weight1 = weights.Get("conv1.weight", Init.FanIn(width * 9), width, width, 3, 3);
        private readonly Tensor bias1 = weights.Get("conv1.bias", Init.Zeros, width);
        private readonly Point whole = new(weights.Scope("whole"), width, width);
        private readonly Tensor weight2 = weights.Get("conv2.weight", Init.Zeros, width, 3 * width, 1, 1);
        private readonly Tensor bias2 = weights.Get("conv2.bias", Init.Zeros, width);

        /// <param name="x"><c>[B T, width, h, w]</c>.</param>
        /// <param name="frames">T.</param>
        public Tensor Forward(Tensor x, long frames)
        {
            using var scope = NewDisposeScope();
            var y = norm1.Forward(x).silu();
            y = Functional.Conv2d(y, weight1, bias1, padding: [1, 1]).add(whole.Forward(y.mean([2, 3], keepdim: true)));
            y = norm2.Forward(y).silu().unflatten(0, -1, frames); // [B, T, width, h, w]
            y = functional.pad(y, [0, 0, 0, 0, 0, 0, 1, 1]); // [B, 1 + T + 1, width, h, w]
            y = cat([y.narrow(1, 0, frames), y.narrow(1, 1, frames), y.narrow(1, 2, frames)], 2).flatten(0, 1); // [B T, 3 width, h, w]
            return x.add(Functional.Conv2d(y, weight2, bias2)).MoveToOuterDisposeScope();
        }
    }
}
