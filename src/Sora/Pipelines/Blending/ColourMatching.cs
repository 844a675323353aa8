using Sora.Conditions;
using static TorchSharp.torch;

namespace Sora.Pipelines.Blending;

/// <summary>
/// Keeps colours from jumping where made frames meet known ones. What a model adds to a clip drifts a little from it in
/// level and contrast, which shows as a flash at the join. As Adaptive Instance Normalization does (Huang and Belongie
/// 2017, arXiv:1703.06868; LTX-Video's long videos use it on latents), mean and deviation of each channel are led back to
/// those of the known neighbour, but only as far as they change more than from one known frame to the next.
/// </summary>
internal static class ColourMatching
{
    /// <summary>A jump of more than this part of the picture's own deviation isn't drift: the picture was meant to change.</summary>
    private const double MeantLevel = 0.25;

    /// <summary>Likewise for a factor of contrast, as a logarithm.</summary>
    private const double MeantContrast = 0.3;

    /// <summary>Frames don't follow a correction exactly: what is left of the jump is corrected again, this many times in all.</summary>
    private const int Rounds = 8;

    /// <summary>A jump that exceeds the usual change by less than this part of the deviation isn't visible.</summary>
    private const double Invisible = 1e-3;

    /// <summary>Whether there are colours to match: frames that are unknown as a whole, next to some that are known as a whole.</summary>
    /// <param name="mask">[1, 1, T, h, w], 1 where latents are known.</param>
    public static bool Applies(Tensor mask) => Gaps(mask).Any();

    /// <summary>The latents with runs of unknown frames matched to what is known before and after them.</summary>
    /// <param name="colours">Finished latents, and how their colours are measured.</param>
    /// <param name="mask">[1, 1, T, h, w], 1 where they are known. Frames that are partly known stay as they are.</param>
    public static Tensor Match(IColours colours, Tensor mask)
    {
        foreach (var (run, known) in Gaps(mask))
        {
            var before = known.Before is { } left ? Corrections(colours, left) : null;
            var after = known.After is { } right ? Corrections(colours, right) : null;
            if ((before ?? after) is null)
                continue;
            colours.Correct(
                run,
                toEnd =>
                    (before, after) switch
                    {
                        ({ } first, { } last) => [.. first.Zip(last, (f, l) => (f * (1 - toEnd)) + (l * toEnd))],
                        _ => (before ?? after)!,
                    }
            );
        }
        return colours.Latents;
    }

    /// <summary>Runs of unknown frames [start, end), and where they meet known ones.</summary>
    private static IEnumerable<((int Start, int End) Run, (Join? Before, Join? After) Known)> Gaps(Tensor mask)
    {
        var (known, unknown) = (Masks.WhollyKnown(mask), Masks.WhollyKnown(1 - mask));
        int Row(int from, int away)
        {
            var frame = from;
            while (frame >= 0 && frame < known.Length && known[frame])
                frame += away;
            return Math.Abs(frame - from);
        }

        for (int start = 0, end; start < known.Length; start = end)
        {
            end = start + 1;
            if (!unknown[start])
                continue;
            while (end < known.Length && unknown[end])
                end++;
            var (before, after) = (Row(start - 1, -1), Row(end, 1));
            // A single video frame before the known ones says nothing about them.
            if (end == 1)
                after = 0;
            var made = end - start;
            Join? At(int edge, int away, int count) => count > 0 ? new Join(edge, away, count, made) : null;
            if (before + after > 0)
                yield return ((start, end), (At(start - 1, -1, before), At(end, 1, after)));
        }
    }

    /// <summary>
    /// The correction from the made frame at a join to the known one, for each
    /// channel; null where there is nothing to go by, or no need.
    /// </summary>
    private static Correction[]? Corrections(IColours colours, Join join)
    {
        if (colours.Usual(join) is not { } usual)
            return null;
        var all = new Correction[usual.Length];
        for (var round = 0; round < Rounds; round++)
        {
            var (known, made) = colours.Across(join, all);
            var jump = known.Zip(made, (k, m) => k.To(m)).ToArray();
            if (round == 0 && IsMeant(known, jump))
                return null;
            Correction[] excess =
            [
                .. jump.Zip(
                    usual,
                    (j, u) =>
                        new Correction(Excess(j.Level, u.Level), Excess(Math.Clamp(j.Contrast, -MeantContrast, MeantContrast), u.Contrast))
                ),
            ];
            if (
                excess
                    .Zip(known)
                    .All(e => Math.Abs(e.First.Level) <= Invisible * e.Second.Deviation && Math.Abs(e.First.Contrast) <= Invisible)
            )
                break;
            all = [.. all.Zip(excess, (a, e) => a + e)];
        }
        return all.Any(c => c != default) ? all : null;
    }

    /// <summary>The mean absolute change of each channel from frame to frame.</summary>
    internal static Correction[] MeanChange(IReadOnlyList<ChannelStatistics[]> frames) =>
        [
            .. frames[0]
                .Select(
                    (_, c) =>
                    {
                        var changes = frames.Zip(frames.Skip(1), (one, other) => one[c].To(other[c])).ToList();
                        return new Correction(
                            changes.Average(change => Math.Abs(change.Level)),
                            changes.Average(change => Math.Abs(change.Contrast))
                        );
                    }
                ),
        ];

    /// <summary>Whether a jump is too large to be drift. Channels count by how much of the picture is theirs.</summary>
    private static bool IsMeant(ChannelStatistics[] known, Correction[] jump)
    {
        var power = known.Sum(k => k.Deviation * k.Deviation);
        var level = Math.Sqrt(jump.Sum(j => j.Level * j.Level) / power);
        var contrast = Math.Sqrt(
            jump.Zip(known).Sum(c => c.Second.Deviation * c.Second.Deviation * c.First.Contrast * c.First.Contrast) / power
        );
        return !(level < MeantLevel && contrast < MeantContrast);
    }

    /// <summary>The correction of a change back to the largest usual one.</summary>
    private static double Excess(double change, double usual) => Math.Clamp(change, -usual, usual) - change;
}

/// <summary>Where made frames meet known ones.</summary>
/// <param name="Edge">The known latent frame next to a made one.</param>
/// <param name="Away">The direction in which the known ones go on: 1 or -1.</param>
/// <param name="Count">How many of them are in a row, up to the video's first one.</param>
/// <param name="Made">How many made ones are in a row on the other side of it.</param>
internal readonly record struct Join(int Edge, int Away, int Count, int Made);

/// <summary>Mean and standard deviation of a channel of a frame.</summary>
internal readonly record struct ChannelStatistics(double Mean, double Deviation)
{
    private const double Tiny = 1e-6;

    /// <summary>How a channel changes to another frame.</summary>
    public Correction To(ChannelStatistics other) => new(other.Mean - Mean, Math.Log((other.Deviation + Tiny) / (Deviation + Tiny)));

    /// <summary>Of a channel's values in one frame.</summary>
    public static ChannelStatistics Of(ReadOnlySpan<float> values)
    {
        var (sum, squares) = (0.0, 0.0);
        foreach (var value in values)
            sum += value;
        var mean = sum / values.Length;
        foreach (var value in values)
            squares += (value - mean) * (value - mean);
        return new(mean, Math.Sqrt(squares / values.Length));
    }
}

/// <summary>What is added to a channel, and the logarithm of what its differences from its mean are multiplied by.</summary>
internal readonly record struct Correction(double Level, double Contrast)
{
    public static Correction operator *(Correction one, double share) => new(one.Level * share, one.Contrast * share);

    public static Correction operator +(Correction one, Correction other) => new(one.Level + other.Level, one.Contrast + other.Contrast);
}

/// <summary>Latents whose colours can be measured and corrected.</summary>
internal interface IColours
{
    /// <summary>The latents as they are now.</summary>
    Tensor Latents { get; }

    /// <summary>How much each channel changes from one frame to the next near a join; null: there is nothing to go by.</summary>
    Correction[]? Usual(Join join);

    /// <summary>The known and the made frame on both sides of a join, where the made one gets corrections for each channel.</summary>
    (ChannelStatistics[] Known, ChannelStatistics[] Made) Across(Join join, Correction[] corrections);

    /// <summary>
    /// Corrects a run of latent frames by what a function says for each part, from 0 at the first frame to 1 at the last.
    /// </summary>
    void Correct((int Start, int End) run, Func<double, Correction[]> at);
}
