using ScottPlot.Colormaps;

namespace Sora.Media;

/// <summary>
/// Colours of numbers from 0 to 1: Inferno, from black over red to pale yellow, whose lightness grows evenly (Smith and van der Walt
/// 2015, "A better default colormap for matplotlib", https://bids.github.io/colormap/), so that larger always looks brighter.
/// </summary>
public static class ColourMap
{
    private const int Levels = 256;

    private static readonly byte[] Table = MakeTable();

    /// <summary>A picture of numbers.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="values">Numbers <c>[H, W]</c>; those below 0, above 1, or not a number get the colour of the nearest end.</param>
    /// <exception cref="ArgumentException">Their number doesn't fit the size.</exception>
    public static Image Colour(int width, int height, ReadOnlySpan<float> values)
    {
        if (values.Length != (long)width * height)
            throw new ArgumentException($"{values.Length} numbers are not {width}x{height}", nameof(values));
        var image = new Image(width, height);
        for (var i = 0; i < values.Length; i++)
        {
            // NaN becomes 0.
            var level = values[i] > 0 ? (int)MathF.Round(Math.Min(values[i], 1) * (Levels - 1)) : 0;
            Table.AsSpan(level * Image.Channels, Image.Channels).CopyTo(image.Pixels.AsSpan(i * Image.Channels));
        }
        return image;
    }

    private static byte[] MakeTable()
    {
        var (map, table) = (new Inferno(), new byte[Levels * Image.Channels]);
        for (var level = 0; level < Levels; level++)
        {
            var colour = map.GetColor(level / (Levels - 1.0));
            (table[level * Image.Channels], table[level * Image.Channels + 1], table[level * Image.Channels + 2]) = (
                colour.R,
                colour.G,
                colour.B
            );
        }
        return table;
    }
}
