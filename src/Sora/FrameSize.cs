using System.Globalization;

namespace Sora;

/// <summary>The size of a video's frames in pixels, written <c>WIDTHxHEIGHT</c>.</summary>
/// <param name="Width">Pixels a row.</param>
/// <param name="Height">Rows.</param>
public readonly record struct FrameSize(int Width, int Height)
{
    /// <summary>Reads <c>WIDTHxHEIGHT</c>.</summary>
    /// <exception cref="SoraException">The text is not two positive whole numbers with an x between them.</exception>
    public static FrameSize Parse(string text)
    {
        var parts = text.Split('x');
        return parts.Length == 2 && IsSide(parts[0], out var width) && IsSide(parts[1], out var height)
            ? new FrameSize(width, height)
            : throw SoraException.Usage($"'{text}' is not a size", "write WIDTHxHEIGHT, for instance 128x96");
    }

    /// <summary>
    /// Smaller sizes of this shape, the largest first: fifteen to one sixteenths of
    /// it, then the same again from the last of these, down to a pixel.
    /// </summary>
    public IEnumerable<FrameSize> Smaller()
    {
        var whole = this;
        while (whole is not { Width: 1, Height: 1 })
        {
            for (var part = 15; part >= 1; part--)
                yield return whole.Part(part);
            whole = whole.Part(1);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Width}x{Height}");

    private FrameSize Part(int sixteenths) =>
        new((int)Math.Max(1, (long)Width * sixteenths / 16), (int)Math.Max(1, (long)Height * sixteenths / 16));

    private static bool IsSide(string text, out int side) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out side) && side > 0;
}
