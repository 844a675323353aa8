namespace Sora.Diffusion;

/// <summary>A sampler by name, with the spacing of noise levels that it needs.</summary>
/// <param name="Name">As users write it.</param>
/// <param name="Spacing">How its levels are spaced.</param>
/// <param name="Step">One call of it.</param>
public sealed record Sampler(string Name, Spacing Spacing, SamplerStep Step)
{
    /// <summary>Model calls for each step of the schedule.</summary>
    public int CallsPerStep => Spacing == Spacing.FlowPairs ? 2 : 1;

    /// <summary>
    /// The sampler of a name, with the variant that the model's scheduler configuration asks for, if that is of the same kind.
    /// </summary>
    /// <param name="name">One of <see cref="SchedulerConfig.Samplers"/>; null for the one in the configuration.</param>
    /// <param name="order">Order of a multistep sampler, 1 to 3; null for the configured one, or 2.</param>
    /// <param name="config">The model's scheduler configuration.</param>
    /// <exception cref="SoraException">There is no such sampler, it has no such order, or the configured one isn't supported.</exception>
    public static Sampler Create(string? name, int? order, SchedulerConfig config)
    {
        var own = config.For(name);
        name ??= config.Sampler;
        if (order is < 1 or > 3)
            throw SoraException.Usage($"--order {order}: orders are 1, 2 and 3");
        if (order is not null && name is "euler" or "heun" or "lcm")
            throw SoraException.Usage($"{name} has no --order", "unipc and dpm++ have orders 1 to 3");
        var steps = order ?? own.Order;
        return name switch
        {
            // With noise Euler's method predicts x0 and noises it to the next level, which is LCM's step.
            "euler" => new(name, Spacing.Flow, own.Stochastic ? Samplers.Lcm : Samplers.Euler),
            "heun" => new(name, Spacing.FlowPairs, Samplers.Heun),
            "lcm" => new(name, Spacing.Flow, Samplers.Lcm),
            "unipc" => new(name, Spacing.UniPc, Samplers.UniPc(new UniPcOptions(steps, own.Bh1, own.Uncorrected))),
            "dpm++" => new(
                name,
                Spacing.Dpm,
                Samplers.DpmPlusPlus(new DpmOptions(steps, own.HeunKind, own.Stochastic, own.LowerOrderFinal))
            ),
            "dpm++-sde" => new(name, Spacing.Dpm, Samplers.DpmPlusPlus(new DpmOptions(steps, own.HeunKind, true, own.LowerOrderFinal))),
            _ => throw SoraException.Usage($"unknown sampler '{name}'", $"samplers are {string.Join(", ", SchedulerConfig.Samplers)}"),
        };
    }
}
