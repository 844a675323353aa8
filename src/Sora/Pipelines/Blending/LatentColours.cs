using static TorchSharp.torch;

namespace Sora.Pipelines.Blending;

/// <summary>Colours as a VAE's latents hold them: each channel of a latent frame. Every VAE has them, and nothing needs decoding.</summary>
internal sealed class LatentColours : IColours
{
    private readonly Tensor latents;
    private readonly float[] values;
    private readonly int frames,
        places;
    private bool changed;

    /// <param name="latents">Normalised latents [1, C, T, h, w].</param>
    public LatentColours(Tensor latents)
    {
        this.latents = latents;
        (frames, places) = ((int)latents.shape[2], (int)(latents.shape[3] * latents.shape[4]));
        using var scope = NewDisposeScope();
        values = latents.to(float32).cpu().contiguous().data<float>().ToArray();
    }

    public Tensor Latents => changed ? tensor(values, latents.shape).to(latents.device).to(latents.dtype) : latents.alias();

    private int Channels => (int)latents.shape[1];

    public Correction[]? Usual(Join join)
    {
        // The first latent frame is a single video frame, and says nothing about the others.
        var known = Enumerable.Range(0, join.Count).Select(i => join.Edge + (i * join.Away)).Where(frame => frame > 0).ToList();
        return known.Count < 2 ? null : ColourMatching.MeanChange([.. known.Select(Colours)]);
    }

    public (ChannelStatistics[] Known, ChannelStatistics[] Made) Across(Join join, Correction[] corrections)
    {
        var made = Colours(join.Edge - join.Away)
            .Zip(corrections, (own, c) => new ChannelStatistics(own.Mean + c.Level, own.Deviation * Math.Exp(c.Contrast)));
        return (Colours(join.Edge), [.. made]);
    }

    public void Correct((int Start, int End) run, Func<double, Correction[]> at)
    {
        changed = true;
        for (var frame = run.Start; frame < run.End; frame++)
        {
            var corrections = at((frame - run.Start + 0.5) / (run.End - run.Start));
            for (var c = 0; c < Channels; c++)
            {
                var own = Values(c, frame);
                var (mean, factor) = (ChannelStatistics.Of(own).Mean, Math.Exp(corrections[c].Contrast));
                for (var i = 0; i < places; i++)
                    own[i] = (float)(mean + ((own[i] - mean) * factor) + corrections[c].Level);
            }
        }
    }

    private ChannelStatistics[] Colours(int frame) =>
        [.. Enumerable.Range(0, Channels).Select(c => ChannelStatistics.Of(Values(c, frame)))];

    private Span<float> Values(int channel, int frame) => values.AsSpan((channel * frames + frame) * places, places);
}
