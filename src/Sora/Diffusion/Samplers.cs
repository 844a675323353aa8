using static TorchSharp.torch;

namespace Sora.Diffusion;

/// <summary>
/// One call of a sampler: from a state and the model's velocity (noise - x0) at that state to the next state.
/// </summary>
/// <param name="state">Where the run stands.</param>
/// <param name="velocity">What the model answered to <see cref="SamplerState.Latents"/>.</param>
/// <param name="schedule">The noise levels; entry <see cref="SamplerState.Call"/> is the current one.</param>
/// <param name="noise">Fresh unit noise for a call, for samplers that add some.</param>
public delegate SamplerState SamplerStep(SamplerState state, Tensor velocity, Schedule schedule, Func<int, Tensor> noise);

/// <summary>Variants of UniPC.</summary>
/// <param name="Order">1 to 3.</param>
/// <param name="Bh1">B(h) = h (good for few steps without guidance) instead of e^h - 1.</param>
/// <param name="Uncorrected">Calls after which the result is not corrected.</param>
public sealed record UniPcOptions(int Order = 2, bool Bh1 = false, IReadOnlyList<int>? Uncorrected = null);

/// <summary>Variants of DPM-Solver++.</summary>
/// <param name="Order">1 to 3.</param>
/// <param name="HeunKind">The second-order term of Heun's kind instead of the midpoint's.</param>
/// <param name="Stochastic">The SDE solver, which adds fresh noise at every step.</param>
/// <param name="LowerOrderFinal">Runs of fewer than 15 steps end with lower orders.</param>
public sealed record DpmOptions(int Order = 2, bool HeunKind = false, bool Stochastic = false, bool LowerOrderFinal = true);

/// <summary>
/// Samplers for flow matching, one function each. In the papers' symbols: x = alpha x0 + sigma noise with alpha = 1 - sigma,
/// lambda = ln(alpha / sigma), h the step in lambda, m the predictions of x0. Coefficients are computed in double precision.
/// </summary>
public static class Samplers
{
    /// <summary>Clean latents noised to a level: (1 - sigma) clean + sigma noise.</summary>
    public static Tensor Noised(Tensor clean, Tensor noise, float sigma) => clean * (1 - (double)sigma) + noise * sigma;

    /// <summary>
    /// Classifier-free guidance (Ho and Salimans 2022): past the model's
    /// answer to the prompt, away from its answer without one.
    /// </summary>
    /// <param name="without">The answer without the prompt, [B, C, T, h, w].</param>
    /// <param name="with">The answer to the prompt.</param>
    /// <param name="scale">Of the guidance.</param>
    /// <param name="scene">
    /// The last channels, those that say what is where. Where there are any, they follow the prompt. Latents follow them
    /// and need only the root of the scale: they flicker less, and their colours stay as they are.
    /// </param>
    public static Tensor Guided(Tensor without, Tensor with, double scale, int scene = 0)
    {
        if (scene == 0)
            return without + (with - without) * scale;
        var latents = with.shape[1] - scene;
        Tensor Part(long start, long count, double of) => Guided(without.narrow(1, start, count), with.narrow(1, start, count), of);
        return cat([Part(0, latents, Math.Sqrt(scale)), Part(latents, scene, scale)], 1);
    }

    /// <summary>Euler's method on dx/dsigma = v.</summary>
    public static SamplerState Euler(SamplerState s, Tensor v, Schedule schedule, Func<int, Tensor> noise) =>
        new(s.Call + 1, s.Latents + v * Difference(schedule, s.Call)) { Estimate = X0(s, v, schedule) };

    /// <summary>
    /// Heun's method: a trial step, then the mean of both velocities from
    /// where the trial started; the last step is Euler's.
    /// </summary>
    public static SamplerState Heun(SamplerState s, Tensor v, Schedule schedule, Func<int, Tensor> noise)
    {
        if (s.Previous is null)
        {
            var trial = s.Latents + v * Difference(schedule, s.Call);
            return s.Call + 1 == schedule.Calls
                ? new(s.Call + 1, trial) { Estimate = X0(s, v, schedule) }
                : new(s.Call + 1, trial)
                {
                    Previous = s.Latents,
                    Predictions = [v],
                    Estimate = X0(s, v, schedule),
                };
        }
        var x = s.Previous + (s.Predictions[0] + v) * (0.5 * Difference(schedule, s.Call - 1));
        return new(s.Call + 1, x) { Estimate = X0(s, v, schedule) };
    }

    /// <summary>Latent consistency sampling (arXiv:2310.04378): predict x0, then noise it to the next level.</summary>
    public static SamplerState Lcm(SamplerState s, Tensor v, Schedule schedule, Func<int, Tensor> noise)
    {
        double next = schedule.Sigmas[s.Call + 1];
        var x0 = X0(s, v, schedule);
        return new(s.Call + 1, next == 0 ? x0 : x0 * (1 - next) + noise(s.Call) * next) { Estimate = x0 };
    }

    /// <summary>
    /// UniPC (arXiv:2302.04867), predicting x0: corrects the latents that the model saw with what it answered,
    /// then predicts the next ones. The latents of the state are not yet corrected.
    /// </summary>
    public static SamplerStep UniPc(UniPcOptions options) =>
        (s, v, schedule, _) =>
        {
            var i = s.Call;
            var x0 = X0(s, v, schedule);
            var corrects = s.Previous is not null && options.Uncorrected?.Contains(i - 1) != true;
            var x = corrects ? UniPcStep(new(schedule, i - 1, s.Order), s.Previous!, s.Predictions, x0, options.Bh1) : s.Latents;
            Tensor[] m = [x0, .. s.Predictions.Take(options.Order - 1)];
            var order = Math.Min(schedule.Calls - i, m.Length);
            var next = UniPcStep(new(schedule, i, order), x, m, null, options.Bh1);
            return new(i + 1, next)
            {
                Predictions = m,
                Previous = x,
                Order = order,
                Estimate = x0,
            };
        };

    /// <summary>DPM-Solver++ (arXiv:2211.01095), multistep, predicting x0.</summary>
    public static SamplerStep DpmPlusPlus(DpmOptions options) =>
        (s, v, schedule, noise) =>
        {
            var x0 = X0(s, v, schedule);
            Tensor[] m = [x0, .. s.Predictions.Take(options.Order - 1)];
            var step = new Step(schedule, s.Call, DpmOrder(options, schedule, s.Call, m.Length));
            // The stochastic solver runs the same formulas over twice the step.
            var z = options.Stochastic ? -2 * step.H : -step.H;
            var phi = Math.Exp(z) - 1;
            var x = s.Latents * (step.SigmaRatio * (options.Stochastic ? Math.Exp(-step.H) : 1)) - m[0] * (step.Alpha * phi);
            if (options.Stochastic && step.Sigma > 0)
                x += noise(s.Call) * (step.Sigma * Math.Sqrt(-phi));
            if (step.Order == 2)
            {
                x += (m[0] - m[1]) * (step.Alpha / -step.Ratio(1) * (options.HeunKind ? 1 - phi / z : -0.5 * phi));
            }
            else if (step.Order == 3)
            {
                double r0 = -step.Ratio(1),
                    r1 = step.Ratio(1) - step.Ratio(2);
                var d0 = (m[0] - m[1]) / r0;
                var change = d0 - (m[1] - m[2]) / r1;
                // diffusers' stochastic solver has this sign of the half; it is kept for equal results.
                var curvature = (phi - z) / (z * z) + (options.Stochastic ? 0.5 : -0.5);
                x += (d0 + change * (r0 / (r0 + r1))) * (step.Alpha * (1 - phi / z)) - change * (step.Alpha * curvature / (r0 + r1));
            }
            return new(s.Call + 1, x) { Predictions = m, Estimate = x0 };
        };

    /// <summary>The clean latents that a velocity points to.</summary>
    private static Tensor X0(SamplerState s, Tensor v, Schedule schedule) => s.Latents - v * schedule.Sigmas[s.Call];

    private static double Difference(Schedule schedule, int call) => (double)schedule.Sigmas[call + 1] - schedule.Sigmas[call];

    /// <summary>The order of a call: as many predictions as there are, fewer at the end of the run.</summary>
    private static int DpmOrder(DpmOptions options, Schedule schedule, int call, int predictions)
    {
        var lower = options.LowerOrderFinal && schedule.Calls < 15;
        if (call == schedule.Calls - 1 && (lower || schedule.Sigmas[^1] == 0))
            return 1;
        return call == schedule.Calls - 2 && lower ? Math.Min(predictions, 2) : predictions;
    }

    /// <summary>
    /// UniPC's step from x, with the predictions m at its start and before: UniP, or UniC where the prediction
    /// <paramref name="arrived"/> at its end is known.
    /// </summary>
    private static Tensor UniPcStep(Step step, Tensor x, IReadOnlyList<Tensor> m, Tensor? arrived, bool bh1)
    {
        double hh = -step.H,
            phi = Math.Exp(hh) - 1,
            b = bh1 ? hh : phi;
        var next = x * step.SigmaRatio - m[0] * (step.Alpha * phi);
        var rho = UniPcWeights(step, (hh, phi, b), arrived is not null);
        for (var k = 1; k < step.Order; k++)
            next -= (m[k] - m[0]) * (step.Alpha * b * rho[k - 1] / step.Ratio(k));
        return arrived is null ? next : next - (arrived - m[0]) * (step.Alpha * b * rho[step.Order - 1]);
    }

    /// <summary>The solution rho of R rho = b, R_jk = r_k^(j-1), where the corrector has one more point r = 1.</summary>
    private static double[] UniPcWeights(Step step, (double Hh, double Phi, double B) at, bool corrects)
    {
        var n = corrects ? step.Order : step.Order - 1;
        if (n == 0)
            return [];
        // The paper's choice instead of the solution where there is only one weight.
        if (n == 1)
            return [0.5];
        var rows = new double[n, n + 1];
        double g = at.Phi / at.Hh - 1,
            factorial = 1;
        for (var j = 0; j < n; j++)
        {
            for (var k = 0; k < n; k++)
                rows[j, k] = Math.Pow(k == step.Order - 1 ? 1 : step.Ratio(k + 1), j);
            rows[j, n] = g * factorial / at.B;
            factorial *= j + 2;
            g = g / at.Hh - 1 / factorial;
        }
        return Solve(rows);
    }

    /// <summary>
    /// Gauss-Jordan elimination of n rows of n coefficients and a right
    /// side; the pivots of a Vandermonde matrix aren't 0.
    /// </summary>
    private static double[] Solve(double[,] rows)
    {
        var n = rows.GetLength(0);
        for (var pivot = 0; pivot < n; pivot++)
        {
            for (var row = 0; row < n; row++)
            {
                if (row == pivot)
                    continue;
                var factor = rows[row, pivot] / rows[pivot, pivot];
                for (var column = pivot; column <= n; column++)
                    rows[row, column] -= factor * rows[pivot, column];
            }
        }
        return [.. Enumerable.Range(0, n).Select(row => rows[row, n] / rows[row, row])];
    }

    /// <summary>The step from one call's level to the next one's, with the coefficients that multistep samplers share.</summary>
    private readonly record struct Step(Schedule Schedule, int Call, int Order)
    {
        /// <summary>Sigma at the end.</summary>
        public double Sigma => Schedule.Sigmas[Call + 1];

        /// <summary>Alpha at the end.</summary>
        public double Alpha => 1 - Sigma;

        public double SigmaRatio => Sigma / Schedule.Sigmas[Call];

        /// <summary>Length in lambda; infinite at the end of a run to sigma 0.</summary>
        public double H => Lambda(Call + 1) - Lambda(Call);

        /// <summary>r_k: where the k-th earlier call lies, in units of this step; negative.</summary>
        public double Ratio(int k) => (Lambda(Call - k) - Lambda(Call)) / H;

        private double Lambda(int call)
        {
            double sigma = Schedule.Sigmas[call];
            return Math.Log(1 - sigma) - Math.Log(sigma);
        }
    }
}
