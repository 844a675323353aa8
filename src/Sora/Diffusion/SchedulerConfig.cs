namespace Sora.Diffusion;

/// <summary>A model's <c>scheduler/scheduler_config.json</c>: the sampler and the shift that it was made for.</summary>
public sealed record SchedulerConfig
{
    /// <summary>The names of all samplers.</summary>
    public static readonly IReadOnlyList<string> Samplers = ["unipc", "euler", "dpm++", "dpm++-sde", "heun", "lcm"];

    /// <summary>The <c>prediction_type</c> of a network whose output a family turns into the velocity of flow matching.</summary>
    internal const string Preconditioned = "preconditioned";

    internal const string Flow = "flow_prediction";

    private const double FirstBeta = 0.0001;

    /// <summary>Name of the sampler; for an unknown scheduler, its class.</summary>
    public string Sampler { get; init; } = "unipc";

    /// <summary>Shift of the noise levels towards noise.</summary>
    public double Shift { get; init; } = 1;

    /// <summary>Order of a multistep sampler.</summary>
    public int Order { get; init; } = 2;

    /// <summary>UniPC's B(h) = h.</summary>
    public bool Bh1 { get; init; }

    /// <summary>Calls after which UniPC doesn't correct.</summary>
    public IReadOnlyList<int> Uncorrected { get; init; } = [];

    /// <summary>DPM-Solver++'s second-order term of Heun's kind.</summary>
    public bool HeunKind { get; init; }

    /// <summary>DPM-Solver++ or Euler's method with fresh noise at every step.</summary>
    public bool Stochastic { get; init; }

    /// <summary>DPM-Solver++ ends short runs with lower orders.</summary>
    public bool LowerOrderFinal { get; init; } = true;

    /// <summary>Ends at the smallest level instead of zero.</summary>
    public bool EndAtSigmaMin { get; init; }

    /// <summary>Level that the last one is stretched to.</summary>
    public double? Terminal { get; init; }

    /// <summary>Spacing between first and last level.</summary>
    public Respacing Respacing { get; init; }

    /// <summary>Why this scheduler's own sampler isn't supported; null: it is.</summary>
    internal string? Refusal { get; init; }

    /// <summary>Reads the file; a model folder without one is a <see cref="SchedulerConfig"/> of defaults.</summary>
    /// <exception cref="SoraException">It isn't JSON, or is for models that don't predict flow.</exception>
    public static SchedulerConfig Read(string path) => From(ConfigFile.Read(path));

    /// <summary>
    /// Takes the fields that each diffusers class looks at in video pipelines. Those of other classes, which converted
    /// configurations keep, change nothing, as in diffusers.
    /// </summary>
    /// <exception cref="SoraException">It is for models that don't predict flow.</exception>
    internal static SchedulerConfig From(ConfigFile file)
    {
        var prediction = file.Text("prediction_type", Flow);
        if (prediction is not (Flow or Preconditioned))
            throw SoraException.Failed($"{file.Path}: a scheduler for {prediction} models", "only flow-matching models are supported");
        if (file.Size("num_train_timesteps", Schedule.TrainSteps) is not Schedule.TrainSteps and var steps)
            throw SoraException.Failed(
                $"{file.Path}: num_train_timesteps {steps}",
                $"only models of {Schedule.TrainSteps} timesteps are supported"
            );
        var read = file.ClassName switch
        {
            null or "UniPCMultistepScheduler" => UniPc(file),
            "DPMSolverMultistepScheduler" => Dpm(file),
            "FlowMatchEulerDiscreteScheduler" => OfLevels(file, "euler") with { Stochastic = file.Flag("stochastic_sampling", false) },
            "FlowMatchHeunDiscreteScheduler" => new SchedulerConfig { Sampler = "heun", Shift = file.Number("shift", 1) },
            "FlowMatchLCMScheduler" => OfLevels(file, "lcm"),
            var other => new SchedulerConfig
            {
                Sampler = other,
                Shift = file.Number("flow_shift", file.Number("shift", 1)),
                Refusal = $"the scheduler {other} isn't supported",
            },
        };
        if (!(read.Shift > 0) || double.IsInfinity(read.Shift))
            throw SoraException.Failed($"{file.Path}: a shift of {read.Shift}", "it must be above zero");
        return read with { Refusal = (read.Refusal ?? Unsupported(file, read)) is { } refusal ? $"{file.Path}: {refusal}" : null };
    }

    /// <summary>This one for the sampler that it names; the defaults for any other kind.</summary>
    /// <param name="sampler">Name of a sampler; null for its own.</param>
    /// <exception cref="SoraException">Its own sampler is asked for, and isn't supported.</exception>
    internal SchedulerConfig For(string? sampler)
    {
        if (sampler is not null && !sampler.StartsWith(Sampler, StringComparison.Ordinal))
            return new SchedulerConfig();
        if (Refusal is not { } refusal)
            return this;
        throw SoraException.Failed(
            refusal,
            "choose another sampler with --sampler: "
                + string.Join(", ", Samplers.Where(name => !name.StartsWith(Sampler, StringComparison.Ordinal)))
        );
    }

    private static SchedulerConfig UniPc(ConfigFile file) =>
        new()
        {
            Sampler = "unipc",
            Shift = file.Number("flow_shift", 1),
            Order = file.Size("solver_order", 2),
            Bh1 = file.Text("solver_type", null) == "bh1",
            Uncorrected = file.Ints("disable_corrector", []),
            LowerOrderFinal = file.Flag("lower_order_final", true),
            EndAtSigmaMin = file.Text("final_sigmas_type", null) == "sigma_min",
            Terminal = TerminalOf(file),
        };

    private static SchedulerConfig Dpm(ConfigFile file) =>
        new()
        {
            Sampler = "dpm++",
            Shift = file.Number("flow_shift", 1),
            Order = file.Size("solver_order", 2),
            HeunKind = file.Text("solver_type", null) == "heun",
            Stochastic = file.Text("algorithm_type", null) == "sde-dpmsolver++",
            LowerOrderFinal = file.Flag("lower_order_final", true),
            EndAtSigmaMin = file.Text("final_sigmas_type", null) == "sigma_min",
        };

    /// <summary>The samplers that shift every level and then may respace them.</summary>
    private static SchedulerConfig OfLevels(ConfigFile file, string sampler) =>
        new()
        {
            Sampler = sampler,
            Shift = file.Number("shift", 1),
            Terminal = TerminalOf(file),
            Respacing =
                file.Flag("use_karras_sigmas", false) ? Respacing.Karras
                : file.Flag("use_exponential_sigmas", false) ? Respacing.Exponential
                : Respacing.None,
        };

    /// <summary>diffusers reads a level of 0 as none.</summary>
    private static double? TerminalOf(ConfigFile file) =>
        file.Number("shift_terminal", 0) switch
        {
            0 => null,
            var level and > 0 and < 1 => level,
            var level => throw SoraException.Failed($"{file.Path}: shift_terminal {level}", "it must be a noise level from 0 to 1"),
        };

    /// <summary>The first field that would change what the sampler does and isn't supported here, or null.</summary>
    private static string? Unsupported(ConfigFile file, SchedulerConfig read)
    {
        if (read.Sampler == "heun")
            return null;
        string? Is(string field, bool value, bool fallback = false) =>
            file.Flag(field, fallback) == value ? $"{field} {(value ? "true" : "false")} isn't supported for {file.ClassName}" : null;
        string? IsNot(string field, string fallback, params string[] values) =>
            file.Text(field, fallback) is var text && !values.Contains(text)
                ? $"{field} '{text}' isn't supported for {file.ClassName}"
                : null;
        string? Has(string field) => file.Has(field) ? $"{field} isn't supported for {file.ClassName}" : null;
        if (read.Sampler is "euler" or "lcm")
        {
            // A dynamic shift needs a mu, which no video pipeline passes.
            return Is("use_dynamic_shifting", true)
                ?? Is("use_beta_sigmas", true)
                ?? Is("invert_sigmas", true)
                ?? Has("scale_factors")
                ?? (file.Flag("use_karras_sigmas", false) ? Is("use_exponential_sigmas", true) : null);
        }
        if (read.Order > 3)
            return $"solver_order {read.Order} isn't supported: orders are 1, 2 and 3";
        var both =
            Is("use_flow_sigmas", false, true)
            ?? Is("use_karras_sigmas", true)
            ?? Is("use_exponential_sigmas", true)
            ?? Is("use_beta_sigmas", true)
            ?? Is("thresholding", true)
            ?? IsNot("solver_type", "bh2", "bh1", "bh2", "midpoint", "heun", "logrho")
            ?? IsNot("final_sigmas_type", "zero", "zero", "sigma_min");
        if (read.Sampler == "unipc")
            return both
                ?? Is("use_dynamic_shifting", true)
                ?? Is("predict_x0", false, true)
                ?? Is("lower_order_final", false, true)
                ?? Has("solver_p");
        both ??= Is("use_lu_lambdas", true) ?? IsNot("algorithm_type", "dpmsolver++", "dpmsolver++", "sde-dpmsolver++", "deis");
        // It would end at the first level of these betas, and flow has no betas.
        return both
            ?? (
                !read.EndAtSigmaMin
                    ? null
                    : Is("euler_at_final", true)
                        ?? Has("trained_betas")
                        ?? (
                            file.Number("beta_start", FirstBeta) != FirstBeta
                                ? $"beta_start {file.Number("beta_start", FirstBeta)} isn't supported for {file.ClassName}"
                                : null
                        )
                        ?? IsNot("beta_schedule", "linear", "linear", "scaled_linear")
            );
    }
}
