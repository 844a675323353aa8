using Sora.Eval;
using Sora.Media;
using Sora.Models.Depth;
using Sora.World;
using Xunit;

namespace Sora.Tests.Evaluation;

public class MeasureTests
{
    [Fact]
    public void PsnrOfAKnownError()
    {
        var (a, b) = (Flat(8, 100), Flat(8, 110));
        Assert.Equal(10 * Math.Log10(255.0 * 255 / 100), Quality.Psnr([a], [b]), 9);
        Assert.Equal(Quality.Identical, Quality.Psnr([a], [a]));
        // The same error in half of the pixels, and only that half looked at.
        var half = Picture(8, (x, y) => x < 4 ? 110 : 100);
        Assert.Equal(10 * Math.Log10(255.0 * 255 / 50), Quality.Psnr([a], [half]), 9);
        Assert.Equal(10 * Math.Log10(255.0 * 255 / 100), Quality.Psnr([a], [half], (_, _, x) => x < 4), 9);
    }

    [Fact]
    public void SsimMatchesItsFormula()
    {
        var random = new Rng(5);
        var noise = Enumerable.Range(0, 1000).Select(_ => random.Below(90)).ToArray();
        var a = Picture(17, (x, y) => 60 + 5 * x + noise[17 * y + x]);
        var b = Picture(17, (x, y) => 70 + 4 * x + noise[(17 * y + x) / 2]);
        Assert.Equal(Direct(a, b), Quality.Ssim([a], [b]), 9);
        Assert.Equal(1, Quality.Ssim([a], [a]), 9);
        Assert.InRange(Quality.Ssim([a], [b]), 0.05, 0.95);
    }

    [Fact]
    public void DriftTellsAJoinFromTheInside()
    {
        // The mean goes up by 1 a frame and by 7 at the join; the deviation stays but there, where it doubles.
        var means = new[] { 50, 51, 52, 59, 60, 61 };
        var frames = means.Select((mean, f) => Picture(8, (x, y) => mean + (x % 2 == 0 ? 1 : -1) * (f < 3 ? 10 : 20))).ToList();
        var (meanAt, meanInside, deviationAt, deviationInside) = Changes.Drift(frames, 3);
        Assert.Equal(7, meanAt, 9);
        Assert.Equal(1, meanInside, 9);
        Assert.Equal(10, deviationAt, 9);
        Assert.Equal(0, deviationInside, 9);
    }

    [Fact]
    public void SeamIsTheLastStepOverTheMedianOne()
    {
        Assert.Equal(1.5, Changes.Seam([Flat(4, 10), Flat(4, 12), Flat(4, 14), Flat(4, 13)]), 9);
        Assert.Equal(0, Changes.Seam([Flat(4, 10), Flat(4, 12), Flat(4, 10)]), 9);
    }

    /// <summary>Half of the pixels go up and down by 1: mean change 1/2; values -1, 1, 0, 1 have a variance of 11/16.</summary>
    [Fact]
    public void FlickerOfDepthDoesNotDependOnScale()
    {
        DepthMap Map(float scale, float left) => new(2, 1, [3 + left * scale, 3 + scale]);
        foreach (var scale in (float[])[1, 8])
            Assert.Equal(0.5 / Math.Sqrt(11.0 / 16), DepthFlicker.Of([Map(scale, -1), Map(scale, 0)]), 6);
    }

    [Fact]
    public void FlickerPassesOverWhatMovesInASmallPart()
    {
        Image Frame(int f) => Picture(8, (x, y) => x < 3 ? 100 * (f % 2) : 50 + 2 * (f % 2));
        Image[] frames = [Frame(0), Frame(1), Frame(2), Frame(3)];
        Assert.Equal(2, Changes.Flicker(frames), 9);
        Assert.Equal((3 * 100 + 5 * 2) / 8.0, Changes.Mean(frames), 9);
    }

    [Fact]
    public void ABallFallsOnTheParabolaAndStaysDown()
    {
        Assert.Equal(2, Gravity.Fallen(2, 0, 0.5));
        Assert.Equal(2 - 0.5 * 9.81 * 0.04 / 0.5, Gravity.Fallen(2, 0.2, 0.5), 9);
        Assert.Equal(0, Gravity.Fallen(2, 1, 0.5));
    }

    [Fact]
    public void TallyAsksEveryObjectOnce()
    {
        var scene = PromptSuite.HeldOut(20, Judge.ClipFrames).Select(prompt => prompt.Scene).First(s => s.Objects.Count == 2);
        var right = Answer(scene);
        var tally = new Tally().Add(scene, right);
        foreach (var question in Tally.Questions)
            Assert.Equal(1, tally.Rate(question));
        Assert.Null(tally.Rate("ground.one"));

        var shapes = right.Shapes.ToArray();
        shapes[(int)scene.Objects[1].Colour] = (Shape)(((int)scene.Objects[1].Shape + 1) % 6);
        tally.Add(scene, right with { Shapes = shapes, Camera = (CameraMove)(((int)right.Camera + 1) % 9) });
        Assert.Equal(0.75, tally.Rate("shape"));
        Assert.Equal(0.5, tally.Rate("two_objects"));
        Assert.Equal(0.5, tally.Rate("camera"));
        Assert.Equal(1, tally.Rate("motion"));
    }

    [Fact]
    public void SomeFramesAreThoseOfTheWholeClip()
    {
        var scene = PromptSuite.HeldOut(1, Judge.ClipFrames)[0].Scene;
        var whole = Scenes.Frames(Renderer.Render(scene, 32, 32, 9));
        var some = Scenes.Frames(Renderer.RenderSome(scene, 32, 32, [2, 8]));
        Assert.Equal(whole[2].Pixels, some[0].Pixels);
        Assert.Equal(whole[8].Pixels, some[1].Pixels);
    }

    private static Verdict Answer(Scene scene)
    {
        T[] Slots<T>(Func<SceneObject, T> label)
            where T : struct
        {
            var slots = new T[Judge.Colours];
            foreach (var o in scene.Objects)
                slots[(int)o.Colour] = label(o);
            return slots;
        }
        return new Verdict
        {
            Ground = scene.Ground,
            Sky = scene.Sky,
            Camera = scene.Camera.Move,
            Count = scene.Objects.Count,
            Present = Slots(_ => true),
            Shapes = Slots(o => o.Shape),
            Sizes = Slots(o => o.Size),
            Motions = Slots(o => o.Motion),
            Seen = [],
            Likeness = [],
        };
    }

    /// <summary>SSIM written out: every 11x11 window on its own.</summary>
    private static double Direct(Image a, Image b)
    {
        var (x, y, n) = (Quality.Luma(a), Quality.Luma(b), a.Width);
        double total = 0,
            windows = 0;
        for (var top = 0; top + 11 <= n; top++)
        {
            for (var left = 0; left + 11 <= n; left++)
            {
                double weights = 0,
                    mx = 0,
                    my = 0,
                    vx = 0,
                    vy = 0,
                    covariance = 0;
                void Each(Action<double, double, double> visit)
                {
                    for (var j = 0; j < 11; j++)
                    for (var i = 0; i < 11; i++)
                        visit(
                            Math.Exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / 4.5),
                            x[(top + j) * n + left + i],
                            y[(top + j) * n + left + i]
                        );
                }
                Each((w, p, q) => (weights, mx, my) = (weights + w, mx + w * p, my + w * q));
                (mx, my) = (mx / weights, my / weights);
                Each(
                    (w, p, q) =>
                    {
                        vx += w / weights * (p - mx) * (p - mx);
                        vy += w / weights * (q - my) * (q - my);
                        covariance += w / weights * (p - mx) * (q - my);
                    }
                );
                const double c1 = 6.5025,
                    c2 = 58.5225;
                total += (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
                windows++;
            }
        }
        return total / windows;
    }

    private static Image Flat(int side, int value) => Picture(side, (_, _) => value);

    private static Image Picture(int side, Func<int, int, int> value) =>
        new(
            side,
            side,
            [
                .. from y in Enumerable.Range(0, side)
                from x in Enumerable.Range(0, side)
                from c in Enumerable.Range(0, 3)
                select (byte)Math.Clamp(value(x, y), 0, 255),
            ]
        );
}
