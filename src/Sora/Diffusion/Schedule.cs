namespace Sora.Diffusion;

/// <summary>How a table of noise levels is spaced before the shift.</summary>
public enum Spacing
{
    /// <summary>Even in timesteps between the shifted ends of the training range, both included (Euler, LCM).</summary>
    Flow,

    /// <summary>As <see cref="Flow"/>, every level but the first and the last twice: two model calls a step (Heun).</summary>
    FlowPairs,

    /// <summary>Even from 1, the last level of the training range left out (UniPC in diffusers since 0.37).</summary>
    UniPc,

    /// <summary>Even from 0.999 to (excluding) 0 (UniPC in diffusers up to 0.36, and the code of its first models).</summary>
    Original,

    /// <summary>As <see cref="Original"/>, without lowering a first level of exactly 1 (DPM-Solver++).</summary>
    Dpm,
}

/// <summary>How levels are shifted towards noise.</summary>
public enum ShiftCurve
{
    /// <summary>S s / (1 + (S - 1) s), with the fixed shift S.</summary>
    Fixed,

    /// <summary>e^mu / (e^mu + 1/s - 1), with a mu that depends on the size of the video.</summary>
    Exponential,

    /// <summary>mu / (mu + 1/s - 1).</summary>
    Linear,
}

/// <summary>How levels are respaced between the first and the last one, after the shift.</summary>
public enum Respacing
{
    /// <summary>They stay as they are.</summary>
    None,

    /// <summary>Even in sigma^(1/7) (Karras et al., arXiv:2206.00364, equation 5).</summary>
    Karras,

    /// <summary>Geometric.</summary>
    Exponential,
}

/// <summary>What a table of noise levels is made from.</summary>
public sealed record ScheduleOptions
{
    /// <summary>Spacing; each sampler has its own.</summary>
    public Spacing Spacing { get; init; } = Spacing.UniPc;

    /// <summary>Number of steps; ignored where levels or timesteps are given.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Fixed shift S towards noise; 1 leaves the levels as they are.</summary>
    public double Shift { get; init; } = 1;

    /// <summary>The shift applied to the ends of the range in <see cref="Diffusion.Spacing.Flow"/>, if not <see cref="Shift"/>.</summary>
    public double? RangeShift { get; init; }

    /// <summary>Shift by a formula with <see cref="Mu"/> instead of the fixed one.</summary>
    public ShiftCurve Curve { get; init; }

    /// <summary>mu of the exponential and the linear curve.</summary>
    public double Mu { get; init; }

    /// <summary>Custom noise levels before the shift, falling, without the final one.</summary>
    public IReadOnlyList<double>? Sigmas { get; init; }

    /// <summary>Custom timesteps, passed to the model unchanged (flow spacings only).</summary>
    public IReadOnlyList<double>? Timesteps { get; init; }

    /// <summary>Level that the last one is stretched to after the shift, if any.</summary>
    public double? Terminal { get; init; }

    /// <summary>Spacing between the first and the last level after the shift (flow spacings only).</summary>
    public Respacing Respacing { get; init; }

    /// <summary>Ends at the smallest level instead of zero (multistep spacings only).</summary>
    public bool EndAtSigmaMin { get; init; }
}

/// <summary>
/// The noise levels of a sampling run: x at level s is (1 - s) x0 + s noise.
/// Tables are computed in double precision and rounded to float32 once, as diffusers does:
/// truncated timesteps depend on the order of operations.
/// </summary>
/// <param name="Sigmas">Noise levels, one more than there are model calls; the last one is where the run ends.</param>
/// <param name="Timesteps">What the model is told at each call: 1000 times the level, truncated for multistep samplers.</param>
public sealed record Schedule(IReadOnlyList<float> Sigmas, IReadOnlyList<float> Timesteps)
{
    /// <summary>Timesteps of the training range.</summary>
    public const int TrainSteps = 1000;

    /// <summary>Where DPM-Solver++ ends instead of zero: sqrt((1 - a) / a), a = 0.9999, in float32.</summary>
    private const float DpmSigmaMin = 0.0100013f;

    /// <summary>Model calls of the whole run.</summary>
    public int Calls => Timesteps.Count;

    /// <summary>The table that the options describe.</summary>
    /// <exception cref="SoraException">No steps, a shift that isn't positive, or levels outside (0, 1] or not falling.</exception>
    public static Schedule Create(ScheduleOptions options)
    {
        Check(options);
        return options.Spacing is Spacing.Flow or Spacing.FlowPairs ? Flow(options) : Multistep(options);
    }

    /// <summary>
    /// The first call of a run that starts from a clean video noised to a part of the schedule (SDEdit, arXiv:2108.01073):
    /// the last <c>(int)(steps * strength)</c> steps are run.
    /// </summary>
    /// <param name="strength">0 keeps the video, 1 runs every step.</param>
    /// <param name="callsPerStep">2 for Heun, else 1.</param>
    public int FirstCall(double strength, int callsPerStep = 1)
    {
        var steps = (Calls + callsPerStep - 1) / callsPerStep;
        return Math.Max(steps - Math.Min((int)(steps * strength), steps), 0) * callsPerStep;
    }

    private static void Check(ScheduleOptions options)
    {
        if (options.Sigmas is null && options.Timesteps is null && options.Steps < 1)
            throw SoraException.Usage($"{options.Steps} sampling steps: there must be at least one");
        if (!(options.Shift > 0) || double.IsInfinity(options.Shift))
            throw SoraException.Usage($"a shift of {options.Shift}: it must be above zero");
        if (options.Sigmas is not { } sigmas)
            return;
        if (sigmas.Count == 0)
            throw SoraException.Usage("no noise levels given");
        for (var i = 0; i < sigmas.Count; i++)
        {
            if (!(sigmas[i] > 0 && sigmas[i] <= 1) || (i > 0 && sigmas[i] >= sigmas[i - 1]))
                throw SoraException.Usage(
                    $"noise level {i + 1} is {sigmas[i]}",
                    "levels must fall from at most 1 and stay above 0; the final 0 is added automatically"
                );
        }
    }

    /// <summary>The tables of UniPC and DPM-Solver++ on flow levels.</summary>
    private static Schedule Multistep(ScheduleOptions options)
    {
        var n = options.Sigmas?.Count ?? options.Steps;
        var sigmas = new double[n];
        for (var i = 0; i < n; i++)
        {
            var even = options.Spacing == Spacing.UniPc ? Even(1, 0.001, n + 1, i) : 1 - Even(1, 0.001, n + 1, n - i);
            sigmas[i] = Shifted(options, options.Sigmas?[i] ?? even);
        }
        if (options.Terminal is { } terminal)
            Stretch(sigmas, terminal);
        // At level 1 the logarithmic signal-to-noise ratio would be infinite.
        if (options.Spacing != Spacing.Dpm && Math.Abs(sigmas[0] - 1) < 1e-6)
            sigmas[0] -= 1e-6;
        var timesteps = Array.ConvertAll(sigmas, sigma => (float)Math.Truncate(sigma * TrainSteps));
        var minimum = options.Spacing == Spacing.Dpm ? DpmSigmaMin : (float)sigmas[^1];
        return new([.. sigmas.Select(sigma => (float)sigma), options.EndAtSigmaMin ? minimum : 0], timesteps);
    }

    /// <summary>The tables of the flow-matching Euler, Heun and LCM samplers, which shift the ends and then every level.</summary>
    private static Schedule Flow(ScheduleOptions options)
    {
        var given = options.Sigmas ?? options.Timesteps;
        var sigmas = given is null ? FlowRange(options) : GivenLevels(options);
        if (options.Terminal is { } terminal)
            Stretch(sigmas, terminal);
        Respace(sigmas, options.Respacing);
        var levels = Array.ConvertAll(sigmas, sigma => (float)sigma);
        var timesteps = options.Timesteps is { } own
            ? own.Select(t => (float)t).ToArray()
            : Array.ConvertAll(levels, level => level * TrainSteps);
        if (options.Spacing == Spacing.Flow)
            return new([.. levels, 0], timesteps);
        return new([levels[0], .. levels.Skip(1).SelectMany(Twice), 0], [timesteps[0], .. timesteps.Skip(1).SelectMany(Twice)]);
    }

    private static IEnumerable<float> Twice(float value) => [value, value];

    private static double[] FlowRange(ScheduleOptions options)
    {
        var rangeShift = options.Curve == ShiftCurve.Fixed ? options.RangeShift ?? options.Shift : 1;
        double high = FixedShift((float)rangeShift, 1f),
            low = FixedShift((float)rangeShift, 0.001f);
        var sigmas = new double[options.Steps];
        for (var i = 0; i < sigmas.Length; i++)
            sigmas[i] = Shifted(options, Even(high * TrainSteps, low * TrainSteps, sigmas.Length, i) / TrainSteps);
        return sigmas;
    }

    /// <summary>Given levels, or levels of given timesteps: in float32 throughout.</summary>
    private static double[] GivenLevels(ScheduleOptions options)
    {
        var levels = options.Sigmas is { } sigmas
            ? sigmas.Select(sigma => (float)sigma)
            : options.Timesteps!.Select(t => (float)t / TrainSteps);
        return
        [
            .. levels.Select(level =>
                options.Curve == ShiftCurve.Fixed ? FixedShift((float)options.Shift, level) : Shifted(options, level)
            ),
        ];
    }

    private static float FixedShift(float shift, float sigma) => shift * sigma / (1 + (shift - 1) * sigma);

    private static double Shifted(ScheduleOptions options, double sigma) =>
        options.Curve switch
        {
            ShiftCurve.Exponential => Math.Exp(options.Mu) / (Math.Exp(options.Mu) + (1 / sigma - 1)),
            ShiftCurve.Linear => options.Mu / (options.Mu + (1 / sigma - 1)),
            _ => options.Shift * sigma / (1 + (options.Shift - 1) * sigma),
        };

    private static void Stretch(double[] sigmas, double terminal)
    {
        var scale = (1 - sigmas[^1]) / (1 - terminal);
        for (var i = 0; i < sigmas.Length; i++)
            sigmas[i] = 1 - (1 - sigmas[i]) / scale;
    }

    private static void Respace(double[] sigmas, Respacing respacing)
    {
        if (respacing == Respacing.None)
            return;
        const double Rho = 7;
        double first = sigmas[0],
            last = sigmas[^1];
        for (var i = 0; i < sigmas.Length; i++)
        {
            sigmas[i] =
                respacing == Respacing.Karras
                    ? Math.Pow(Even(Math.Pow(first, 1 / Rho), Math.Pow(last, 1 / Rho), sigmas.Length, i), Rho)
                    : Math.Exp(Even(Math.Log(first), Math.Log(last), sigmas.Length, i));
        }
    }

    /// <summary>The i-th of n even points, computed as numpy's linspace does.</summary>
    private static double Even(double start, double stop, int n, int i) =>
        n == 1 ? start
        : i == n - 1 ? stop
        : start + i * ((stop - start) / (n - 1));
}
