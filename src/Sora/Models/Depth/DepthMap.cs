namespace Sora.Models.Depth;

/// <summary>The depth of each pixel of a picture, <c>[H, W]</c>, rows from the top.</summary>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
/// <param name="Values">The <c>Height * Width</c> depths, not copied, in the unit of <see cref="DepthEstimator.IsMetric"/>.</param>
public sealed record DepthMap(int Width, int Height, float[] Values)
{
    /// <summary>The depths; their number always fits the size.</summary>
    public float[] Values { get; } =
        Values.Length == (long)Width * Height
            ? Values
            : throw new ArgumentException($"{Values.Length} depths are not {Width}x{Height} pixels", nameof(Values));

    /// <summary>Row <paramref name="y"/>, <c>[W]</c>.</summary>
    public Span<float> Row(int y) => Values.AsSpan(y * Width, Width);
}
