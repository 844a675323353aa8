using Sora.World;
using Xunit;

namespace Sora.Tests.World;

public class SamplerTests
{
    private static Scene[] Draw(int count, SceneOptions options) =>
        [.. Enumerable.Range(0, count).Select(i => SceneSampler.Draw(new Rng(21, (ulong)i), options))];

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(33)]
    public void SplitsKeepApart(int frames)
    {
        Assert.DoesNotContain(Draw(150, new SceneOptions { Frames = frames }), HeldOut.Contains);
        Assert.All(Draw(30, new SceneOptions { Frames = frames, Split = Split.HeldOut }), s => Assert.True(HeldOut.Contains(s)));
        var held = Draw(100, new SceneOptions { Frames = frames, Split = Split.Any }).Count(HeldOut.Contains);
        Assert.InRange(held, 10, 50); // a tenth to a half
    }

    [Fact]
    public void HoldingOutTreatsLeftAndRightAlike() =>
        Assert.All(Draw(100, new SceneOptions { Split = Split.Any }), s => Assert.Equal(HeldOut.Contains(s), HeldOut.Contains(s.Mirror())));

    [Fact]
    public void EveryLabelIsCommonInTraining()
    {
        var scenes = Draw(1000, new SceneOptions());
        var objects = scenes.SelectMany(s => s.Objects).ToArray();
        Common(objects.Select(o => o.Shape));
        Common(objects.Select(o => o.Colour));
        Common(objects.Select(o => o.Size));
        Common(objects.Select(o => o.Motion));
        Common(scenes.Select(s => s.Ground));
        Common(scenes.Select(s => s.Sky));
        Common(scenes.Select(s => s.Camera.Move));
        Common(scenes.Select(s => s.Interaction));
        Common(scenes.SelectMany(s => s.Relations).Select(r => r.Relation));
        Assert.InRange(scenes.Count(s => s.Objects.Count == 1), 480, 620);
        Assert.InRange(scenes.Count(s => s.Objects.Count == 3), 60, 140);
    }

    private static void Common<T>(IEnumerable<T> values)
        where T : struct, Enum
    {
        var all = values.ToArray();
        foreach (var value in Enum.GetValues<T>())
            Assert.True(all.Count(v => v.Equals(value)) >= all.Length / 150, $"{value} is rare");
    }

    [Fact]
    public void TheSameSeedGivesTheSameScene()
    {
        var options = new SceneOptions { Frames = 17, Aspect = 1.5 };
        var (a, b) = (SceneSampler.Draw(new Rng(5, 6), options), SceneSampler.Draw(new Rng(5, 6), options));
        Assert.Equal(Renderer.Render(a, 48, 32, 2).Rgb, Renderer.Render(b, 48, 32, 2).Rgb);
        Assert.NotEqual(Renderer.Render(a, 48, 32, 2).Rgb, Renderer.Render(SceneSampler.Draw(new Rng(5, 7), options), 48, 32, 2).Rgb);
    }

    [Theory]
    [InlineData(0.5, 9)]
    [InlineData(0.75, 17)]
    [InlineData(16.0 / 9, 65)]
    [InlineData(2, 5)]
    public void EveryFormatHasScenes(double aspect, int frames) =>
        Assert.All(Draw(12, new SceneOptions { Aspect = aspect, Frames = frames }), s => Assert.Equal((frames - 1) / 16.0, s.Duration));

    [Fact]
    public void WishesAreKept()
    {
        var scene = SceneSampler.Draw(
            new Rng(1),
            new SceneOptions
            {
                Count = 1,
                Shape = Shape.Ball,
                Colour = Colour.Red,
                Motion = Motion.RollLeft,
                Ground = Ground.Sand,
                Sky = Sky.Sunset,
                Camera = CameraMove.ZoomIn,
                Size = ObjectSize.Small,
            }
        );
        Assert.Equal("a small red ball rolls left on sand at sunset, the camera zooms in", Captions.Canonical(scene));
        Assert.Throws<SoraException>(() =>
            SceneSampler.Draw(new Rng(1), new SceneOptions { Shape = Shape.Cube, Motion = Motion.RollLeft })
        );
    }

    [Fact]
    public void RelationsHoldInThePicture()
    {
        foreach (var scene in Draw(100, new SceneOptions { Count = 2 }))
        {
            var camera = scene.Camera.At(0);
            foreach (var (subject, relation, reference) in scene.Relations)
            {
                var a = camera.Project(scene.Objects[subject].Start, 1);
                var b = camera.Project(scene.Objects[reference].Start, 1);
                Assert.True(
                    relation switch
                    {
                        Relation.LeftOf => a.X < b.X,
                        Relation.RightOf => a.X > b.X,
                        Relation.InFrontOf => a.Depth < b.Depth,
                        _ => a.Depth > b.Depth,
                    }
                );
            }
        }
    }

    [Fact]
    public void TheSuiteIsHeldOutAndFixed()
    {
        var suite = PromptSuite.HeldOut();
        Assert.True(suite.Count >= 120);
        Assert.All(suite, p => Assert.True(HeldOut.Contains(p.Scene)));
        Assert.All(suite, p => Assert.Equal(Captions.Canonical(p.Scene), p.Prompt));
        Assert.True(suite.Select(p => p.Prompt).Distinct().Count() >= suite.Count - 2);
        Assert.Equal(suite.Select(p => p.Prompt), PromptSuite.HeldOut().Select(p => p.Prompt));
        Common(suite.Select(p => p.Scene.Ground));
        Common(suite.Select(p => p.Scene.Camera.Move));
    }

    [Fact]
    public void TheFallingSuiteHasItsParabola()
    {
        foreach (var prompt in PromptSuite.Falling(5))
        {
            var ball = prompt.Scene.Objects[0];
            var simulation = Simulation.Run(prompt.Scene, 17, 16);
            for (var frame = 0; frame < 4; frame++)
            {
                var t = frame / 16.0;
                Assert.Equal(ball.Start.Y - 0.5 * Simulation.Gravity * t * t, simulation.At(frame, 0).Position.Y, 1e-9);
            }
        }
    }
}
