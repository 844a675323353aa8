using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Videos of any length: windows slide over what is there already, each filling in what lies behind. A window ends where
/// another prompt takes over, and one that comes near to what is known further on sees some of that, so that it can lead
/// there. A video that fits into one window, and has one prompt, is made in one piece.
/// </summary>
/// <param name="pipeline">Samples each window.</param>
/// <param name="settings">Of the whole video.</param>
/// <param name="preview">Sees the current estimate of a window after every model call.</param>
internal sealed class Windows(Pipeline pipeline, SamplingSettings settings, Action<Tensor>? preview = null)
{
    private readonly int group = pipeline.Model.Vae.TemporalFactor;

    /// <summary>Whether a video is longer than a window, or has several prompts.</summary>
    public static bool Needed(ModelFolder model, SamplingSettings settings)
    {
        if (settings.Window <= settings.Overlap)
            throw SoraException.Usage($"a window of {settings.Window} frames that overlaps by {settings.Overlap} gets nowhere", "--overlap is smaller than --window");
        return settings.Later.Any(later => later.Frame < settings.Frames)
            || Latents(settings.Frames, model.Vae.TemporalFactor) > Latents(settings.Window, model.Vae.TemporalFactor);
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
        var whole = conditioning.Known?.clone() ?? zeros(shape, device: pipeline.Device);
        var mask = conditioning.Mask?.clone() ?? zeros([1, 1, .. shape[2..]], device: whole.device);
        var known = WhollyKnown(mask);
        for (var done = 0; done < total;)
        {
            if (known[done])
            {
                done++;
                continue;
            }
            var (start, end) = Next(known, done);
            var length = end - start;
            var (seen, hints) = (mask.narrow(2, start, length), conditioning.Hints?.narrow(2, start, length));
            // A mask of zeros is no mask: the network takes the same path, and the result the same bits, as without windows.
            var nothing = hints is null && seen.max().ToDouble() == 0;
            var part = new Conditioning
            {
                Known = nothing ? null : whole.narrow(2, start, length),
                Mask = nothing ? null : seen,
                Hints = hints,
                Control = conditioning.Control,
            };
            whole.narrow(2, start, length).copy_(pipeline.Sample(At(start, length, done), part, preview));
            mask.narrow(2, start, length).fill_(1);
            done = end;
        }
        return whole.MoveToOuterDisposeScope();
    }

    /// <summary>The latent frames [start, end) of the window that fills in from <paramref name="done"/> on, as far as it goes.</summary>
    internal (int Start, int End) Next(bool[] known, int done)
    {
        var (total, window) = (known.Length, Math.Min(known.Length, Latents(settings.Window, group)));
        var overlap = Math.Min(Math.Min(done, window - 1), Latents(settings.Overlap, group));
        var gap = known.AsSpan(done).IndexOf(true) is >= 0 and var length ? length : total - done;
        var target = done + gap == total ? 0 : Math.Min(known.AsSpan(done + gap).IndexOf(false) is >= 0 and var run ? run : total - done - gap, Math.Max(1, window / 4));
        var prompt = LaterPrompts().Where(latent => latent > done).Append(total).Min();
        // The last piece before what is known has room for some of it; the piece before that leaves it as much as it can take.
        var last = Math.Max(1, window - overlap - target);
        var fresh = gap <= last ? gap + target : Math.Min(window - overlap, target == 0 ? gap : gap - last);
        var end = done + fresh;
        if (prompt < done + Math.Min(fresh, gap)) end = prompt;
        else if (gap <= last && target > 0) end = Math.Max(end, Math.Min(WithKnown(known, end), done - overlap + window));
        return (Math.Max(0, end - window), end);
    }

    /// <summary>The end of the known latent frames that begin before <paramref name="end"/>.</summary>
    private static int WithKnown(bool[] known, int end)
    {
        while (end < known.Length && known[end]) end++;
        return end;
    }

    /// <summary>Latent frames from which on another prompt holds.</summary>
    private IEnumerable<int> LaterPrompts() => settings.Later.Select(later => (later.Frame + group - 1) / group);

    /// <summary>Settings of a window of latent frames, of which those from <paramref name="fresh"/> on are new.</summary>
    private SamplingSettings At(int start, int length, int fresh) => settings with
    {
        Frames = (length - 1) * group + 1,
        FirstLatent = settings.FirstLatent + start,
        Prompt = settings.Later.LastOrDefault(later => (later.Frame + group - 1) / group <= fresh)?.Prompt ?? settings.Prompt,
        Later = [],
    };

    /// <summary>For each latent frame, whether all of it is known.</summary>
    private static bool[] WhollyKnown(Tensor mask)
    {
        using var scope = NewDisposeScope();
        return [.. mask.amin([0, 1, 3, 4]).cpu().data<float>().ToArray().Select(value => value > 0.5)];
    }
}
