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

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Width}x{Height}");

    private static bool IsSide(string text, out int side) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out side) && side > 0;
}
