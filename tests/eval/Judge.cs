using Sora.Kernels;
using Sora.Models.Checkpoints;
using Sora.Nn;
using Sora.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Eval;

/// <summary>What the judge makes of clips: logits, for B clips of T frames and C colours.</summary>
internal sealed record Opinion
{
    /// <summary>Grounds [B, 7].</summary>
    public required Tensor Ground { get; init; }

    /// <summary>Skies [B, 5].</summary>
    public required Tensor Sky { get; init; }

    /// <summary>Moves of the camera [B, 9].</summary>
    public required Tensor Camera { get; init; }

    /// <summary>Objects less one [B, 3].</summary>
    public required Tensor Count { get; init; }

    /// <summary>Whether there is an object of a colour [B, C].</summary>
    public required Tensor Present { get; init; }

    /// <summary>What the object of a colour is [B, C, 6].</summary>
    public required Tensor Shape { get; init; }

    /// <summary>How large the object of a colour is [B, C, 3].</summary>
    public required Tensor Size { get; init; }

    /// <summary>What the object of a colour does [B, C, 14].</summary>
    public required Tensor Motion { get; init; }

    /// <summary>Whether a frame shows an object of a colour [B, T, C].</summary>
    public required Tensor Seen { get; init; }

    /// <summary>What the object of a colour is, by a frame and its neighbours [B, T, C, 6].</summary>
    public required Tensor FrameShape { get; init; }

    /// <summary>What covers a cell: nothing or an object of a colour [B T, 1 + C, 32, 32].</summary>
    public required Tensor Cover { get; init; }
}

/// <summary>
/// A small network that says what clips show. It learns from rendered clips alone and knows nothing of the models it
/// judges. Objects of a scene differ in colour, so every colour is a slot: a map of what covers each cell of a frame
/// gives, for each colour, the mean of the features under it, its area, place and extent; what a slot does over time is
/// read from all frames together.
/// </summary>
internal sealed class Judge : IDisposable
{
    /// <summary>Pixels a side of the frames it looks at.</summary>
    public const int Side = 128;

    /// <summary>Frames of the clips it judges.</summary>
    public const int ClipFrames = 33;

    /// <summary>Cells a side of the map of what covers what.</summary>
    public const int Cells = 32;

    /// <summary>Colours, each a slot.</summary>
    public const int Colours = 10;

    /// <summary>Shapes.</summary>
    public const int Shapes = 6;

    private const int Narrow = 16,
        Middle = 32,
        Wide = 64,
        Slot = 64,
        Scene = 96,
        Hidden = 192,
        Statistics = 7,
        Grid = 24,
        Moves = 128;
    private const int Grounds = 7,
        Skies = 5,
        Cameras = 9,
        Counts = 3,
        Sizes = 3,
        Motions = 14;

    /// <summary>
    /// The frames that it looks at: more of them at the start, for what falls or jumps does so in the first half second.
    /// </summary>
    public static readonly IReadOnlyList<int> Moments = [0, 2, 4, 7, 10, 14, 20, 26, 32];

    private readonly Weights weights;
    private readonly Stage fine,
        middle,
        inner,
        wide,
        first,
        second;
    private readonly TimeMix middleTime,
        wideTime;
    private readonly Stage flow,
        flowMiddle,
        flowCoarse;
    private readonly Linear cover,
        coverFine,
        grid,
        scene,
        sceneTime,
        sceneHead,
        slot,
        slotHead,
        clip,
        clipTime,
        clipHead,
        flowGrid,
        flowAll,
        flowClip,
        flowHead;
    private readonly Tensor places;

    /// <summary>Builds the network over weights, which it disposes.</summary>
    public Judge(Weights weights)
    {
        this.weights = weights;
        fine = new Stage(weights.Scope("fine"), 3, Narrow, stride: 2);
        middle = new Stage(weights.Scope("middle"), Narrow, Middle, stride: 2);
        middleTime = new TimeMix(weights.Scope("middle_time"), Middle);
        inner = new Stage(weights.Scope("inner"), Middle, Middle);
        wide = new Stage(weights.Scope("wide"), Middle, Wide, stride: 2);
        wideTime = new TimeMix(weights.Scope("wide_time"), Wide);
        first = new Stage(weights.Scope("first"), Wide, Wide);
        second = new Stage(weights.Scope("second"), Wide, Wide);
        cover = new Linear(weights.Scope("cover"), Wide, 4 * (1 + Colours));
        coverFine = new Linear(weights.Scope("cover_fine"), Middle, 1 + Colours, withBias: false);
        grid = new Linear(weights.Scope("grid"), Wide, Grid);
        scene = new Linear(weights.Scope("scene"), 16 * Grid + Wide + Colours * Statistics, Scene);
        sceneTime = new Linear(weights.Scope("scene_time"), Moments.Count * Scene, Hidden);
        sceneHead = new Linear(weights.Scope("scene_proj_out"), Hidden, Grounds + Skies + Cameras + Counts);
        slot = new Linear(weights.Scope("slot"), Wide + Statistics, Slot);
        slotHead = new Linear(weights.Scope("slot_proj_out"), Slot, 1 + Shapes);
        clip = new Linear(weights.Scope("clip"), Moments.Count * Slot + Hidden, Hidden);
        clipTime = new Linear(weights.Scope("clip_time"), Hidden, Hidden);
        clipHead = new Linear(weights.Scope("clip_proj_out"), Hidden, 1 + Shapes + Sizes + Motions);
        flow = new Stage(weights.Scope("flow"), 3 * Moments.Count, Wide, side: 5, stride: 2);
        flowMiddle = new Stage(weights.Scope("flow_middle"), Wide, Wide, stride: 2);
        flowCoarse = new Stage(weights.Scope("flow_coarse"), Wide, Wide, stride: 2);
        flowGrid = new Linear(weights.Scope("flow_grid"), Wide, Grid);
        flowAll = new Linear(weights.Scope("flow_scene"), 16 * Grid, Moves);
        flowClip = new Linear(weights.Scope("flow_slot"), Moves, Hidden, withBias: false);
        flowHead = new Linear(weights.Scope("moves_proj_out"), Moves, Cameras, withBias: false);
        places = Places().DetachFromDisposeScope();
    }

    /// <summary>Reads a trained judge.</summary>
    /// <exception cref="SoraException">The file isn't there or isn't a judge's.</exception>
    public static Judge Open(string path) => new(Checkpoint.Load(path, new WeightsOptions { DType = float32 }));

    /// <summary>The parameters by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => weights.Named();

    /// <summary>Takes the weights of a judge that had some of these.</summary>
    /// <exception cref="SoraException">The file isn't there, or one of its tensors has another shape.</exception>
    public void Start(string path)
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        using var file = TensorFiles.Open(path);
        foreach (var (name, parameter) in Parameters)
            if (file.Tensors.ContainsKey(name))
                parameter.copy_(TensorFiles.Read(file, name, parameter.shape));
    }

    /// <summary>Writes the weights in half precision.</summary>
    public void Save(string path) => weights.Save(path, float16);

    /// <summary>Looks at clips.</summary>
    /// <param name="frames">The frames at <see cref="Moments"/>, [B, T, 3, 128, 128] in [-1, 1].</param>
    public Opinion Look(Tensor frames)
    {
        var (batch, times) = (frames.shape[0], frames.shape[1]);
        var x = fine.Forward(frames.flatten(0, 1)); // [BT, 16, 64, 64]
        x = middleTime.Forward(middle.Forward(x), times); // [BT, 32, 32, 32]
        var detail = x + inner.Forward(x);
        x = wideTime.Forward(wide.Forward(detail), times); // [BT, 64, 16, 16]
        x = x + first.Forward(x);
        x = x + second.Forward(x);

        var features = x.flatten(2).transpose(1, 2); // [BT, 256, 64]
        var coarse = cover.Forward(features).transpose(1, 2).unflatten(2, 16, 16); // [BT, 44, 16, 16]
        var sharp = coverFine.Forward(detail.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, Cells, Cells);
        var map = functional.pixel_shuffle(coarse, 2) + sharp; // [BT, 11, 32, 32]
        var part = map.softmax(1);
        var (pooled, statistics) = Pool(part, features); // [BT, 11, 64], [BT, 10, 7]

        var cells = functional.avg_pool2d(grid.Forward(features).relu().transpose(1, 2).unflatten(2, 16, 16), 4).flatten(1);
        var whole = scene.Forward(cat([cells, pooled.select(1, 0), statistics.flatten(1)], 1)).relu();
        var context = sceneTime.Forward(whole.view(batch, -1)).relu(); // [B, 192]
        var scenes = sceneHead.Forward(context).split([Grounds, Skies, Cameras, Counts], 1);

        var slots = slot.Forward(cat([pooled.narrow(1, 1, Colours), statistics], 2)).relu(); // [BT, 10, 64]
        var frame = slotHead.Forward(slots).view(batch, times, Colours, 1 + Shapes);
        var over = slots.view(batch, times, Colours, Slot).transpose(1, 2).flatten(2); // [B, 10, T 64]
        over = cat([over, context.unsqueeze(1).expand(batch, Colours, Hidden)], 2);
        var moving = Flow(frames); // [B, 128]
        over = (clip.Forward(over) + flowClip.Forward(moving).unsqueeze(1)).relu();
        var heads = clipHead.Forward(clipTime.Forward(over).relu()).split([1, Shapes, Sizes, Motions], 2);
        return new Opinion
        {
            Ground = scenes[0],
            Sky = scenes[1],
            Camera = scenes[2] + flowHead.Forward(moving),
            Count = scenes[3],
            Present = heads[0].squeeze(2),
            Shape = heads[1],
            Size = heads[2],
            Motion = heads[3],
            Seen = frame.select(3, 0),
            FrameShape = frame.narrow(3, 1, Shapes),
            Cover = map,
        };
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        weights.Dispose();
        places.Dispose();
    }

    /// <summary>How the picture as a whole moves, [B, 128]: convolutions over all frames' changes side by side.</summary>
    private Tensor Flow(Tensor frames)
    {
        var (batch, times) = (frames.shape[0], frames.shape[1]);
        var small = functional.avg_pool2d(frames.flatten(0, 1), 2).view(batch, times, 3, Side / 2, Side / 2);
        var changes = (small.narrow(1, 1, times - 1) - small.narrow(1, 0, times - 1)) * 4;
        var x = flow.Forward(cat([small.mean([1]), changes.flatten(1, 2)], 1)); // [B, 64, 32, 32]
        x = flowCoarse.Forward(flowMiddle.Forward(x)); // [B, 64, 8, 8]
        x = flowGrid.Forward(x.flatten(2).transpose(1, 2)).relu().transpose(1, 2).unflatten(2, 8, 8);
        return flowAll.Forward(functional.avg_pool2d(x, 2).flatten(1)).relu();
    }

    /// <summary>For each part of the map the mean of the features under it, and for each colour its area, place and extent.</summary>
    private (Tensor Features, Tensor Statistics) Pool(Tensor part, Tensor features)
    {
        var weight = functional.avg_pool2d(part, 2).flatten(2); // [BT, 11, 256]
        var mean = Functional.BatchedProduct(weight, features) / (weight.sum(2, keepdim: true) + 1e-2);
        var moments = part.narrow(1, 1, Colours).flatten(2).matmul(places) / (Cells * Cells); // [BT, 10, 6]
        var area = moments.narrow(2, 0, 1) + 1e-5;
        var m = moments / area;
        var (x, y) = (m.narrow(2, 1, 1), m.narrow(2, 2, 1));
        var statistics = cat(
            [
                area.log() * 0.2,
                area.sqrt() * 3,
                x,
                y,
                (m.narrow(2, 3, 1) - x * x).clamp_min(1e-5).sqrt() * 3,
                (m.narrow(2, 4, 1) - y * y).clamp_min(1e-5).sqrt() * 3,
                (m.narrow(2, 5, 1) - x * y) * 10,
            ],
            2
        );
        return (mean, statistics);
    }

    /// <summary>1, x, y, x², y², xy at the cells' centres, [1024, 6]; the frame is [-1, 1] both ways, y down.</summary>
    private static Tensor Places()
    {
        using var scope = NewDisposeScope();
        var line = (arange(Cells).to(float32) + 0.5) * (2.0 / Cells) - 1;
        var (x, y) = (line.repeat(Cells), line.repeat_interleave(Cells));
        return stack([ones(Cells * Cells), x, y, x * x, y * y, x * y], 1).MoveToOuterDisposeScope();
    }

    /// <summary>A convolution, normalised by groups of eight channels, and what is above zero of it.</summary>
    private sealed class Stage(Weights weights, long from, long to, long side = 3, long stride = 1)
    {
        private readonly Tensor weight = weights.Get("weight", Init.Normal(Math.Sqrt(2.0 / (side * side * from))), to, from, side, side);
        private readonly Tensor gain = weights.Get("gain", Init.Ones, to);
        private readonly Tensor bias = weights.Get("bias", Init.Zeros, to);

        public Tensor Forward(Tensor x) =>
            functional.group_norm(Functional.Conv2d(x, weight, null, [stride, stride], [side / 2, side / 2]), to / 8, gain, bias).relu();
    }

    /// <summary>Adds to each frame what a linear map makes of it and its neighbours in time, cell by cell.</summary>
    private sealed class TimeMix(Weights weights, long channels)
    {
        private readonly Tensor weight = weights.Get("weight", Init.FanIn(3 * channels), channels, 3 * channels, 1, 1);

        public Tensor Forward(Tensor x, long times)
        {
            var clips = x.unflatten(0, x.shape[0] / times, times); // [B, T, C, H, W]
            var before = cat([clips.narrow(1, 0, 1), clips.narrow(1, 0, times - 1)], 1);
            var after = cat([clips.narrow(1, 1, times - 1), clips.narrow(1, times - 1, 1)], 1);
            return x + Functional.Conv2d(cat([before - clips, clips, after - clips], 2).flatten(0, 1), weight).relu();
        }
    }
}
