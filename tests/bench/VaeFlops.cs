using Sora.Models.Wan;

namespace Sora.Bench;

/// <summary>Floating-point operations of the flat causal VAE's convolutions, as they are defined, and of its attention.</summary>
internal static class VaeFlops
{
    /// <summary>Of decoding latents of this size.</summary>
    public static double Decode(CausalVaeConfig config, long frames, long height, long width)
    {
        var stages = config.DimMult.Count;
        long inputs = config.BaseDim * config.DimMult[^1];
        var flops = Causal(config.ZDim, inputs, frames, height * width) + Middle(inputs, frames, height * width);
        for (var stage = 0; stage < stages; stage++)
        {
            long outputs = config.BaseDim * config.DimMult[stages - 1 - stage];
            flops += Residuals(inputs, outputs, config.NumResBlocks + 1, frames, height * width);
            if (stage == stages - 1)
                return flops + Causal(outputs, config.OutChannels, frames, height * width);
            if (config.TemporalDownsample[stages - 2 - stage])
            {
                flops += Window(outputs, 2 * outputs, 3, (frames - 1) * height * width);
                frames = 2 * frames - 1;
            }
            (height, width, inputs) = (2 * height, 2 * width, outputs / 2);
            flops += Window(outputs, inputs, 9, frames * height * width);
        }
        throw new ArgumentException("a VAE without stages", nameof(config));
    }

    /// <summary>Of encoding a video of this size.</summary>
    public static double Encode(CausalVaeConfig config, long frames, long height, long width)
    {
        long inputs = config.BaseDim;
        var flops = Causal(config.InChannels, inputs, frames, height * width);
        for (var stage = 0; stage < config.DimMult.Count; stage++)
        {
            long outputs = config.BaseDim * config.DimMult[stage];
            flops += Residuals(inputs, outputs, config.NumResBlocks, frames, height * width);
            inputs = outputs;
            if (stage == config.DimMult.Count - 1)
                break;
            (height, width) = (height / 2, width / 2);
            flops += Window(outputs, outputs, 9, frames * height * width);
            if (!config.TemporalDownsample[stage])
                continue;
            frames = (frames + 1) / 2;
            flops += Window(outputs, outputs, 3, (frames - 1) * height * width);
        }
        return flops + Middle(inputs, frames, height * width) + Causal(inputs, 2 * config.ZDim, frames, height * width);
    }

    private static double Window(long inputs, long outputs, long taps, long places) => 2.0 * inputs * outputs * taps * places;

    /// <summary>The first frame has nothing before it.</summary>
    private static double Causal(long inputs, long outputs, long frames, long area) =>
        Window(inputs, outputs, 9, area) + Window(inputs, outputs, 27, (frames - 1) * area);

    private static double Residuals(long inputs, long outputs, int count, long frames, long area) =>
        Causal(inputs, outputs, frames, area)
        + (inputs == outputs ? 0 : Window(inputs, outputs, 1, frames * area))
        + (2 * count - 1) * Causal(outputs, outputs, frames, area);

    private static double Middle(long channels, long frames, long area) =>
        Residuals(channels, channels, 2, frames, area)
        + Window(channels, channels, 4, frames * area)
        + 4.0 * frames * area * area * channels;
}
