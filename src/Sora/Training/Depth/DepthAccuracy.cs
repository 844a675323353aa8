namespace Sora.Training;

/// <summary>
/// How far a measured clip is from the exact one, after one scale and shift of its inverse depths for the whole clip (as in Ranftl
/// et al. 2020, https://arxiv.org/abs/1907.01341): those with the least absolute errors, for in squared ones a few pixels of an
/// object that were missed would tilt everything else. Places farther away than <see cref="Farthest"/>, the sky among them, don't
/// count, and no prediction is farther.
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

    /// <summary>Errors of inverse depths below this, in 1 / metre, count alike, and how often the fit is repeated.</summary>
    private const double Exactly = 0.001;
    private const int Fits = 12;

    /// <summary>Compares a clip's inverse depths with its exact depths in metres, both <c>[F, H, W]</c>.</summary>
    /// <exception cref="ArgumentException">They have different lengths, or nothing is near enough.</exception>
    public static DepthAccuracy Of(ReadOnlySpan<float> inverse, ReadOnlySpan<float> exact)
    {
        if (inverse.Length != exact.Length)
            throw new ArgumentException($"{inverse.Length} and {exact.Length} depths", nameof(inverse));
        var fit = new DepthAccuracy(0, 0, 1, 0);
        for (var i = 0; i < Fits; i++)
            fit = fit.Refitted(inverse, exact, i == 0);
        double n = 0,
            relative = 0,
            close = 0;
        for (var i = 0; i < exact.Length; i++)
        {
            if (!(exact[i] <= Farthest))
                continue;
            var depth = fit.Depth(inverse[i]);
            n++;
            relative += Math.Abs(depth - exact[i]) / exact[i];
            if (Math.Max(depth / exact[i], exact[i] / depth) < Close)
                close++;
        }
        return n > 0
            ? fit with
            {
                AbsRel = relative / n,
                Delta1 = close / n,
            }
            : throw new ArgumentException("nothing is near enough", nameof(exact));
    }

    /// <summary>The depth in metres of an inverse depth, at most <see cref="Farthest"/>.</summary>
    public double Depth(float inverse) => 1 / Math.Max(1 / Farthest, Scale * inverse + Shift);

    /// <summary>
    /// The scale and shift with the least squared errors, those of this fit's larger errors counting less: repeated, it has the least
    /// absolute ones (iteratively reweighted least squares).
    /// </summary>
    private DepthAccuracy Refitted(ReadOnlySpan<float> inverse, ReadOnlySpan<float> exact, bool isFirst)
    {
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
            var w = isFirst ? 1 : 1 / Math.Max(Exactly, Math.Abs(Scale * own + Shift - wanted));
            (n, p, t, pp, pt) = (n + w, p + w * own, t + w * wanted, pp + w * own * own, pt + w * own * wanted);
        }
        var spread = pp - p * p / n;
        var scale = spread > 1e-9 * pp ? (pt - p * t / n) / spread : 0;
        return new DepthAccuracy(0, 0, scale, (t - scale * p) / n);
    }
}
