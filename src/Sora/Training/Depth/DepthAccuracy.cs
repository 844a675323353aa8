namespace Sora.Training;

/// <summary>
/// How far a measured clip is from the exact one, after one scale and shift for the whole clip, by which inverse depths are fitted
/// with least squares (as in Ranftl et al. 2020, https://arxiv.org/abs/1907.01341). Places farther away than
/// <see cref="Farthest"/>, the sky among them, don't count, and no prediction is farther.
/// </summary>
/// <param name="AbsRel">Mean of |d - d*| / d* over the depths d.</param>
/// <param name="Delta1">The part of the places where d / d* and d* / d are below 1.25.</param>
/// <param name="Scale">What inverse depths were multiplied by.</param>
/// <param name="Shift">What was then added to them.</param>
public readonly record struct DepthAccuracy(double AbsRel, double Delta1, double Scale, double Shift)
{
    /// <summary>The usual limit of outdoor scenes, in metres (Eigen et al. 2014, https://arxiv.org/abs/1406.2283).</summary>
    public const double Farthest = 80;

    private const double Close = 1.25;

    /// <summary>Compares a clip's inverse depths with its exact depths in metres, both <c>[F, H, W]</c>.</summary>
    /// <exception cref="ArgumentException">They have different lengths, or nothing is near enough.</exception>
    public static DepthAccuracy Of(ReadOnlySpan<float> inverse, ReadOnlySpan<float> exact)
    {
        if (inverse.Length != exact.Length)
            throw new ArgumentException($"{inverse.Length} and {exact.Length} depths", nameof(inverse));
        double n = 0,
            p = 0,
            t = 0,
            pp = 0,
            pt = 0;
        for (var i = 0; i < exact.Length; i++)
        {
            if (!(exact[i] <= Farthest))
                continue;
            var (own, wanted) = ((double)inverse[i], 1.0 / exact[i]);
            (n, p, t, pp, pt) = (n + 1, p + own, t + wanted, pp + own * own, pt + own * wanted);
        }
        if (n == 0)
            throw new ArgumentException("nothing is near enough", nameof(exact));
        var spread = pp - p * p / n;
        var scale = spread > 0 ? (pt - p * t / n) / spread : 0;
        var fit = new DepthAccuracy(0, 0, scale, (t - scale * p) / n);
        double relative = 0,
            close = 0;
        for (var i = 0; i < exact.Length; i++)
        {
            if (!(exact[i] <= Farthest))
                continue;
            var depth = fit.Depth(inverse[i]);
            relative += Math.Abs(depth - exact[i]) / exact[i];
            if (Math.Max(depth / exact[i], exact[i] / depth) < Close)
                close++;
        }
        return fit with { AbsRel = relative / n, Delta1 = close / n };
    }

    /// <summary>The depth in metres of an inverse depth, at most <see cref="Farthest"/>.</summary>
    public double Depth(float inverse) => 1 / Math.Max(1 / Farthest, Scale * inverse + Shift);
}
