namespace Sora.Media;

/// <summary>One picture of many: rows of frames, one row for each clip.</summary>
public static class ContactSheet
{
    /// <summary>Pixels between the frames.</summary>
    private const int Gap = 4;

    /// <summary>The grey between the frames.</summary>
    private const byte Background = 32;

    /// <summary>
    /// One row for each clip, with at most <paramref name="columns"/> of its frames, evenly spread from the first to
    /// the last. Every frame keeps its size; a row is as high as its frames, a column as wide as the widest frame.
    /// </summary>
    /// <exception cref="ArgumentException">There is no frame at all.</exception>
    public static Image Rows(IReadOnlyList<IReadOnlyList<Image>> clips, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        var rows = clips.Where(clip => clip.Count > 0).Select(clip => Spread(clip, columns)).ToList();
        if (rows.Count == 0)
            throw new ArgumentException("a contact sheet of no frames", nameof(clips));
        var cell = rows.Max(row => row.Max(frame => frame.Width)) + Gap;
        var sheet = new Image(rows.Max(row => row.Count) * cell + Gap, rows.Sum(Height) + Gap);
        Array.Fill(sheet.Pixels, Background);
        var top = Gap;
        foreach (var row in rows)
        {
            for (var i = 0; i < row.Count; i++)
                sheet.Paste(row[i], Gap + i * cell, top);
            top += Height(row);
        }
        return sheet;
    }

    /// <summary>Single pictures, in rows of <paramref name="columns"/>.</summary>
    /// <exception cref="ArgumentException">There is no picture at all.</exception>
    public static Image Grid(IEnumerable<Image> pictures, int columns) => Rows([.. pictures.Chunk(columns)], columns);

    private static List<Image> Spread(IReadOnlyList<Image> clip, int columns)
    {
        if (clip.Count <= columns)
            return [.. clip];
        if (columns == 1)
            return [clip[0]];
        return [.. Enumerable.Range(0, columns).Select(i => clip[(int)Math.Round((double)i * (clip.Count - 1) / (columns - 1))])];
    }

    private static int Height(List<Image> row) => row.Max(frame => frame.Height) + Gap;
}
