using System.Runtime.Intrinsics;
using static Sora.World.Simd;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Sora.World;

/// <summary>The colours of a sky and of its light. Clouds and stars are in the same places in every scene.</summary>
internal sealed record SkyModel
{
    private const float MidHeight = 0.13f;
    private const float ZenithHeight = 0.42f;

    private static readonly SkyModel[] Models =
    [
        new()
        {
            Horizon = Rgb.Shown(0.62, 0.81, 0.97),
            Mid = Rgb.Shown(0.42, 0.68, 0.96),
            Zenith = Rgb.Shown(0.22, 0.47, 0.90),
            Glow = Rgb.Shown(0.25, 0.25, 0.22),
            Sun = new(0.88f, 0.83f, 0.72f),
            Ambient = new(0.36f, 0.39f, 0.45f),
            Clouds = 0.75f,
            CloudTone = Rgb.Shown(0.98, 0.98, 1.0),
        },
        new()
        {
            Horizon = Rgb.Shown(1.0, 0.76, 0.34),
            Mid = Rgb.Shown(0.96, 0.47, 0.26),
            Zenith = Rgb.Shown(0.42, 0.24, 0.42),
            Glow = Rgb.Shown(0.6, 0.42, 0.15),
            Sun = new(1.15f, 0.70f, 0.40f),
            Ambient = new(0.43f, 0.34f, 0.36f),
            Clouds = 0,
            CloudTone = default,
        },
        new()
        {
            Horizon = Rgb.Shown(0.17, 0.22, 0.42),
            Mid = Rgb.Shown(0.08, 0.11, 0.28),
            Zenith = Rgb.Shown(0.03, 0.04, 0.14),
            Glow = Rgb.Shown(0.08, 0.10, 0.15),
            Sun = new(0.52f, 0.53f, 0.62f),
            Ambient = new(0.19f, 0.21f, 0.28f),
            Clouds = 0,
            CloudTone = default,
            Stars = 1,
        },
        new()
        {
            Horizon = Rgb.Shown(0.80, 0.81, 0.83),
            Mid = Rgb.Shown(0.70, 0.72, 0.75),
            Zenith = Rgb.Shown(0.58, 0.60, 0.64),
            Glow = default,
            Sun = new(0.26f, 0.26f, 0.26f),
            Ambient = new(0.56f, 0.57f, 0.59f),
            Clouds = 0.8f,
            CloudTone = Rgb.Shown(0.50, 0.52, 0.56),
        },
        new()
        {
            Horizon = Rgb.Shown(1.0, 0.83, 0.72),
            Mid = Rgb.Shown(0.96, 0.62, 0.76),
            Zenith = Rgb.Shown(0.56, 0.50, 0.86),
            Glow = Rgb.Shown(0.35, 0.28, 0.22),
            Sun = new(0.82f, 0.62f, 0.56f),
            Ambient = new(0.40f, 0.37f, 0.45f),
            Clouds = 0,
            CloudTone = default,
        },
    ];

    public required Rgb Horizon { get; init; }

    public required Rgb Mid { get; init; }

    public required Rgb Zenith { get; init; }

    /// <summary>What the sky gains towards the sun.</summary>
    public required Rgb Glow { get; init; }

    /// <summary>The direct light of sun or moon.</summary>
    public required Rgb Sun { get; init; }

    /// <summary>The light that comes from everywhere above.</summary>
    public required Rgb Ambient { get; init; }

    public required float Clouds { get; init; }

    public required Rgb CloudTone { get; init; }

    public float Stars { get; init; }

    public static SkyModel Of(Sky sky) => Models[(int)sky];

    /// <summary>The colour without clouds and stars in unit directions.</summary>
    public V3 Gradient(V3 d, V3 light)
    {
        var low = Smooth(d.Y, 0, MidHeight);
        var high = Smooth(d.Y, MidHeight * 0.6f, ZenithHeight);
        var tone = V3.Lerp(V3.Lerp(All(Horizon), All(Mid), low), All(Zenith), high);
        var toward = Max(V3.Dot(d, light), V.Zero);
        toward *= toward;
        return tone + All(Glow) * (toward * toward);
    }

    /// <summary>The colour in unit directions; <paramref name="pixel"/> is the angle of a pixel in radians.</summary>
    public V3 Colour(V3 d, V3 light, float pixel)
    {
        var tone = Gradient(d, light);
        if (Clouds > 0)
        {
            // Clouds on a plane above, thinned toward the horizon where they would be too fine to see.
            var depth = One / Max(d.Y + All(0.12f), All(0.02f));
            V x = d.X * depth * All(0.9f),
                z = d.Z * depth * All(0.9f);
            var puffs = Noise(x, z, Shared) * All(0.65f) + Noise(x * All(2.3f), z * All(2.3f), Shared ^ 0x51u) * All(0.35f);
            var cover = Smooth(puffs, 0.48f, 0.72f) * Smooth(d.Y, 0.01f, 0.12f) * All(Clouds);
            tone = V3.Lerp(tone, All(CloudTone), cover);
        }
        return Stars > 0 ? tone + Starlight(d, pixel) : tone;
    }

    /// <summary>Stars sit in cells of a grid over directions; each is a dot of at least a pixel.</summary>
    private static V3 Starlight(V3 d, float pixel)
    {
        const float cell = 0.055f;
        var ahead = One / Max(-d.Z, All(0.2f));
        V u = d.X * ahead * All(1 / cell),
            v = d.Y * ahead * All(1 / cell);
        V cellU = Vector256.Floor(u),
            cellV = Vector256.Floor(v);
        V x = Hash(cellU, cellV, Shared),
            y = Hash(cellU, cellV, Shared ^ 0xA5u),
            bright = Hash(cellU, cellV, Shared ^ 0x3Cu);
        V dx = u - cellU - All(0.2f) - x * All(0.6f),
            dy = v - cellV - All(0.2f) - y * All(0.6f);
        var radius = MathF.Max(0.0045f, 0.75f * pixel) / cell;
        var near = Saturate(One - (dx * dx + dy * dy) * All(1 / (radius * radius)));
        var light = near * near * Smooth(bright, 0.45f, 1f) * Smooth(d.Y, 0.03f, 0.12f);
        return new V3(light, light, light * All(0.92f));
    }
}
