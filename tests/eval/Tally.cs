using Sora.World;

namespace Sora.Eval;

/// <summary>Counts how often what was asked for is what the judge sees.</summary>
internal sealed class Tally
{
    /// <summary>What a clip with one object is asked, and what every clip is asked, in the order of tables.</summary>
    public static readonly IReadOnlyList<string> Questions =
    [
        "ground",
        "sky",
        "colour",
        "shape",
        "size",
        "count",
        "motion",
        "camera",
        "two_objects",
    ];

    private readonly Dictionary<string, (int Right, int Asked)> counts = [];

    /// <summary>
    /// Compares a verdict with the scene that was asked for. Ground, sky, camera and number are asked once a clip; colour,
    /// shape, size and motion once an object, the latter three of whatever has the object's colour. Two objects are right when
    /// both colours are there with their own shapes. Under "NAME.one" are the clips that shall show a single object.
    /// </summary>
    public Tally Add(Scene scene, Verdict verdict)
    {
        var one = scene.Objects.Count == 1;
        void Ask(string what, bool right)
        {
            Count(what, right);
            if (one)
                Count(what + ".one", right);
        }
        Ask("ground", verdict.Ground == scene.Ground);
        Ask("sky", verdict.Sky == scene.Sky);
        Ask("camera", verdict.Camera == scene.Camera.Move);
        Ask("count", verdict.Count == scene.Objects.Count);
        foreach (var o in scene.Objects)
        {
            var slot = (int)o.Colour;
            Ask("colour", verdict.Present[slot]);
            Ask("shape", verdict.Shapes[slot] == o.Shape);
            Ask("size", verdict.Sizes[slot] == o.Size);
            Ask("motion", verdict.Motions[slot] == o.Motion);
        }
        if (scene.Objects.Count == 2)
            Ask("two_objects", scene.Objects.All(o => verdict.Present[(int)o.Colour] && verdict.Shapes[(int)o.Colour] == o.Shape));
        return this;
    }

    /// <summary>Counts one answer.</summary>
    public void Count(string what, bool right)
    {
        var (old, asked) = counts.GetValueOrDefault(what);
        counts[what] = (old + (right ? 1 : 0), asked + 1);
    }

    /// <summary>The part of answers that were right, or null where nothing was asked.</summary>
    public double? Rate(string what) => counts.TryGetValue(what, out var count) ? (double)count.Right / count.Asked : null;
}
