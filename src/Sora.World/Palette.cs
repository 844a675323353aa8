namespace Sora.World;

/// <summary>A colour in linear light. Shown values are their square roots: the world's display curve has gamma 2.</summary>
internal readonly record struct Rgb(float R, float G, float B)
{
    /// <summary>From the values that are shown, 0 to 1.</summary>
    public static Rgb Shown(double r, double g, double b) => new((float)(r * r), (float)(g * g), (float)(b * b));

    public static Rgb operator *(Rgb c, float k) => new(c.R * k, c.G * k, c.B * k);

    public static Rgb operator +(Rgb a, Rgb b) => new(a.R + b.R, a.G + b.G, a.B + b.B);
}

/// <summary>The colours of objects: a main tone, and an accent of the same colour that makes turning visible.</summary>
internal static class Palette
{
    private static readonly (Rgb Main, Rgb Accent)[] Tones =
    [
        (Rgb.Shown(0.90, 0.10, 0.09), Rgb.Shown(0.36, 0.00, 0.02)), // red
        (Rgb.Shown(1.00, 0.47, 0.04), Rgb.Shown(1.00, 0.84, 0.60)), // orange
        (Rgb.Shown(0.98, 0.86, 0.08), Rgb.Shown(1.00, 0.96, 0.72)), // yellow
        (Rgb.Shown(0.09, 0.66, 0.18), Rgb.Shown(0.60, 0.94, 0.62)), // green
        (Rgb.Shown(0.10, 0.84, 0.88), Rgb.Shown(0.02, 0.40, 0.47)), // cyan
        (Rgb.Shown(0.10, 0.26, 0.92), Rgb.Shown(0.55, 0.67, 1.00)), // blue
        (Rgb.Shown(0.54, 0.15, 0.78), Rgb.Shown(0.82, 0.60, 0.97)), // purple
        (Rgb.Shown(1.00, 0.48, 0.72), Rgb.Shown(1.00, 0.84, 0.91)), // pink
        (Rgb.Shown(0.97, 0.97, 0.97), Rgb.Shown(0.52, 0.53, 0.56)), // white
        (Rgb.Shown(0.07, 0.07, 0.08), Rgb.Shown(0.36, 0.36, 0.38)), // black
    ];

    public static (Rgb Main, Rgb Accent) Of(Colour colour) => Tones[(int)colour];
}
