using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>
/// Two ranges of hills far away, which are where they are: the same direction has the same hill in every scene with the same
/// ground. They are what a turning camera is seen by, on grounds and under skies that look alike everywhere.
/// </summary>
internal static class Skyline
{
    /// <summary>The colour behind: that of hills where there are some, else that of the sky.</summary>
    /// <param name="sky">The colours in these directions without hills.</param>
    /// <param name="d">Unit directions.</param>
    /// <param name="haze">The sky's colour at the horizon below.</param>
    /// <param name="ground">Whose hills.</param>
    /// <param name="lit">Their colour in the light.</param>
    /// <param name="pixel">The angle of a pixel in radians.</param>
    public static V3 Over(V3 sky, V3 d, V3 haze, Ground ground, Rgb lit, float pixel)
    {
        var level = One / Vector256.Sqrt(d.X * d.X + d.Z * d.Z);
        var (along, slope) = (d.X / Max(-d.Z, All(0.2f)), d.Y * level);
        var own = 0.37f * (int)ground;
        var tone = All(lit);
        var far = All(0.02f) + All(0.052f) * Wave(along * All(1.7f) + All(own)) + All(0.022f) * Wave(along * All(4.3f) + All(1.9f * own));
        var near = All(0.046f) * Wave(along * All(2.6f) + All(0.45f + own)) - All(0.01f);
        sky = V3.Lerp(sky, V3.Lerp(tone * All(0.85f), haze, All(0.32f)), Below(slope, far, pixel));
        return V3.Lerp(sky, V3.Lerp(tone * All(0.55f), haze, All(0.1f)), Below(slope, near, pixel));
    }

    /// <summary>The part of a pixel that is below a height.</summary>
    private static V Below(V slope, V height, float pixel) => Saturate((height - slope) * All(1 / pixel) + All(0.5f));
}
