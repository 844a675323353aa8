using Sora.Models;

namespace Sora.Sampling;

/// <summary>A model's <c>scheduler/scheduler_config.json</c>: the sampler and the shift that it was made for.</summary>
public sealed record SchedulerConfig
{
    /// <summary>The names of all samplers.</summary>
    public static readonly IReadOnlyList<string> Samplers = ["unipc", "euler", "dpm++", "dpm++-sde", "heun", "lcm"];

    /// <summary>What <c>prediction_type</c> says of networks that give the velocity, and of those whose answer must be turned into it.</summary>
    internal const string Flow = "flow_prediction", Preconditioned = "preconditioned";

    /// <summary>Name of the sampler.</summary>
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

    /// <summary>DPM-Solver++ with noise.</summary>
    public bool Stochastic { get; init; }

    /// <summary>DPM-Solver++ ends short runs with lower orders.</summary>
    public bool LowerOrderFinal { get; init; } = true;

    /// <summary>Ends at the smallest level instead of zero.</summary>
    public bool EndAtMinimum { get; init; }

    /// <summary>Level that the last one is stretched to.</summary>
    public double? Terminal { get; init; }

    /// <summary>Spacing between first and last level.</summary>
    public Respacing Respacing { get; init; }

    /// <summary>Reads the file; a model folder without one is a <see cref="SchedulerConfig"/> of defaults.</summary>
    /// <exception cref="SoraException">It isn't JSON, or is for models that don't predict flow.</exception>
    public static SchedulerConfig Read(string path)
    {
        if (!File.Exists(path)) return new SchedulerConfig();
        var file = ConfigFile.Read(path);
        var name = file.ClassName ?? "UniPCMultistepScheduler";
        var prediction = file.Text("prediction_type", Flow);
        if (prediction is not (Flow or Preconditioned))
            throw SoraException.Failed($"{path}: a scheduler for {prediction} models", "flow-matching models are supported");
        return new SchedulerConfig
        {
            Sampler = SamplerOf(name) ?? throw SoraException.Failed($"{path}: the scheduler {name} isn't supported", "name one with --sampler"),
            Shift = file.Number("flow_shift", file.Number("shift", 1)),
            Order = file.Size("solver_order", 2),
            Bh1 = file.Text("solver_type", null) == "bh1",
            HeunKind = file.Text("solver_type", null) == "heun",
            Uncorrected = file.Ints("disable_corrector", []),
            Stochastic = file.Text("algorithm_type", null) == "sde-dpmsolver++",
            LowerOrderFinal = file.Flag("lower_order_final", true),
            EndAtMinimum = file.Text("final_sigmas_type", "zero") == "sigma_min",
            Terminal = file.Has("shift_terminal") ? file.Number("shift_terminal", 0) : null,
            Respacing = file.Flag("use_karras_sigmas", false) ? Respacing.Karras
                : file.Flag("use_exponential_sigmas", false) ? Respacing.Exponential : Respacing.None,
        };
    }

    private static string? SamplerOf(string className) => className switch
    {
        "UniPCMultistepScheduler" => "unipc",
        "DPMSolverMultistepScheduler" => "dpm++",
        "FlowMatchEulerDiscreteScheduler" => "euler",
        "FlowMatchHeunDiscreteScheduler" => "heun",
        "FlowMatchLCMScheduler" => "lcm",
        _ => null,
    };
}
