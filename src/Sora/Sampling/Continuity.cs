using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Keeps colours from jumping where made frames meet known ones. What a model adds to a clip drifts a little from it in
/// level and contrast, which shows as a flash at the join. As Adaptive Instance Normalization does (Huang and Belongie
/// 2017, arXiv:1703.06868; LTX-Video's long videos use it on latents), mean and deviation of each latent channel are led
/// back to those of the known neighbour, but only as far as they change more than from one known frame to the next.
/// </summary>
internal static class Continuity
{
    /// <summary>A jump of more than this part of the picture's own deviation is no drift: the scene was meant to change.</summary>
    private const double MeantLevel = 0.25;

    /// <summary>Likewise for a factor of contrast, as a logarithm.</summary>
    private const double MeantContrast = 0.3;

    /// <summary>The latents with runs of unknown frames matched to what is known before and behind them.</summary>
    /// <param name="latents">Normalised latents [1, C, T, h, w], finished.</param>
    /// <param name="mask">[1, 1, T, h, w], 1 where they are known. Frames of which a part is known stay as they are.</param>
    public static Tensor Match(Tensor latents, Tensor mask)
    {
        using var scope = NewDisposeScope();
        var (known, unknown) = (Windows.WhollyKnown(mask), Windows.WhollyKnown(1 - mask));
        var places = (int)(latents.shape[3] * latents.shape[4]);
        var channels = new Channel[latents.shape[1]];
        var values = latents.to(float32).cpu().contiguous().data<float>().ToArray();
        for (var c = 0; c < channels.Length; c++) channels[c] = new(values.AsMemory(c * known.Length * places, known.Length * places), places);
        var changed = false;
        for (int start = 0, end; start < known.Length; start = end)
        {
            end = start + 1;
            if (!unknown[start]) continue;
            while (end < known.Length && unknown[end]) end++;
            var before = Corrections(channels, known, (start - 1, -1));
            var behind = Corrections(channels, known, (end, 1));
            if (before is null && behind is null) continue;
            changed = true;
            for (var c = 0; c < channels.Length; c++) channels[c].Correct((start, end), before?[c], behind?[c]);
        }
        var result = changed ? tensor(values, latents.shape).to(latents.device).to(latents.dtype) : latents.alias();
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// What brings the neighbour of a known frame to it, for each channel; null where there is nothing to go by. The first
    /// latent frame is a single video frame, and no measure for the others.
    /// </summary>
    /// <param name="channels">The latents.</param>
    /// <param name="known">Which frames are known.</param>
    /// <param name="edge">The known frame next to the unknown ones, and the direction in which the known ones go on.</param>
    private static Correction[]? Corrections(Channel[] channels, bool[] known, (int Frame, int Away) edge)
    {
        var (at, away) = edge;
        var pairs = 0;
        for (var i = at; Known(i) && Known(i + away); i += away) pairs++;
        if (pairs == 0 || at - away < 1) return null;
        var all = channels.Select(channel =>
        {
            var usual = Enumerable.Range(0, pairs).Select(i => channel.Change(at + ((i + 1) * away), at + (i * away))).ToList();
            return (Jump: channel.Change(at, at - away), Usual: new Correction(usual.Average(u => Math.Abs(u.Level)), usual.Average(u => Math.Abs(u.Contrast))), Deviation: channel.Deviation(at));
        }).ToList();
        // Channels count by how much of the picture is theirs.
        var power = all.Sum(c => c.Deviation * c.Deviation);
        var level = Math.Sqrt(all.Sum(c => c.Jump.Level * c.Jump.Level) / power);
        var contrast = Math.Sqrt(all.Sum(c => c.Deviation * c.Deviation * c.Jump.Contrast * c.Jump.Contrast) / power);
        if (!(level < MeantLevel && contrast < MeantContrast)) return null;
        return [.. all.Select(c => new Correction(Excess(c.Jump.Level, c.Usual.Level), Excess(Math.Clamp(c.Jump.Contrast, -MeantContrast, MeantContrast), c.Usual.Contrast)))];

        bool Known(int frame) => frame >= 1 && frame < known.Length && known[frame];
    }

    /// <summary>What takes a change back to the most that is usual.</summary>
    private static double Excess(double change, double usual) => Math.Clamp(change, -usual, usual) - change;

    /// <summary>What is added to a channel, and the logarithm of what its differences from its mean are multiplied by.</summary>
    private readonly record struct Correction(double Level, double Contrast)
    {
        public static Correction operator *(Correction one, double share) => new(one.Level * share, one.Contrast * share);

        public static Correction operator +(Correction one, Correction other) => new(one.Level + other.Level, one.Contrast + other.Contrast);
    }

    /// <summary>One channel of all latent frames.</summary>
    private sealed class Channel(Memory<float> values, int places)
    {
        private const double Tiny = 1e-6;

        /// <summary>From one frame to another: what the mean rises by, and the logarithm of the ratio of deviations.</summary>
        public Correction Change(int from, int to) =>
            new(Mean(to) - Mean(from), Math.Log((Deviation(to) + Tiny) / (Deviation(from) + Tiny)));

        public double Deviation(int frame)
        {
            var (mean, squares) = (Mean(frame), 0.0);
            foreach (var value in Frame(frame)) squares += (value - mean) * (value - mean);
            return Math.Sqrt(squares / places);
        }

        /// <summary>Corrects a run of frames; between two known neighbours the one's correction goes over into the other's.</summary>
        public void Correct((int Start, int End) run, Correction? before, Correction? behind)
        {
            for (var frame = run.Start; frame < run.End; frame++)
            {
                var toEnd = (frame - run.Start + 0.5) / (run.End - run.Start);
                var correction = (before, behind) switch
                {
                    ({ } left, { } right) => (left * (1 - toEnd)) + (right * toEnd),
                    ({ } left, null) => left,
                    (null, { } right) => right,
                    _ => default,
                };
                var (mean, factor) = (Mean(frame), Math.Exp(correction.Contrast));
                var own = Frame(frame);
                for (var i = 0; i < places; i++) own[i] = (float)(mean + ((own[i] - mean) * factor) + correction.Level);
            }
        }

        private Span<float> Frame(int frame) => values.Span.Slice(frame * places, places);

        private double Mean(int frame)
        {
            var sum = 0.0;
            foreach (var value in Frame(frame)) sum += value;
            return sum / places;
        }
    }
}
