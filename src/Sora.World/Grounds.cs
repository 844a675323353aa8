using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>Eight points of the ground and the size of a pixel there.</summary>
/// <param name="X">In metres.</param>
/// <param name="Z">In metres.</param>
/// <param name="WidthX">Extent of the pixel along x, in metres: finer detail is averaged away.</param>
/// <param name="WidthZ">Extent along z.</param>
internal readonly record struct GroundPoints(V X, V Z, V WidthX, V WidthZ);

/// <summary>What light meets on the ground: colour, slopes of the surface along x and z, and how much it mirrors.</summary>
internal readonly record struct GroundSurface(V3 Albedo, V SlopeX, V SlopeZ, V Mirror);

/// <summary>
/// Procedural ground textures. Each is filtered over the pixel as it is evaluated, so that the ground needs no further
/// samples and does not flicker under a moving camera. Dunes, patches, drifts, waves, planks and slabs are in the same
/// places in every scene, like the mountains, so that they show a moving camera; grain, tufts and roughness are each scene's own.
/// </summary>
internal static class Grounds
{
    /// <summary>The mean colour, which light reflected from below takes on.</summary>
    public static Rgb Mean(Ground ground) =>
        ground switch
        {
            Ground.Sand => Rgb.Shown(0.85, 0.71, 0.47),
            Ground.Grass => Rgb.Shown(0.29, 0.54, 0.16),
            Ground.Snow => Rgb.Shown(0.88, 0.90, 0.93),
            Ground.Water => Rgb.Shown(0.14, 0.42, 0.58),
            Ground.Wood => Rgb.Shown(0.60, 0.38, 0.21),
            Ground.Stone => Rgb.Shown(0.52, 0.53, 0.55),
            _ => Rgb.Shown(0.62, 0.61, 0.60),
        };

    /// <summary>The surface at eight points.</summary>
    public static GroundSurface Surface(Ground ground, GroundPoints p, float seconds, uint seed)
    {
        var surface = Texture(ground, p, seconds, seed);
        // Patches as large as a cloud's shadow: they show the ground moving where everything else is too fine.
        var shade = Smooth(Noise(p.X * All(0.5f) + All(0.3f), p.Z * All(0.5f), Shared ^ 0x77u), 0.4f, 0.6f);
        return surface with { Albedo = surface.Albedo * (One - All(0.38f) * shade) };
    }

    private static GroundSurface Texture(Ground ground, GroundPoints p, float seconds, uint seed) =>
        ground switch
        {
            Ground.Sand => Sand(p, seed),
            Ground.Grass => Grass(p, seed),
            Ground.Snow => Snow(p, seed),
            Ground.Water => Water(p, seconds, seed),
            Ground.Wood => Wood(p, seed),
            Ground.Stone => Stone(p, seed),
            _ => Checker(p),
        };

    private static GroundSurface Sand(GroundPoints p, uint seed)
    {
        var width = Mean(p);
        var warp = Noise(p.X * All(1.1f), p.Z * All(1.1f), Shared);
        var ripple = Wave(p.Z * All(3.6f) + p.X * All(0.5f) + warp * All(2.2f)) - All(0.5f);
        ripple *= Fade(p.WidthZ, 3.6f);
        var grain = (Noise(p.X * All(11), p.Z * All(11), seed ^ 7) - All(0.5f)) * Fade(width, 11);
        var tone = Saturate(All(0.5f) + All(0.55f) * ripple + All(0.25f) * grain + All(0.75f) * (warp - All(0.5f)));
        return Matte(V3.Lerp(All(Rgb.Shown(0.76, 0.60, 0.37)), All(Rgb.Shown(0.93, 0.81, 0.57)), tone));
    }

    private static GroundSurface Grass(GroundPoints p, uint seed)
    {
        var width = Mean(p);
        var patch = Noise(p.X * All(1.4f), p.Z * All(1.4f), Shared) - All(0.5f);
        var tuft = (Noise(p.X * All(6), p.Z * All(4), seed ^ 3) - All(0.5f)) * Fade(width, 6);
        var blade = (Noise(p.X * All(21), p.Z * All(9), seed ^ 5) - All(0.5f)) * Fade(width, 16);
        var tone = Saturate(All(0.5f) + All(0.9f) * patch + All(0.6f) * tuft + All(0.6f) * blade);
        return Matte(V3.Lerp(All(Rgb.Shown(0.13, 0.36, 0.08)), All(Rgb.Shown(0.44, 0.70, 0.22)), tone));
    }

    private static GroundSurface Snow(GroundPoints p, uint seed)
    {
        var drift = Noise(p.X * All(0.9f), p.Z * All(1.5f), Shared);
        var hollow = Noise(p.X * All(2.7f), p.Z * All(3.6f), seed ^ 9) * Fade(Mean(p), 3.6f);
        var tone = Smooth(drift * All(0.7f) + hollow * All(0.3f), 0.2f, 0.65f);
        return Matte(V3.Lerp(All(Rgb.Shown(0.70, 0.77, 0.89)), All(Rgb.Shown(0.95, 0.95, 0.96)), tone));
    }

    private static GroundSurface Water(GroundPoints p, float seconds, uint seed)
    {
        // Two trains of waves that move through each other; their slopes tilt the mirror.
        var shift = All(0.55f * seconds);
        V slow = Fade(p.WidthZ, 2.2f),
            fast = Fade(p.WidthZ, 4.6f);
        var first = (Noise(p.X * All(1.6f) + shift, p.Z * All(2.9f) + shift, Shared) - All(0.5f)) * slow;
        var second = (Noise(p.X * All(3.1f) - shift, p.Z * All(5.3f) + shift, seed ^ 11) - All(0.5f)) * fast;
        var height = first + All(0.6f) * second;
        var albedo = V3.Lerp(All(Rgb.Shown(0.05, 0.27, 0.44)), All(Rgb.Shown(0.16, 0.50, 0.64)), Saturate(height + All(0.5f)));
        return new GroundSurface(albedo, All(0.10f) * (first - second), All(0.30f) * height, One);
    }

    private static GroundSurface Wood(GroundPoints p, uint seed)
    {
        const float plank = 0.42f;
        var across = p.X * All(1 / plank);
        var index = Vector256.Floor(across);
        var own = Hash(index, V.Zero, Shared);
        var grain = Noise(p.X * All(16), p.Z * All(1.7f) + own * All(37), seed ^ 13) - All(0.5f);
        grain *= Fade(p.WidthX, 16);
        var knots = Noise(p.X * All(4), p.Z * All(0.9f) + own * All(53), seed ^ 17) - All(0.5f);
        var tone = Saturate(All(0.45f) + All(0.7f) * (own - All(0.5f)) * Fade(p.WidthX, 1.5f) + All(0.5f) * grain + All(0.4f) * knots);
        var seam = Line(across, p.WidthX * All(1 / plank), 0.07f);
        var albedo = V3.Lerp(All(Rgb.Shown(0.46, 0.27, 0.14)), All(Rgb.Shown(0.77, 0.53, 0.31)), tone);
        return Matte(albedo * (One - All(0.75f) * seam));
    }

    private static GroundSurface Stone(GroundPoints p, uint seed)
    {
        const float tile = 0.6f;
        V row = p.Z * All(1 / tile),
            rowIndex = Vector256.Floor(row);
        var shift = All(0.5f) * (rowIndex - All(2) * Vector256.Floor(rowIndex * All(0.5f)));
        V column = p.X * All(1 / tile) + shift,
            columnIndex = Vector256.Floor(column);
        V wide = p.WidthX * All(1 / tile),
            deep = p.WidthZ * All(1 / tile);
        var own = (Hash(columnIndex, rowIndex, Shared) - All(0.5f)) * Fade(p.WidthZ, 1.4f);
        var rough = (Noise(p.X * All(7), p.Z * All(7), seed ^ 19) - All(0.5f)) * Fade(Mean(p), 7);
        var joint = Max(Line(column, wide, 0.09f), Line(row, deep, 0.09f));
        var tone = Saturate(All(0.5f) + All(0.6f) * own + All(0.25f) * rough);
        var albedo = V3.Lerp(All(Rgb.Shown(0.43, 0.44, 0.47)), All(Rgb.Shown(0.68, 0.68, 0.69)), tone);
        return Matte(V3.Lerp(albedo, All(Rgb.Shown(0.27, 0.27, 0.29)), joint * All(0.85f)));
    }

    private static GroundSurface Checker(GroundPoints p)
    {
        const float tile = 0.62f;
        V a = Square(p.X * All(0.5f / tile), p.WidthX * All(0.5f / tile));
        V b = Square(p.Z * All(0.5f / tile), p.WidthZ * All(0.5f / tile));
        var light = All(0.5f) + All(0.5f) * a * b;
        return Matte(V3.Lerp(All(Rgb.Shown(0.42, 0.46, 0.56)), All(Rgb.Shown(0.84, 0.82, 0.77)), light));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static GroundSurface Matte(V3 albedo) => new(albedo, V.Zero, V.Zero, V.Zero);

    private static V Mean(GroundPoints p) => All(0.5f) * (p.WidthX + p.WidthZ);

    /// <summary>How much of a texture with so many features a metre is left when pixels are this wide.</summary>
    private static V Fade(V width, float frequency) => Saturate(All(1.25f) - width * All(1.5f * frequency));

    /// <summary>A square wave of period 1 between -1 and 1, averaged over <paramref name="width"/>.</summary>
    private static V Square(V value, V width)
    {
        var triangle = One - All(4) * Vector256.Abs(Fraction(value) - All(0.5f));
        return Min(Max(triangle * All(0.5f) / Max(width, All(1e-4f)), -One), One);
    }

    /// <summary>Lines of the given thickness around integers, averaged over <paramref name="width"/>.</summary>
    private static V Line(V value, V width, float thickness)
    {
        var middle = Fraction(value + All(0.5f)) - All(0.5f);
        var box = Max(width, All(1e-3f));
        var reach = (All(thickness) + box) * All(0.5f);
        var part = Min(All(thickness) / box, One);
        return Saturate((reach - Vector256.Abs(middle)) / box) * part;
    }
}
