using Sora.World;

namespace Sora.Eval;

/// <summary>
/// Whether something that was hidden comes out again as what it was. The prompts let an object pass behind a larger one;
/// it must be there, in its colour and shape, in the first quarter second, before it passes, and in the last half second,
/// after it. A verdict on the whole clip couldn't tell, for it sees the object in either case; so the judge's answers for
/// single frames are taken, each part's together: seen in one of its frames, and of the right shape by their sum.
/// </summary>
internal static class Permanence
{
    /// <summary>Places in <see cref="Judge.Moments"/> before and after passing: frames 0, 2 and 4, and 26 and 32.</summary>
    private static readonly int[] Before = [0, 1, 2],
        After = [7, 8];

    /// <summary>Whether the scene's first object is there before and after.</summary>
    public static bool Holds(Scene scene, Verdict verdict) => IsThere(scene, verdict, Before) && IsThere(scene, verdict, After);

    private static bool IsThere(Scene scene, Verdict verdict, int[] moments)
    {
        var wanted = scene.Objects[0];
        var slot = (int)wanted.Colour;
        if (!moments.Any(moment => verdict.Seen[moment][slot]))
            return false;
        var likeness = Enumerable
            .Range(0, Judge.Shapes)
            .Select(shape => moments.Sum(moment => verdict.Likeness[moment][slot][shape]))
            .ToList();
        return likeness.IndexOf(likeness.Max()) == (int)wanted.Shape;
    }
}
