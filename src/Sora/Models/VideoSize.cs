namespace Sora.Models;

/// <summary>Which sizes and lengths a model can make.</summary>
public static class VideoSize
{
    /// <summary>What video pipelines in diffusers require sides to be a multiple of, in pixels.</summary>
    private const int AskedUnit = 16;

    /// <summary>
    /// The size to make when this one is requested: as in diffusers, multiples of 16 are cut to whole tokens.
    /// </summary>
    /// <exception cref="SoraException">Another size doesn't divide into tokens; the hint names the nearest ones that do.</exception>
    public static FrameSize WholeTokens(VideoModel model, FrameSize size)
    {
        var (rows, columns) = model.TokenSize;
        var whole = Floor(model, size);
        if (whole == size)
            return size;
        if (size.Width % AskedUnit == 0 && size.Height % AskedUnit == 0 && size.Width >= columns && size.Height >= rows)
            return whole;
        var near = Candidates(size.Width, columns)
            .SelectMany(w => Candidates(size.Height, rows), (w, h) => new FrameSize(w, h))
            .OrderBy(candidate => Math.Abs(candidate.Width - size.Width) + Math.Abs(candidate.Height - size.Height))
            .Take(2);
        throw SoraException.Usage(
            $"{model.Name} can't make {size}: width must be a multiple of {columns}, height of {rows}",
            $"the nearest sizes are {string.Join(" and ", near)}"
        );
    }

    /// <summary>
    /// The number of frames nearest below that fills latent frames: one, and the time factor for each further one.
    /// As in diffusers, 12 becomes 13 and 10 becomes 9 where the factor is 4.
    /// </summary>
    public static int WholeFrames(VideoModel model, int frames)
    {
        var geometry = model.Geometry;
        // 12 is nearer to 13 than to 9.
        return geometry.WholeFrames(frames) == frames
            ? frames
            : geometry.VideoFrames(Math.Max(0, frames - geometry.FirstFrames + 1) / geometry.TemporalFactor + 1);
    }

    /// <summary>The largest size within another one that divides into tokens, at least one of them.</summary>
    public static FrameSize Floor(VideoModel model, FrameSize size)
    {
        var (rows, columns) = model.TokenSize;
        return new FrameSize(Math.Max(1, size.Width / columns) * columns, Math.Max(1, size.Height / rows) * rows);
    }

    private static IEnumerable<int> Candidates(int side, int unit)
    {
        var below = side / unit * unit;
        return below == side ? [side]
            : below == 0 ? [unit]
            : [below, below + unit];
    }
}
