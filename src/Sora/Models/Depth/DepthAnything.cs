using Sora.Kernels;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Depth;

/// <summary>
/// Depth Anything V2 (https://arxiv.org/abs/2406.09414): depth from one image, by the neck and the head of DPT
/// (https://arxiv.org/abs/2103.13413) on features of <see cref="DinoV2"/>. It computes what transformers'
/// <c>DepthAnythingForDepthEstimation</c> does. Not for several threads at a time.
/// </summary>
public sealed class DepthAnything : IDisposable
{
    private readonly DepthAnythingConfig config;
    private readonly DinoV2 backbone;
    private readonly ReassembleLayer[] reassemble;
    private readonly Convolution[] convs;
    private readonly FusionLayer[] fusion;
    private readonly Head head;
    private Action<string, Tensor>? observer;

    /// <summary>Builds the network over <paramref name="weights"/>, which must outlive it.</summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public DepthAnything(DepthAnythingConfig config, Weights weights)
    {
        this.config = config;
        var (sizes, fused) = (config.NeckHiddenSizes, config.FusionHiddenSize);
        var maps = Enumerable.Range(0, sizes.Count);
        var neck = weights.Scope("neck");
        backbone = new DinoV2(config.Backbone, weights.Scope("backbone"));
        reassemble = [.. maps.Select(i => new ReassembleLayer(config, i, neck.Scope("reassemble_stage.layers", i)))];
        convs = [.. maps.Select(i => new Convolution(neck.Scope("convs", i), (sizes[i], fused), 3, withBias: false))];
        fusion = [.. maps.Select(i => new FusionLayer(fused, i == 0, neck.Scope("fusion_stage.layers", i)))];
        head = new Head(config, weights.Scope("head"));
    }

    /// <summary>
    /// Is shown intermediate results by name: those of <see cref="DinoV2.Observer"/>, and <c>reassembled_0</c> …, <c>convolved_0</c> …
    /// from the finest map on, <c>fused_0</c> … in the order of computation, <c>before_activation</c> and <c>predicted_depth</c>.
    /// </summary>
    public Action<string, Tensor>? Observer
    {
        get => observer;
        set => observer = backbone.Observer = value;
    }

    /// <summary>Whether a published file has this tensor though nothing uses it.</summary>
    internal static bool IsSpare(string name) =>
        name == "backbone.embeddings.mask_token"
        || name.StartsWith("neck.fusion_stage.layers.0.residual_layer1.", StringComparison.Ordinal);

    /// <summary>
    /// The depth <c>[B, h, w]</c>: metres up to <see cref="DepthAnythingConfig.MaxDepth"/>, or of an arbitrary scale, 0 or more and
    /// larger where it is nearer.
    /// </summary>
    /// <param name="pixels">Normalised pixels <c>[B, 3, h, w]</c>, of <see cref="DepthPixels"/>, float32.</param>
    /// <exception cref="ArgumentException">Height or width is no multiple of the patch size.</exception>
    public Tensor Forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var (height, width) = (pixels.shape[2], pixels.shape[3]);
        var maps = Maps(backbone.Forward(pixels), height / config.Backbone.PatchSize, width / config.Backbone.PatchSize);
        var depth = head.Forward(Fuse(maps), height, width, new Trace(Observer)); // [B, h, w]
        Observer?.Invoke("predicted_depth", depth);
        return depth.MoveToOuterDisposeScope();
    }

    /// <summary>Frees what it computed for sizes that it saw.</summary>
    public void Dispose() => backbone.Dispose();

    /// <summary>A map of each feature, all as many channels wide, the finest one first.</summary>
    private Tensor[] Maps(Tensor[] features, long rows, long columns)
    {
        using var scope = NewDisposeScope();
        var maps = new Tensor[features.Length];
        for (var i = 0; i < maps.Length; i++)
        {
            var map = reassemble[i].Forward(features[i], rows, columns);
            Observer?.Invoke($"reassembled_{i}", map);
            maps[i] = convs[i].Forward(map); // [B, F, h', w']
            Observer?.Invoke($"convolved_{i}", maps[i]);
        }
        return [.. maps.Select(map => map.MoveToOuterDisposeScope())];
    }

    /// <summary>One map of all, twice as fine as the finest of them; each is freed when it was taken.</summary>
    private Tensor Fuse(Tensor[] maps)
    {
        using var scope = NewDisposeScope();
        Tensor? x = null;
        for (var i = 0; i < maps.Length; i++)
        {
            var (map, last) = (maps[^(i + 1)], i == maps.Length - 1);
            var finer = last ? map : maps[^(i + 2)];
            var scale = last ? 2 : 1;
            using var before = x;
            x = fusion[i].Forward(x, map, scale * finer.shape[2], scale * finer.shape[3]);
            map.Dispose();
            Observer?.Invoke($"fused_{i}", x);
        }
        return x!.MoveToOuterDisposeScope();
    }

    /// <summary>A convolution that keeps the size, but for its stride.</summary>
    private sealed class Convolution
    {
        private readonly Tensor weight;
        private readonly Tensor? bias;
        private readonly long[] strides,
            around;

        public Convolution(Weights weights, (long In, long Out) channels, int size, int stride = 1, bool withBias = true)
        {
            var init = Init.FanIn(channels.In * size * size);
            weight = weights.Get("weight", init, channels.Out, channels.In, size, size);
            bias = withBias ? weights.Get("bias", init, channels.Out) : null;
            (strides, around) = ([stride, stride], [size / 2, size / 2]);
        }

        public Tensor Forward(Tensor x) => Functional.Conv2d(x, weight, bias, strides, around);
    }

    /// <summary>Makes tokens a map, finer or coarser than the patches.</summary>
    private sealed class ReassembleLayer
    {
        private readonly Tensor weight,
            bias;
        private readonly (Tensor Weight, Tensor Bias)? enlarge;
        private readonly Convolution? shrink;
        private readonly int factor;

        public ReassembleLayer(DepthAnythingConfig config, int index, Weights weights)
        {
            var (width, channels, scale) = (config.Backbone.HiddenSize, config.NeckHiddenSizes[index], config.ReassembleFactors[index]);
            var (projection, resize) = (weights.Scope("projection"), weights.Scope("resize"));
            weight = projection.Get("weight", Init.FanIn(width), channels, width, 1, 1);
            bias = projection.Get("bias", Init.FanIn(width), channels);
            factor = (int)Math.Max(scale, 1);
            if (scale < 1)
                shrink = new Convolution(resize, (channels, channels), 3, (int)(1 / scale));
            else if (factor > 1)
                enlarge = (
                    resize.Get("weight", Init.FanIn(channels), channels, channels, factor, factor),
                    resize.Get("bias", Init.FanIn(channels), channels)
                );
        }

        /// <param name="feature">Tokens <c>[B, 1 + n, D]</c>, the class token first, which isn't used.</param>
        /// <param name="rows">Patches along the height.</param>
        /// <param name="columns">Patches along the width.</param>
        public Tensor Forward(Tensor feature, long rows, long columns)
        {
            using var scope = NewDisposeScope();
            // Of one pixel: a linear layer, which takes tokens as they lie.
            var x = Functional.Linear(feature.narrow(1, 1, rows * columns), weight.flatten(1), bias); // [B, n, C]
            var (batch, channels) = (x.shape[0], x.shape[2]);
            if (enlarge is var (kernel, offset))
            {
                // A transposed convolution whose stride is its kernel's size: what places give doesn't overlap, so it is a product.
                x = Functional.Linear(x, kernel.flatten(1).t()); // [B, n, C k k]
                x = x.view(batch, rows, columns, channels, factor, factor).permute(0, 3, 1, 4, 2, 5); // [B, C, rows, k, columns, k]
                x = x.reshape(batch, channels, rows * factor, columns * factor); // [B, C, k rows, k columns]
                x = Ops.AddInto(x, offset.view(-1, 1, 1));
            }
            else
                x = x.transpose(1, 2).reshape(batch, channels, rows, columns); // [B, C, rows, columns]
            return (shrink?.Forward(x) ?? x).MoveToOuterDisposeScope();
        }
    }

    /// <summary>x + two convolutions of it, each after a ReLU.</summary>
    private sealed class ResidualUnit(Weights weights, int width)
    {
        private readonly Convolution convolution1 = new(weights.Scope("convolution1"), (width, width), 3);
        private readonly Convolution convolution2 = new(weights.Scope("convolution2"), (width, width), 3);

        public Tensor Forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var y = convolution2.Forward(convolution1.Forward(x.relu()).relu_());
            return Ops.AddInto(y, x).MoveToOuterDisposeScope();
        }
    }

    /// <summary>Adds a map to what was fused so far, and brings it to the size of the next one.</summary>
    private sealed class FusionLayer
    {
        private readonly ResidualUnit? unit1;
        private readonly ResidualUnit unit2;
        private readonly Convolution projection;

        /// <param name="width">Channels.</param>
        /// <param name="isFirst">Nothing was fused before: it has one map only, which the first unit doesn't see.</param>
        /// <param name="weights">Its weights.</param>
        public FusionLayer(int width, bool isFirst, Weights weights)
        {
            unit1 = isFirst ? null : new ResidualUnit(weights.Scope("residual_layer1"), width);
            unit2 = new ResidualUnit(weights.Scope("residual_layer2"), width);
            projection = new Convolution(weights.Scope("projection"), (width, width), 1);
        }

        /// <param name="x">What was fused so far, of the map's size; null for the first layer.</param>
        /// <param name="map">The map, <c>[B, F, h', w']</c>.</param>
        /// <param name="height">Rows of the result.</param>
        /// <param name="width">Columns of the result.</param>
        public Tensor Forward(Tensor? x, Tensor map, long height, long width)
        {
            using var scope = NewDisposeScope();
            var y = unit1 is null || x is null ? map : Ops.AddInto(unit1.Forward(map), x);
            // The original makes it larger first; of one pixel and linear, the projection gives the same before it, for less.
            y = projection.Forward(unit2.Forward(y)); // [B, F, h', w']
            return Functional.ResizeBilinear(y, height, width).MoveToOuterDisposeScope(); // [B, F, height, width]
        }
    }

    /// <summary>One number for each pixel.</summary>
    private sealed class Head(DepthAnythingConfig config, Weights weights)
    {
        private readonly Convolution conv1 = new(weights.Scope("conv1"), (config.FusionHiddenSize, config.FusionHiddenSize / 2), 3);
        private readonly Convolution conv2 = new(weights.Scope("conv2"), (config.FusionHiddenSize / 2, config.HeadHiddenSize), 3);
        private readonly Tensor weight = weights.Get("conv3.weight", Init.FanIn(config.HeadHiddenSize), 1, config.HeadHiddenSize, 1, 1);
        private readonly Tensor bias = weights.Get("conv3.bias", Init.FanIn(config.HeadHiddenSize), 1);

        public Tensor Forward(Tensor x, long height, long width, Trace trace)
        {
            using var scope = NewDisposeScope();
            x = Functional.ResizeBilinear(conv1.Forward(x), height, width); // [B, F / 2, h, w]
            x = conv2.Forward(x).relu_().flatten(2); // [B, C, h w]
            // The last convolution is of one pixel, and to one channel: a product with a vector takes a sixth of its time.
            x = weight.flatten(1).matmul(x).add_(bias).view(-1, 1, height, width); // [B, 1, h, w]
            trace.Show("before_activation", x);
            x = config.IsMetric ? x.sigmoid() : x.relu();
            return x.mul(config.MaxDepth).squeeze(1).MoveToOuterDisposeScope(); // [B, h, w]
        }
    }
}
