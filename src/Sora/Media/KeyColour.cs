using System.Globalization;

namespace Sora.Media;

/// <summary>A colour, and how near to it another one counts as the same: light and shadow on it matter less than its hue.</summary>
public readonly record struct KeyColour
{
    /// <summary>How much the shares of red, green and blue may differ, from 0 to about 1.4.</summary>
    private const double DefaultTolerance = 0.2;

    /// <summary>How much brightness counts beside hue.</summary>
    private const double BrightnessWeight = 0.3;

    private static readonly Dictionary<string, int> Names = new()
    {
        ["red"] = 0xE51A17,
        ["orange"] = 0xFF780A,
        ["yellow"] = 0xFADB14,
        ["green"] = 0x17A82E,
        ["cyan"] = 0x1AD6E0,
        ["blue"] = 0x1A42EB,
        ["purple"] = 0x8A26C7,
        ["pink"] = 0xFF7AB8,
        ["white"] = 0xF7F7F7,
        ["black"] = 0x121214,
    };

    /// <summary>The part of the pictures that a proposed tolerance selects.</summary>
    private const double Proposed = 0.01;

    /// <summary>The part of the pictures from which a colour is named.</summary>
    private const double Notable = 0.05;

    private readonly string name;
    private readonly int rgb;
    private readonly double tolerance;

    private KeyColour(string name, int rgb, double tolerance) => (this.name, this.rgb, this.tolerance) = (name, rgb, tolerance);

    /// <summary>Reads <c>red</c>, <c>#e51a17</c> or <c>e51a17</c>, and a tolerance after a colon: <c>red:0.4</c>.</summary>
    /// <exception cref="SoraException">The text is none of these.</exception>
    public static KeyColour Parse(string text)
    {
        var (name, rest) = text.Split(':', 2) is [var first, var second] ? (first, second) : (text, null);
        var tolerance = DefaultTolerance;
        var isColour =
            Names.TryGetValue(name, out var rgb)
            || (
                name.TrimStart('#') is { Length: 6 } digits
                && int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out rgb)
            );
        var isTolerance =
            rest is null
            || (double.TryParse(rest, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out tolerance) && tolerance > 0);
        return isColour && isTolerance
            ? new KeyColour(name, rgb, tolerance)
            : throw SoraException.Usage(
                $"'{text}' is not a colour",
                $"write #e51a17 or one of {string.Join(", ", Names.Keys)}, optionally with a tolerance: red:0.4"
            );
    }

    /// <summary>A picture that is white where another one has the colour, and black elsewhere.</summary>
    public Image Mask(Image picture)
    {
        var mask = new Image(picture.Width, picture.Height);
        for (var i = 0; i < picture.Pixels.Length; i += Image.Channels)
        {
            if (Has(picture.Pixels.AsSpan(i, Image.Channels)))
                mask.Pixels.AsSpan(i, Image.Channels).Fill(255);
        }
        return mask;
    }

    /// <summary>Refuses pictures without the colour, and says which tolerance would do and what colours they have.</summary>
    /// <exception cref="SoraException">Nothing in them has it.</exception>
    public void Require(IEnumerable<Image> pictures)
    {
        const int Steps = 100; // of the tolerance, from 0 to 1
        var (within, named, pixels) = (new long[2 * Steps], Names.Keys.ToDictionary(colour => colour, _ => 0L), 0L);
        foreach (var picture in pictures)
        {
            for (var i = 0; i < picture.Pixels.Length; i += Image.Channels)
            {
                var pixel = picture.Pixels.AsSpan(i, Image.Channels);
                if (Has(pixel))
                    return;
                within[Math.Min(within.Length - 1, (int)Math.Ceiling(Distance(rgb, pixel) * Steps))]++;
                named[Nearest(pixel)]++;
                pixels++;
            }
        }
        var (needed, taken) = (0, within[0]);
        while (taken < Proposed * pixels)
            taken += within[++needed];
        var colours = named
            .Where(colour => colour.Value >= Notable * pixels)
            .OrderByDescending(colour => colour.Value)
            .Select(colour => $"{colour.Key} {100 * colour.Value / pixels} %");
        throw SoraException.Usage(
            string.Create(CultureInfo.InvariantCulture, $"nothing in the clip is {name} within a tolerance of {tolerance}"),
            string.Create(
                CultureInfo.InvariantCulture,
                $"{name}:{(double)needed / Steps} takes the nearest; its colours by name are {string.Join(", ", colours)}"
            )
        );
    }

    private static string Nearest(ReadOnlySpan<byte> pixel)
    {
        var (nearest, least) = ("", double.PositiveInfinity);
        foreach (var (name, rgb) in Names)
        {
            if (Distance(rgb, pixel) is var distance && distance < least)
                (nearest, least) = (name, distance);
        }
        return nearest;
    }

    private bool Has(ReadOnlySpan<byte> pixel) => Distance(rgb, pixel) <= tolerance;

    private static double Distance(int rgb, ReadOnlySpan<byte> pixel)
    {
        double r = rgb >> 16,
            g = (rgb >> 8) & 255,
            b = rgb & 255;
        // The constant keeps black's hue from meaning anything.
        double own = r + g + b + 32,
            other = pixel[0] + pixel[1] + pixel[2] + 32;
        double red = pixel[0] / other - r / own,
            green = pixel[1] / other - g / own,
            blue = pixel[2] / other - b / own;
        var light = BrightnessWeight * (other - own) / 765;
        return Math.Sqrt(red * red + green * green + blue * blue + light * light);
    }
}
