namespace Sora;

/// <summary>
/// The range of a map's values without the outermost ones: single wrong pixels, and what just enters at the rim, don't count. It is
/// found among some of the pixels, spread evenly: sorting them takes less than a millisecond.
/// </summary>
public sealed class MapRange
{
    /// <summary>The part of the pixels at either end that may be anything.</summary>
    private const double Outside = 0.02;

    /// <summary>About how many pixels are looked at.</summary>
    private const int Samples = 8192;

    private readonly int width;
    private readonly int height;
    private readonly int step;
    private readonly float[] samples;

    /// <summary>Prepares for maps of one size.</summary>
    public MapRange(int width, int height)
    {
        (this.width, this.height) = (width, height);
        // The same step along both axes: one along the flat index could fall on a few columns only.
        step = Math.Max(1, (int)Math.Sqrt((double)width * height / Samples));
        samples = new float[((width + step - 1) / step) * ((height + step - 1) / step)];
    }

    /// <summary>The values below and above which 2 % of the pixels lie.</summary>
    /// <param name="map">Values <c>[H, W]</c>.</param>
    /// <param name="each">What is done to each value that is looked at; null: nothing.</param>
    public (float Low, float High) Of(ReadOnlySpan<float> map, Func<float, float>? each = null)
    {
        var count = 0;
        // A map can be thinner than half a step.
        for (var y = Math.Min(step / 2, height - 1); y < height; y += step)
        for (var x = Math.Min(step / 2, width - 1); x < width; x += step)
            samples[count++] = each is null ? map[y * width + x] : each(map[y * width + x]);
        Array.Sort(samples, 0, count);
        var beyond = (int)(Outside * count);
        return (samples[beyond], samples[count - 1 - beyond]);
    }
}
