namespace Sora.Models.Wan;

/// <summary>What a VAE holds besides its weights while it works through a video, and what it computes, from its sizes alone.</summary>
/// <param name="Bytes">Bytes at the peak.</param>
/// <param name="Flops">Floating-point operations of the whole video.</param>
internal readonly record struct VaeLoad(long Bytes, double Flops)
{
    /// <summary>That of two that come one after the other.</summary>
    public static VaeLoad Then(VaeLoad first, VaeLoad second) => new(Math.Max(first.Bytes, second.Bytes), first.Flops + second.Flops);
}

/// <summary>The <see cref="VaeLoad"/> of encoding and of decoding, in float32.</summary>
/// <param name="config">The VAE.</param>
/// <param name="size">Of the frames.</param>
/// <param name="frames">Video frames.</param>
/// <param name="threads">Threads on the CPU; 0 on another device.</param>
internal sealed class VaePlan(CausalVaeConfig config, FrameSize size, int frames, int threads)
{
    /// <summary>Pixels as floats: red, green, blue.</summary>
    private const double Colours = 3;

    private readonly int stages = config.DimMult.Count;

    /// <summary>Numbers of a channel of pixels of the whole video.</summary>
    public double Video => (double)frames * size.Width * size.Height;

    /// <summary>Encodes frames as they come; whoever asks for it holds so many numbers besides.</summary>
    public VaeLoad Encode(double held = 0)
    {
        var (all, walk) = (Chunk, new VaePeakMemory(threads, frames == 1));
        // Bytes of each picture, and of all; as float32, divided, and moved to the middle.
        walk.Live(held + 3 * Colours * all.Area + 3 * Colours * all.Area / sizeof(float));
        held += Colours * all.Area;
        if (config.DecodesGroups)
        {
            // Folded twice, and laid out for the product.
            walk.Live(held + 4 * Colours * all.Area);
            return Load(walk);
        }
        var at = all with { Pixels = all.Pixels / (config.PatchSize * config.PatchSize) };
        if (config.PatchSize > 1)
            held += config.InChannels * at.Area;
        double width = config.BaseDim;
        walk.Conv(at, config.InChannels, width, held - config.InChannels * at.Area);
        for (var stage = 0; stage < stages; stage++)
        {
            var (input, outputs, whole) = (width, (double)config.BaseDim * config.DimMult[stage], at);
            // The stage's own input waits for the shortcut around all of it.
            double Waiting(bool isInput) => held + (config.IsResidual && !isInput ? input * whole.Area : 0);
            for (var block = 0; block < config.NumResBlocks; block++, width = outputs)
                walk.Residual(at, width, outputs, Waiting(block == 0));
            if (stage == stages - 1)
                continue;
            at = walk.Down(at, outputs, config.TemporalDownsample[stage], Waiting(false));
            // Its cells are put in order and averaged; the blocks' result is there still.
            if (config.IsResidual)
                walk.Live(held + 2 * input * whole.Area + outputs * (whole.Area + at.Area));
        }
        Middle(walk, at, width);
        walk.NormConv(at, width, 2 * config.ZDim, held, spends: true);
        return Load(walk);
    }

    /// <summary>Decodes frames as they are taken; whoever asks for it holds so many numbers besides.</summary>
    public VaeLoad Decode(double held = 0)
    {
        var (all, walk) = (Chunk, new VaePeakMemory(threads, frames == 1));
        // Unfolded, clamped, and five steps to bytes, which are put in order, copied, and cut into pictures.
        walk.Live(held + 8 * Colours * all.Area + 4 * Colours * all.Area / sizeof(float));
        if (config.DecodesGroups)
        {
            walk.Live(held + Blocks(all));
            return Load(walk);
        }
        double width = (config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[^1];
        var at = new Grid(Math.Max(1, all.Frames / config.TemporalFactor), all.Pixels / (config.SpatialFactor * config.SpatialFactor));
        walk.Conv(at, config.ZDim, width, held);
        Middle(walk, at, width);
        for (var stage = 0; stage < stages; stage++)
        {
            var (input, outputs, whole, isLast) = (
                width,
                (double)(config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[stages - 1 - stage],
                at,
                stage == stages - 1
            );
            double Waiting(bool isInput) => held + (config.IsResidual && !isLast && !isInput ? input * whole.Area : 0);
            for (var block = 0; block <= config.NumResBlocks; block++, width = outputs)
                walk.Residual(at, width, outputs, Waiting(block == 0));
            if (isLast)
                continue;
            var doublesTime = config.TemporalDownsample[stages - 2 - stage];
            width = config.IsResidual ? outputs : outputs / 2;
            at = walk.Up(at, outputs, width, doublesTime, Waiting(false));
            if (config.IsResidual)
                walk.Live(Waiting(false) + outputs * whole.Area + Duplicated(input, outputs, whole, at));
        }
        walk.NormConv(at, width, config.OutChannels, held, spends: true);
        return Load(walk);
    }

    /// <summary>The frames that pass at a time.</summary>
    private Grid Chunk =>
        new(
            Math.Max(1, Math.Min(frames - 1, CausalVae.ChunkOf((long)size.Width * size.Height, config.TemporalFactor))),
            (double)size.Width * size.Height
        );

    private VaeLoad Load(VaePeakMemory walk) => new((long)(sizeof(float) * (walk.Most + walk.Kept)), walk.Flops * frames / Chunk.Frames);

    private static void Middle(VaePeakMemory walk, Grid at, double width)
    {
        walk.Residual(at, width, width, 0);
        walk.Attention(at, width);
        walk.Residual(at, width, width, 0);
    }

    /// <summary>
    /// The result of a stage, and the shortcut to be added to it: channels repeated, put in order and, where whole cells are of
    /// one channel, enlarged.
    /// </summary>
    private static double Duplicated(double from, double to, Grid at, Grid large)
    {
        var repeats = to * large.Area / (from * at.Area);
        var isEnlarged = repeats % 4 == 0;
        var spread = from * at.Area * (isEnlarged ? repeats / 4 : repeats);
        return to * large.Area + 2 * spread + (isEnlarged ? to * large.Area : 0);
    }

    /// <summary>The one stage of the block kind, on latent frames; what its blocks give stays until the end.</summary>
    private double Blocks(Grid all)
    {
        var (pixels, latents) = (all.Pixels / (config.PatchSize * config.PatchSize), Math.Ceiling(all.Frames / config.TemporalFactor));
        return pixels
            * (latents * (config.DecoderBaseDim ?? config.BaseDim) * (config.NumResBlocks + 10) + 3 * all.Frames * config.OutChannels);
    }
}
