using Sora.Models;

namespace Sora.Sampling;

/// <summary>
/// What a VAE's decoder holds besides its weights, from its sizes alone: the tensors that live at a time in the largest of
/// its stages, and what its convolutions remember of the frames before.
/// </summary>
/// <param name="config">The VAE.</param>
/// <param name="video">Size and frames.</param>
internal sealed class DecodePlan(CausalVaeConfig config, SamplingSettings video)
{
    private readonly int stages = config.DimMult.Count;

    /// <summary>Bytes at the peak, in float32.</summary>
    public long Bytes => (long)(sizeof(float) * (config.IsBlock ? Blocks() : Stages()));

    /// <summary>Floating-point operations of the whole video, in its residual blocks.</summary>
    public double Flops
    {
        get
        {
            double flops = 0;
            for (var stage = 0; stage < stages; stage++)
                flops += 2 * (config.NumResBlocks + 1) * 2 * 27 * Width(stage) * Width(stage) * Pixels(stage) * video.Frames / Math.Pow(2, Doublings(stage));
            return flops;
        }
    }

    /// <summary>Video frames that are decoded at once.</summary>
    private double Frames => Math.Max(1, Math.Min(video.Frames - 1, CausalVae.ChunkOf(video.Height * video.Width, config.TemporalFactor)));

    private double Stages()
    {
        double most = 0, kept = 0, inputs = Width(0);
        for (var stage = 0; stage < stages; stage++)
        {
            double outputs = Width(stage), pixels = Pixels(stage), frames = Frames / Math.Pow(2, Doublings(stage));
            for (var block = 0; block <= config.NumResBlocks; block++)
            {
                var from = block == 0 ? inputs : outputs;
                // Behind the first block the stage's own input waits, where a shortcut leads around all of them.
                var waiting = block > 0 && config.IsResidual ? inputs : 0;
                most = Math.Max(most, pixels * ((waiting + from) * frames + Math.Max(Convolution(from, outputs, frames), Convolution(outputs, outputs, frames, outputs))));
                kept += 2 * pixels * (from + outputs);
            }
            if (stage == stages - 1) continue;
            var (above, next) = (4 * pixels * Frames / Math.Pow(2, Doublings(stage + 1)), config.IsResidual ? outputs : outputs / 2);
            // The input twice, the enlarged one and the result of its convolution; then the result twice, to put frames back.
            most = Math.Max(most, pixels * frames * ((config.IsResidual ? inputs : 0) + 2 * outputs) + above * next + above * Math.Max(outputs, next));
            inputs = next;
        }
        return most + kept + 2 * Pixels(stages - 1) * Width(stages - 1);
    }

    /// <summary>
    /// What lives at a time in norm and convolution: the input, if it is freed then, its square, and the normalised one; that
    /// with the frames before it; those, and them in halves that overlap; the halves, one of them with a border, and the result.
    /// </summary>
    private static double Convolution(double from, double to, double frames, double spent = 0) => ((double[])
    [
        (spent + 2 * from) * frames,
        from * (2 * frames + 2),
        from * (frames > 1 ? 2 * frames + 6 : 3),
        from * (frames + 4) * 1.5 + to * frames,
        2 * to * frames,
    ]).Max();

    /// <summary>One stage on latent frames; what its blocks give stays until the end.</summary>
    private double Blocks()
    {
        double pixels = Pixels(stages - 1), latents = Math.Ceiling(Frames / config.TemporalFactor);
        return pixels * (latents * (config.DecoderBaseDim ?? config.BaseDim) * (config.NumResBlocks + 10) + 3 * Frames * config.OutChannels);
    }

    private double Width(int stage) => (double)(config.DecoderBaseDim ?? config.BaseDim) * config.DimMult[stages - 1 - stage];

    private double Pixels(int stage) => (double)video.Width * video.Height / (config.PatchSize * config.PatchSize) / Math.Pow(4, stages - 1 - stage);

    /// <summary>How often time is doubled behind a stage.</summary>
    private int Doublings(int stage) => config.TemporalDownsample.Take(stages - 1 - stage).Count(doubles => doubles);
}
