using Sora.Conditions;
using Sora.Media;
using Sora.World;

namespace Sora.Eval;

/// <summary>
/// Clips that are known in part: a rendered scene of the suite gives that part, its prompt says the rest. The known part
/// after decode is compared with what the VAE alone makes of it, and the judge looks at the whole clip. In a region one
/// object changes its colour.
/// </summary>
internal sealed class Conditioned(Workers workers, Judge judge, Report report)
{
    private const int Prefix = 17,
        Last = Judge.ClipFrames - 1;

    /// <summary>A region that fills more of the frame leaves nothing to be kept.</summary>
    private const double LargestRegion = 0.6;

    private readonly IReadOnlyList<SuitePrompt> suite = PromptSuite.HeldOut(frames: Judge.ClipFrames);

    /// <summary>Scores every task on so many scenes, and loops on <paramref name="loops"/>.</summary>
    public void Score(int count, int loops)
    {
        Report.Section(
            $"Clips of which a part is known ({count} each)",
            "known",
            "PSNR against the VAE's own, dB",
            "against the original, dB",
            "the VAE's own, dB",
            "ground",
            "sky",
            "colour",
            "shape",
            "size",
            "motion",
            "camera"
        );
        var firsts = Row("first frame", "first_frame", count, (subject, prompt, seed) => FromStills(subject, prompt, seed, 0));
        report.Value("first_frame_psnr_judge", firsts.Average(outcome => outcome.Own));
        Row("last frame", "last_frame", count, (subject, prompt, seed) => FromStills(subject, prompt, seed, Last));
        Row("both ends", "both_ends", count, (subject, prompt, seed) => FromStills(subject, prompt, seed, 0, Last));
        var extended = Row("first 17 frames, extended", "prefix", count, Extend);
        var looped = Row("first 17 frames, closed to a loop", "loop", loops, Loop);
        var regions = Regions().ToList();
        Row(
            "all but a box, another colour in it",
            "region",
            Math.Min(count, regions.Count),
            (subject, _, seed) => Change(subject, regions[seed * regions.Count / Math.Min(count, regions.Count)], seed)
        );
        var chained = workers.Each("own clips, extended", count, (subject, i) => Chain(subject, Prompt(i, count), i));
        Report.Section("Joins", "", "model", "wanted");
        WriteDrift($"rendered clips, extended ({count})", "join", [.. extended.Select(outcome => outcome.Frames)], Prefix);
        WriteDrift($"own clips, extended ({count})", "own_join", chained, Judge.ClipFrames);
        WriteSeams([.. looped.Select(outcome => Changes.Seam(outcome.Frames))]);
    }

    /// <summary>One of so many prompts, spread over the suite.</summary>
    private SuitePrompt Prompt(int i, int count) => suite[i * suite.Count / count];

    private Outcome[] Row(string name, string key, int count, Func<Subject, SuitePrompt, int, Outcome> work)
    {
        var outcomes = workers.Each(
            name,
            count,
            (subject, i) =>
            {
                var outcome = work(subject, Prompt(i, count), i);
                return outcome with { Verdict = Verdict.Of(judge, outcome.Frames) };
            }
        );
        var tally = outcomes.Aggregate(new Tally(), (all, outcome) => all.Add(outcome.Scene, outcome.Verdict!));
        var (own, original, vae) = (
            outcomes.Average(outcome => outcome.Own),
            outcomes.Average(outcome => outcome.Original),
            outcomes.Average(outcome => outcome.Vae)
        );
        Report.Row(
            $"{name} ({count})",
            [
                own == Quality.Identical ? "the same" : Report.Number(own, 1),
                Report.Number(original, 1),
                Report.Number(vae, 1),
                .. ((string[])["ground", "sky", "colour", "shape", "size", "motion", "camera"]).Select(question =>
                    Report.Percent(tally.Rate(question))
                ),
            ]
        );
        report.Value($"{key}_psnr", own);
        report.Value($"{key}_psnr_original", original);
        foreach (var question in (string[])["colour", "shape", "motion"])
            report.Value($"{key}_{question}", tally.Rate(question) ?? 0);
        return outcomes;
    }

    /// <summary>Pictures at some frames.</summary>
    private static Outcome FromStills(Subject subject, SuitePrompt prompt, int seed, params int[] at)
    {
        var rendered = Scenes.Render(prompt.Scene);
        var frames = subject.Decode(
            subject.Generate(prompt.Prompt, seed, [.. at.Select(frame => new Still(frame, rendered[frame], Fit.Stretch))])
        );
        var stills = at.Select(frame => rendered[frame]).ToList();
        return Compare(
            prompt.Scene,
            frames,
            [.. at.Select(frame => frames[frame])],
            [.. stills.Select(still => subject.Reconstruct([still])[0])],
            stills
        );
    }

    private static Outcome Extend(Subject subject, SuitePrompt prompt, int seed)
    {
        var known = Scenes.Render(prompt.Scene)[..Prefix];
        var clip = subject.Encode(known);
        var frames = subject.Decode(subject.Extend(clip, prompt.Prompt, seed, Judge.ClipFrames - Prefix));
        return Compare(prompt.Scene, frames, frames[..Prefix], subject.Decode(clip), known);
    }

    /// <summary>A clip from a prompt, and half as much more.</summary>
    private static Image[] Chain(Subject subject, SuitePrompt prompt, int seed) =>
        subject.Decode(subject.Extend(subject.Generate(prompt.Prompt, seed), prompt.Prompt, seed, Judge.ClipFrames - Prefix));

    private static Outcome Loop(Subject subject, SuitePrompt prompt, int seed)
    {
        var known = Scenes.Render(prompt.Scene)[..Prefix];
        var clip = subject.Encode(known);
        var frames = subject.Decode(subject.Loop(clip, prompt.Prompt, seed, Judge.ClipFrames - Prefix));
        return Compare(prompt.Scene, frames, frames[..Prefix], subject.Decode(clip), known);
    }

    private static Outcome Change(Subject subject, (Scene Scene, Scene Changed, Box Box) region, int seed)
    {
        var rendered = Scenes.Render(region.Scene);
        var clip = subject.Encode(rendered);
        var (made, mask) = subject.Change(clip, region.Box, Captions.Canonical(region.Changed), seed);
        var frames = subject.Decode(made);
        var known = mask.cpu().contiguous().data<float>().ToArray();
        var (rows, columns) = ((int)mask.shape[3], (int)mask.shape[4]);
        bool Kept(int frame, int y, int x) =>
            known[((frame + 3) / 4 * rows + y * rows / Judge.Side) * columns + x * columns / Judge.Side] > 0.5f;
        return Compare(region.Changed, frames, frames, subject.Decode(clip), rendered, Kept);
    }

    private static Outcome Compare(
        Scene scene,
        Image[] frames,
        IReadOnlyList<Image> made,
        IReadOnlyList<Image> vae,
        IReadOnlyList<Image> original,
        Func<int, int, int, bool>? counts = null
    ) => new(scene, frames, Quality.Psnr(made, vae, counts), Quality.Psnr(made, original, counts), Quality.Psnr(vae, original, counts));

    /// <summary>Scenes of the suite whose first object stays in a box, the box, and the scene with another colour for it.</summary>
    private IEnumerable<(Scene Scene, Scene Changed, Box Box)> Regions()
    {
        foreach (var (_, scene) in suite)
        {
            var clip = Scenes.Clip(scene);
            var (left, top, right, bottom) = (Judge.Side, Judge.Side, -1, -1);
            for (var i = 0; i < clip.Objects.Length; i++)
            {
                if (clip.Objects[i] != 1)
                    continue;
                var (x, y) = (i % Judge.Side, i / Judge.Side % Judge.Side);
                (left, top, right, bottom) = (Math.Min(left, x), Math.Min(top, y), Math.Max(right, x), Math.Max(bottom, y));
            }
            if ((right - left + 1) * (bottom - top + 1) > LargestRegion * Judge.Side * Judge.Side)
                continue;
            var taken = scene.Objects.Select(o => o.Colour).ToHashSet();
            var colour = Enumerable
                .Range(3, Judge.Colours)
                .Select(step => (Colour)(((int)scene.Objects[0].Colour + step) % Judge.Colours))
                .First(c => !taken.Contains(c));
            yield return (
                scene,
                scene with
                {
                    Objects = [scene.Objects[0] with { Colour = colour }, .. scene.Objects.Skip(1)],
                },
                new Box(left, top, right - left + 1, bottom - top + 1)
            );
        }
    }

    private void WriteDrift(string name, string key, Image[][] clips, int join)
    {
        var drifts = clips.Select(frames => Changes.Drift(frames, join)).ToList();
        var mean = drifts.Sum(drift => drift.MeanAt) / drifts.Sum(drift => drift.MeanInside);
        var deviation = drifts.Sum(drift => drift.DeviationAt) / drifts.Sum(drift => drift.DeviationInside);
        Report.Row($"{name}: change of the mean colour at the join, over that inside", Report.Number(mean, 2), "below 1.5");
        Report.Row($"{name}: change of its standard deviation, likewise", Report.Number(deviation, 2), "below 1.5");
        report.Value($"{key}_mean_drift", mean);
        report.Value($"{key}_deviation_drift", deviation);
    }

    private void WriteSeams(double[] seams)
    {
        Report.Row(
            $"last to first frame of a loop, over the median of neighbours ({seams.Length})",
            Report.Number(seams.Average(), 2),
            "at most 1"
        );
        Report.Row("loops without a seam", Report.Percent(seams.Average(seam => seam <= 1 ? 1.0 : 0)), "100 %");
        report.Value("loop_seam", seams.Average());
        report.Value("loop_without_seam", seams.Average(seam => seam <= 1 ? 1.0 : 0));
    }

    /// <summary>A clip, and PSNR of its known part against the VAE's own, of both against the original.</summary>
    private sealed record Outcome(Scene Scene, Image[] Frames, double Own, double Original, double Vae)
    {
        public Verdict? Verdict { get; init; }
    }
}
