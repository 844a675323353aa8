using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Videos of any length: windows slide over what is there already, each filling in what lies behind. A video that fits
/// into one window is made in one piece.
/// </summary>
internal sealed class Windows(Pipeline pipeline, SamplingSettings settings)
{
    private readonly int group = pipeline.Model.Vae.TemporalFactor;

    /// <summary>Whether a video is longer than a window.</summary>
    public static bool Needed(ModelFolder model, SamplingSettings settings)
    {
        if (settings.Window <= settings.Overlap)
            throw SoraException.Usage($"a window of {settings.Window} frames that overlaps by {settings.Overlap} gets nowhere", "--overlap is smaller than --window");
        return Latents(settings.Frames, model.Vae.TemporalFactor) > Latents(settings.Window, model.Vae.TemporalFactor);
    }

    /// <summary>Latent frames of so many video frames.</summary>
    public static int Latents(int frames, int group) => (frames - 1) / group + 1;

    /// <summary>Fills in what is unknown of a video of <see cref="SamplingSettings.Frames"/> frames.</summary>
    /// <returns>Normalised latents [1, C, T, h, w]; where the mask is 1 they are the known ones.</returns>
    public Tensor Fill(Conditioning conditioning)
    {
        using var scope = NewDisposeScope();
        var shape = settings.LatentShape(pipeline.Model.Vae);
        var total = (int)shape[2];
        var window = Math.Min(total, Latents(settings.Window, group));
        var overlap = Latents(settings.Overlap, group);
        var whole = conditioning.Known?.clone() ?? zeros(shape, device: pipeline.Device);
        var mask = conditioning.Mask?.clone() ?? zeros([1, 1, .. shape[2..]], device: whole.device);
        for (var done = LeadingKnown(mask); done < total;)
        {
            var start = Math.Clamp(done - overlap, 0, total - window);
            var part = new Conditioning
            {
                Known = whole.narrow(2, start, window),
                Mask = mask.narrow(2, start, window),
                Control = conditioning.Control,
            };
            whole.narrow(2, start, window).copy_(pipeline.Sample(At(start, window, done), part));
            done = start + window;
            mask.narrow(2, start, window).fill_(1);
            done += LeadingKnown(mask.narrow(2, done, total - done));
        }
        return whole.MoveToOuterDisposeScope();
    }

    /// <summary>Settings of a window of latent frames, of which those from <paramref name="fresh"/> on are new.</summary>
    private SamplingSettings At(int start, int length, int fresh)
    {
        var firstNew = (fresh - 1) * group + 1;
        return settings with
        {
            Frames = (length - 1) * group + 1,
            FirstLatent = settings.FirstLatent + start,
            Prompt = settings.Later.LastOrDefault(later => later.Frame <= firstNew)?.Prompt ?? settings.Prompt,
            Later = [],
        };
    }

    /// <summary>Frames at the start of which everything is known.</summary>
    private static int LeadingKnown(Tensor mask)
    {
        using var scope = NewDisposeScope();
        if (mask.shape[2] == 0) return 0;
        var known = mask.amin([0, 1, 3, 4]).cpu().data<float>().ToArray();
        return known.TakeWhile(value => value > 0.5).Count();
    }
}
