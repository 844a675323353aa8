using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>
/// Two mountain ranges far away, the same in every scene: each direction has its own mountain, high to the right of where a still
/// camera looks, low to the left. They show that a camera turns, on grounds and under skies that look alike everywhere.
/// </summary>
internal static class Skyline
{
    /// <summary>The colour behind: that of mountains where there are some, else that of the sky.</summary>
    /// <param name="sky">The colours in these directions without mountains.</param>
    /// <param name="d">Unit directions.</param>
    /// <param name="haze">The sky's colour at the horizon below.</param>
    /// <param name="lit">The colour of the ground in the light; theirs is a dark one of it.</param>
    /// <param name="pixel">The angle of a pixel in radians.</param>
    public static V3 Over(V3 sky, V3 d, V3 haze, Rgb lit, float pixel)
    {
        var level = One / Vector256.Sqrt(d.X * d.X + d.Z * d.Z);
        var (along, slope) = (d.X / Max(-d.Z, All(0.2f)), d.Y * level);
        var tone = All(lit);
        var far = All(0.015f) + All(0.125f) * Wave(along * All(1.05f) + All(0.25f)) + All(0.02f) * Wave(along * All(3.7f));
        var near = All(0.05f) * Wave(along * All(2.2f) + All(0.45f)) - All(0.01f);
        sky = V3.Lerp(sky, V3.Lerp(tone * All(0.3f), haze, All(0.15f)), Below(slope, far, pixel));
        return V3.Lerp(sky, V3.Lerp(tone * All(0.18f), haze, All(0.05f)), Below(slope, near, pixel));
    }

    /// <summary>The part of a pixel that is below a height.</summary>
    private static V Below(V slope, V height, float pixel) => Saturate((height - slope) * All(1 / pixel) + All(0.5f));
}
