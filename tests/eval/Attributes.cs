using Sora.Media;
using Sora.World;

namespace Sora.Eval;

/// <summary>
/// What the judge sees in clips that the model makes from prompts alone, beside what it sees in rendered clips of the
/// same scenes and in those after a pass through the model's VAE: no model can be shown to be better than that.
/// </summary>
internal sealed class Attributes(Workers workers, Judge judge, Report report)
{
    private const int SheetClips = 16,
        SheetFrames = 4,
        SheetColumns = 2,
        SheetGap = 2;

    /// <summary>Scores prompts of the suite: attributes, and how much clips change and flicker.</summary>
    public void Score(int count, string? sheet)
    {
        var prompts = PromptSuite.HeldOut(count, Judge.ClipFrames);
        var shown = new Image?[Math.Min(count, SheetClips)];
        var made = workers.Each(
            "prompts",
            count,
            (subject, i) =>
            {
                var frames = subject.Decode(subject.Generate(prompts[i].Prompt, i));
                if (i < shown.Length)
                    shown[i] = Strip(frames);
                return Look(prompts[i].Scene, frames);
            }
        );
        var rendered = workers.Each("rendered", count, (_, i) => Look(prompts[i].Scene, Scenes.Render(prompts[i].Scene)));
        var some = Math.Max(1, count * 2 / 5);
        var back = workers.Each(
            "reconstructed",
            some,
            (subject, i) => Look(prompts[i * count / some].Scene, subject.Reconstruct(Scenes.Render(prompts[i * count / some].Scene)))
        );
        Write(made, rendered, back);
        if (sheet is not null)
            ContactSheet.Grid(shown.OfType<Image>(), SheetColumns).Save(sheet);
    }

    /// <summary>Scores what happens out of sight and what falls.</summary>
    public void ScorePhysics(int count)
    {
        var (hidden, falling) = (PromptSuite.Occlusion(count), PromptSuite.Falling(count, Judge.ClipFrames));
        Image[] Make(Subject subject, SuitePrompt prompt, int i, int kind) =>
            kind switch
            {
                0 => subject.Decode(subject.Generate(prompt.Prompt, i)),
                1 => Scenes.Render(prompt.Scene),
                _ => subject.Reconstruct(Scenes.Render(prompt.Scene)),
            };
        var names = (string[])["made", "rendered", "reconstructed"];
        var holds = names
            .Select(
                (name, kind) =>
                    workers
                        .Each(
                            $"occlusion, {name}",
                            count,
                            (subject, i) => Permanence.Holds(hidden[i].Scene, Verdict.Of(judge, Make(subject, hidden[i], i, kind)))
                        )
                        .Average(held => held ? 1.0 : 0)
            )
            .ToArray();
        var falls = names
            .Select(
                (name, kind) =>
                    workers.Each(
                        $"falling, {name}",
                        count,
                        (subject, i) => Gravity.Measure(judge, falling[i].Scene, Make(subject, falling[i], i, kind))
                    )
            )
            .ToArray();
        Report.Section("Physics", "", "model", "rendered", "through the VAE", "floor", "aim");
        Report.Row($"permanence through an occlusion ({count})", [.. holds.Select(Report.Percent), "80 %", "95 %"]);
        Report.Row(
            $"a falling ball falls ({count})",
            [.. falls.Select(all => Report.Percent(all.Average(one => one.Falls ? 1.0 : 0))), "", ""]
        );
        Report.Row(
            "its distance from the parabola, in diameters",
            [.. falls.Select(all => Report.Number(all.Average(one => one.Error), 2)), "", ""]
        );
        report.Value("permanence", holds[0]);
        report.Value("permanence_judge", holds[2]);
        report.Value("falls", falls[0].Average(one => one.Falls ? 1.0 : 0));
        report.Value("gravity_error", falls[0].Average(one => one.Error));
        report.Value("gravity_error_judge", falls[2].Average(one => one.Error));
    }

    private Looked Look(Scene scene, Image[] frames) =>
        new(
            scene,
            Verdict.Of(judge, frames),
            Changes.Mean(frames),
            scene.Camera.Move == CameraMove.Static ? Changes.Flicker(frames) : null
        );

    private void Write(params Looked[][] columns)
    {
        var tallies = columns.Select(clips => clips.Aggregate(new Tally(), (tally, clip) => tally.Add(clip.Scene, clip.Verdict))).ToArray();
        void Row(string name, string question, string key, string floor, string aim)
        {
            Report.Row(name, [.. tallies.Select(tally => Report.Percent(tally.Rate(question))), floor, aim]);
            if (tallies[0].Rate(question) is not { } rate)
                return;
            report.Value(key, rate);
            if (tallies[2].Rate(question) is { } judged)
                report.Value($"{key}_judge", judged);
        }
        Report.Section(
            $"Attributes, {columns[0].Length} prompts held out",
            "",
            "model",
            "judge on rendered",
            $"judge through the VAE ({columns[2].Length})",
            "floor",
            "aim"
        );
        foreach (var question in (string[])["ground", "sky", "colour"])
            Row($"{question}, one object", $"{question}.one", question, "97 %", "99 %");
        Row("shape", "shape", "shape", "90 %", "97 %");
        Row("size", "size", "size", "85 %", "97 %");
        Row("count", "count", "count", "", "");
        Row("motion", "motion", "motion", "88 %", "96 %");
        Row("camera", "camera", "camera", "92 %", "96 %");
        Row("two objects, each its colour and shape", "two_objects", "two_objects", "75 %", "90 %");
        foreach (var question in (string[])["ground", "sky", "colour"])
            Row($"{question}, all", question, $"{question}_all", "", "");
        foreach (var question in (string[])["shape", "size", "motion"])
            Row($"{question}, one object", $"{question}.one", $"{question}_one", "", "");

        Report.Section("Change from frame to frame, in levels of 255", "", "model", "rendered", "through the VAE");
        Report.Row("mean difference of neighbours", [.. columns.Select(clips => Report.Number(clips.Average(clip => clip.Change), 2))]);
        Report.Row(
            "flicker of the background, camera still",
            [.. columns.Select(clips => Report.Number(clips.Average(clip => clip.Flicker) ?? double.NaN, 2))]
        );
        report.Value("frame_change", columns[0].Average(clip => clip.Change));
        report.Value("frame_change_rendered", columns[1].Average(clip => clip.Change));
        report.Value("flicker", columns[0].Average(clip => clip.Flicker) ?? double.NaN);
        report.Value("flicker_rendered", columns[1].Average(clip => clip.Flicker) ?? double.NaN);
    }

    /// <summary>Some frames of a clip, side by side.</summary>
    private static Image Strip(IReadOnlyList<Image> frames)
    {
        var (width, height) = (frames[0].Width, frames[0].Height);
        var strip = new Image(SheetFrames * (width + SheetGap) - SheetGap, height);
        for (var i = 0; i < SheetFrames; i++)
            strip.Paste(frames[i * (frames.Count - 1) / (SheetFrames - 1)], i * (width + SheetGap), 0);
        return strip;
    }

    private sealed record Looked(Scene Scene, Verdict Verdict, double Change, double? Flicker);
}
