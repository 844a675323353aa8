namespace Sora.Models.Wan;

/// <summary>What a VAE holds besides its weights while it works through a video, and what it computes, from its sizes alone.</summary>
/// <param name="Bytes">Bytes at the peak.</param>
/// <param name="Flops">Floating-point operations of the whole video.</param>
internal readonly record struct VaeLoad(long Bytes, double Flops)
{
    /// <summary>The load of two that run one after another.</summary>
    public static VaeLoad Then(VaeLoad first, VaeLoad second) => new(Math.Max(first.Bytes, second.Bytes), first.Flops + second.Flops);
}

/// <summary>The <see cref="VaeLoad"/> of encoding and of decoding, in float32.</summary>
/// <param name="config">The VAE.</param>
/// <param name="size">Of the frames.</param>
/// <param name="frames">Video frames.</param>
/// <param name="threads">Threads on the CPU; 0 on another device.</param>
internal sealed class VaePlan(CausalVaeConfig config, FrameSize size, int frames, int threads)
{
    /// <summary>Numbers that are live at the peak.</summary>
    /// <param name="Pixels">For each pixel of the frames that pass at a time, whatever the width.</param>
    /// <param name="Live">For each of these pixels, folded, and each channel of the base width.</param>
    /// <param name="Kept">For each folded pixel of a frame that is remembered, and each channel of the base width.</param>
    private readonly record struct Rate(double Pixels, double Live, double Kept);

    // Measured on two threads: the most bytes that `sora encode` and `sora decode` hold from malloc, less weights and
    // what they hold at 32x32 (`heaptrack` prints them as peak heap memory consumption). On 9 frames of 256x256 to
    // 832x480, on one, and on 65 of 64x64: of these 4, 1 and 64 pass at a time, which tells Live and Kept apart. Pixels
    // are those of models of base width 3.
    private static readonly Rate FlatEncode = new(34, 3.3, 7.9),
        FlatDecode = new(13, 3.6, 13.0),
        ResidualEncode = new(15, 5.2, 6.3),
        ResidualDecode = new(13, 7.5, 13.9),
        BlockEncode = new(15, 0, 0),
        BlockDecode = new(9, 2.9, 0);

    /// <summary>Numbers that a thread works in, for each channel of the base width: from what 16 threads take beyond 2.</summary>
    private const double PerThread = 20_000;

    /// <summary>
    /// Bytes that the C allocator takes for each live one, beyond what <see cref="StageCost.Kept"/> adds: tensors of many
    /// sizes leave gaps. The most that `tests/bench memory SORA MODELS codec` needs for its plans to hold.
    /// </summary>
    private const double Gaps = 1.35;

    /// <summary>
    /// On a GPU norm and convolution are two steps, with a tensor between them. Not measured: a walk through the layers,
    /// which agrees with the CPU's measured peaks, gives 1.00 to 1.07 times as much there.
    /// </summary>
    private const double ApartNorm = 1.07;

    /// <summary>Numbers of a channel of pixels of the whole video.</summary>
    public double Video => (double)frames * size.Width * size.Height;

    private bool IsStill => frames == 1;

    /// <summary>Whether it is the kind that works on blocks of pixels, one group of frames at a time.</summary>
    private bool IsBlock => config.DecodesGroups;

    /// <summary>Encodes frames as they come; the caller holds this many more numbers.</summary>
    public VaeLoad Encode(double held = 0) => Load(held, isDecoder: false, config.BaseDim, OfKind(FlatEncode, ResidualEncode, BlockEncode));

    /// <summary>Decodes frames as they are taken; the caller holds this many more numbers.</summary>
    public VaeLoad Decode(double held = 0) =>
        Load(held, isDecoder: true, config.DecoderBaseDim ?? config.BaseDim, OfKind(FlatDecode, ResidualDecode, BlockDecode));

    private Rate OfKind(Rate flat, Rate residual, Rate block) =>
        IsBlock ? block
        : config.IsResidual ? residual
        : flat;

    private VaeLoad Load(double held, bool isDecoder, double width, Rate rate)
    {
        var pixels = (double)size.Width * size.Height;
        var folded = pixels / (config.PatchSize * config.PatchSize);
        // The frames that pass at a time; the block kind works on whole groups of them.
        var chunk = Math.Max(1, Math.Min(frames - 1, CausalVae.ChunkOf((long)pixels, config.TemporalFactor)));
        var wide = IsBlock ? Math.Max(chunk, config.TemporalFactor) : chunk;
        // Each stage has a quarter of the pixels of the one before; those more than twice as wide dominate.
        var widest = width * config.DimMult.Select((mult, stage) => mult / (double)(1 << stage)).Max();
        var numbers = rate.Pixels * chunk * pixels + widest * folded * (rate.Live * wide + rate.Kept * (IsStill ? 1 : 2));
        var all = held + (threads > 0 ? Gaps * (numbers + PerThread * threads * width) : ApartNorm * numbers);
        return new((long)(sizeof(float) * all), Operations(isDecoder, width) * Video);
    }

    /// <summary>Floating-point operations of the convolutions, for each pixel of a video.</summary>
    private double Operations(bool isDecoder, double width)
    {
        var (sum, places, blocks) = (0.0, 1.0 / (config.PatchSize * config.PatchSize), config.NumResBlocks + (isDecoder ? 1 : 0));
        if (IsBlock)
            return isDecoder ? 36.0 * config.NumResBlocks * width * width * places / config.TemporalFactor : 0;
        var window = IsStill ? 9 : 27;
        double Of(int stage) => width * config.DimMult[stage];
        sum += window * places * (isDecoder ? config.OutChannels : config.InChannels) * width;
        for (var (stage, last) = (0, config.DimMult.Count - 1); stage <= last; stage++)
        {
            var here = Of(stage);
            // The previous stage's output: the decoder begins at the last, and its steps halve the channels of the flat
            // kind.
            var from =
                !isDecoder ? Of(Math.Max(0, stage - 1))
                : stage == last ? here
                : Of(stage + 1) / (config.IsResidual ? 1 : 2);
            sum += window * places * (from + (2 * blocks - 1) * here) * here;
            if (stage == last)
                sum += window * places * (4 * here + (isDecoder ? 1 : 2) * config.ZDim) * here;
            else
                sum += 9 * places * (isDecoder ? Of(stage + 1) * from : here * here / 4);
            if (stage < last)
                places /= config.TemporalDownsample[stage] && !IsStill ? 8 : 4;
        }
        return 2 * sum;
    }
}
