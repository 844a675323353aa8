using Sora.Models.Depth;
using Sora.Training;
using Sora.World;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>How well a model's depth head measures world clips that training can't show, from their encoded latents.</summary>
internal sealed class DepthScores(Subject subject, LatentDepthHead head, Report report)
{
    private const ulong Seed = 0x6465707468;

    /// <summary>Scores so many clips of the usual shape, and a third as many of two others.</summary>
    public void Score(int count)
    {
        using var noGradients = no_grad();
        Report.Section(
            "Depth from latents",
            "",
            "AbsRel",
            "delta1",
            "temporal alignment error",
            "sky found",
            "AbsRel of exact depth in cells",
            "delta1",
            "temporal alignment error",
            "over that"
        );
        Row(new ClipShape(Judge.Side, Judge.Side, Judge.ClipFrames), count, "depth");
        Row(new ClipShape(160, 96, 17), Math.Max(1, count / 3), null);
        Row(new ClipShape(96, 160, 17), Math.Max(1, count / 3), null);
    }

    private void Row(ClipShape shape, int count, string? key)
    {
        var scores = Enumerable.Range(0, count).Select(i => Score(shape, i)).ToList();
        double Mean(Func<ClipScore, double> of) => scores.Average(of);
        var (own, cells) = (Mean(s => s.Alignment), Mean(s => s.CellAlignment));
        Report.Row(
            $"held-out world clips, {shape} ({count})",
            Report.Number(Mean(s => s.Accuracy.AbsRel), 4),
            Report.Number(Mean(s => s.Accuracy.Delta1), 4),
            Report.Number(own, 4),
            Report.Percent(scores.Where(s => double.IsFinite(s.Sky)).Select(s => s.Sky).DefaultIfEmpty(double.NaN).Average()),
            Report.Number(Mean(s => s.CellAccuracy.AbsRel), 4),
            Report.Number(Mean(s => s.CellAccuracy.Delta1), 4),
            Report.Number(cells, 4),
            Report.Number(own / cells, 3)
        );
        if (key is null)
            return;
        report.Value($"{key}_absrel", Mean(s => s.Accuracy.AbsRel));
        report.Value($"{key}_delta1", Mean(s => s.Accuracy.Delta1));
        report.Value($"{key}_temporal", own / cells);
        report.Value($"{key}_temporal_error", own);
        report.Value($"{key}_temporal_error_cells", cells);
    }

    private ClipScore Score(ClipShape shape, int index)
    {
        using var scope = NewDisposeScope();
        var scene = SceneOf(shape, index);
        var clip = Renderer.Render(scene, shape.Width, shape.Height, shape.Frames);
        float[] measured = [.. head.Measure(subject.Latents(Scenes.Frames(clip))).SelectMany(map => map.Values)];
        var cells = Cells(clip, head.Config.Geometry);
        var (accuracy, cellAccuracy) = (DepthAccuracy.Of(measured, clip.Depth), DepthAccuracy.Of(cells, clip.Depth));
        // One scale and shift for the whole clip, as for the accuracy.
        float[] Fitted(float[] inverse, DepthAccuracy fit) => [.. inverse.Select(value => (float)(fit.Scale * value + fit.Shift))];
        var inverse = Fitted(measured, accuracy);
        var sky = clip.Depth.Zip(inverse).Where(pair => float.IsInfinity(pair.First)).ToList();
        return new ClipScore(accuracy, cellAccuracy)
        {
            Alignment = DepthAlignment.Of(scene, clip, inverse),
            CellAlignment = DepthAlignment.Of(scene, clip, Fitted(cells, cellAccuracy)),
            Sky = sky.Count == 0 ? double.NaN : sky.Average(pair => pair.Second < 1 / DepthAccuracy.Farthest ? 1 : 0),
        };
    }

    private static Scene SceneOf(ClipShape shape, int index) =>
        shape.Width == shape.Height
            ? JudgeClips.DrawScene(new Rng(Seed, (ulong)index), Split.HeldOut)
            : SceneSampler.Draw(
                new Rng(Seed, (ulong)index),
                new SceneOptions
                {
                    Frames = shape.Frames,
                    Aspect = shape.Width / (double)shape.Height,
                    Split = Split.HeldOut,
                }
            );

    /// <summary>
    /// The exact inverse depths as the grid of latents resolves them: the mean of each latent's pixels and frames, and linear in
    /// between, in space and time.
    /// </summary>
    internal static float[] Cells(RenderedClip clip, LatentGeometry geometry)
    {
        using var scope = NewDisposeScope();
        var inverse = 1 / tensor(clip.Depth, [1, clip.Frames, clip.Height, clip.Width]);
        var means = nn.functional.avg_pool2d(inverse, geometry.SpatialFactor);
        var even = nn.functional.interpolate(means, [clip.Height, clip.Width], mode: InterpolationMode.Bilinear, align_corners: false);
        var (groups, middles) = (new List<Tensor>(), new List<double>());
        for (var i = 0; i < geometry.LatentFrames(clip.Frames); i++)
        {
            var (first, end) = (geometry.VideoFrames(i), geometry.VideoFrames(i + 1));
            groups.Add(even.narrow(1, first, end - first).mean([1]));
            middles.Add((first + end - 1) / 2.0);
        }
        var frames = Enumerable
            .Range(0, clip.Frames)
            .Select(frame =>
            {
                var after = middles.FindIndex(middle => middle >= frame);
                if (after <= 0)
                    return groups[after < 0 ? ^1 : 0];
                var share = (frame - middles[after - 1]) / (middles[after] - middles[after - 1]);
                return groups[after - 1] * (1 - share) + groups[after] * share;
            });
        return cat([.. frames]).contiguous().data<float>().ToArray();
    }

    private sealed record ClipScore(DepthAccuracy Accuracy, DepthAccuracy CellAccuracy)
    {
        public required double Alignment { get; init; }

        public required double CellAlignment { get; init; }

        /// <summary>The part of the sky that is farther than anything that counts; none: not a number.</summary>
        public required double Sky { get; init; }
    }
}
