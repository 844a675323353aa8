namespace Sora.World;

/// <summary>A prompt to judge a model by, with a scene whose labels are the right answer.</summary>
/// <param name="Prompt">The scene's canonical caption.</param>
/// <param name="Scene">A scene that does what the prompt says; other placements are as right.</param>
public sealed record SuitePrompt(string Prompt, Scene Scene);

/// <summary>
/// Fixed prompts for evaluation. None of them can occur in training (<see cref="HeldOut"/>), and the same call gives the
/// same prompts on every machine.
/// </summary>
public static class PromptSuite
{
    private const ulong Seed = 20_240_001;

    /// <summary>
    /// Prompts whose motions, skies, camera moves and numbers of objects (six of ten one, three two, one three) come in
    /// turn, as the first object's colours do, and whose other attributes are drawn.
    /// </summary>
    public static IReadOnlyList<SuitePrompt> HeldOut(int count = 140, int frames = 9) =>
        Build(
            1,
            count,
            i => new SceneOptions
            {
                Frames = frames,
                Motion = (Motion)(i % 14),
                Then = FollowUp.None,
                Colour = (Colour)((i + i / 10) % 10),
                Sky = (Sky)((i + i / 14) % 5),
                Camera = (CameraMove)((i + i / 14) % 9),
                Count = (i * 3 % 10) switch
                {
                    < 6 => 1,
                    < 9 => 2,
                    _ => 3,
                },
                Interaction = Interaction.None,
            }
        );

    /// <summary>An object passes behind a larger one and comes out on the other side; the camera stands still.</summary>
    public static IReadOnlyList<SuitePrompt> Occlusion(int count = 20, int frames = 33) =>
        Build(
            2,
            count,
            _ => new SceneOptions
            {
                Frames = frames,
                Camera = CameraMove.Static,
                Count = 2,
                Interaction = Interaction.PassBehind,
            }
        );

    /// <summary>
    /// A ball falls; the camera stands still. Until it lands its centre's height is Start.Y - g t²/2, which
    /// <see cref="Simulation"/> gives for every frame.
    /// </summary>
    public static IReadOnlyList<SuitePrompt> Falling(int count = 20, int frames = 17) =>
        Build(
            3,
            count,
            _ => new SceneOptions
            {
                Frames = frames,
                Camera = CameraMove.Static,
                Count = 1,
                Shape = Shape.Ball,
                Motion = Motion.Fall,
            }
        );

    private static SuitePrompt[] Build(ulong suite, int count, Func<int, SceneOptions> options)
    {
        var prompts = new SuitePrompt[count];
        for (var i = 0; i < count; i++)
        {
            var scene = SceneSampler.Draw(new Rng(Seed + suite, (ulong)i), options(i) with { Split = Split.HeldOut });
            prompts[i] = new SuitePrompt(Captions.Canonical(scene), scene);
        }
        return prompts;
    }
}
