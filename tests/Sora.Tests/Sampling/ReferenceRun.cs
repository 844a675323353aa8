using System.Text.Json;
using Sora.Diffusion;

namespace Sora.Tests.Sampling;

/// <summary>The options that a reference run's scheduler configuration and arguments mean here.</summary>
internal static class ReferenceRun
{
    public static ScheduleOptions Schedule(JsonElement run)
    {
        var config = run.TryGetProperty("config", out var given) ? given : default;
        var set = run.GetProperty("set");
        var dynamic = Flag(config, "use_dynamic_shifting");
        var shift = Number(config, "flow_shift") ?? Number(config, "shift") ?? 1;
        return new ScheduleOptions
        {
            Spacing = SpacingOf(run.GetProperty("cls").GetString()!),
            Steps = (int)(Number(set, "num_inference_steps") ?? 0),
            Shift = Number(run, "set_shift") ?? shift,
            RangeShift = shift,
            Curve =
                !dynamic ? ShiftCurve.Fixed
                : Text(config, "time_shift_type") == "linear" ? ShiftCurve.Linear
                : ShiftCurve.Exponential,
            Mu = Number(set, "mu") ?? 0,
            Sigmas = Numbers(set, "sigmas"),
            Timesteps = Numbers(set, "timesteps"),
            Terminal = Number(config, "shift_terminal"),
            Respacing =
                Flag(config, "use_karras_sigmas") ? Respacing.Karras
                : Flag(config, "use_exponential_sigmas") ? Respacing.Exponential
                : Respacing.None,
            EndAtSigmaMin = Text(config, "final_sigmas_type") == "sigma_min",
        };
    }

    public static Spacing SpacingOf(string schedulerClass) =>
        schedulerClass switch
        {
            "UniPCMultistepScheduler" => Spacing.UniPc,
            "DPMSolverMultistepScheduler" => Spacing.Dpm,
            "FlowMatchHeunDiscreteScheduler" => Spacing.FlowPairs,
            _ => Spacing.Flow,
        };

    public static double? Number(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
            ? value.GetDouble()
            : null;

    public static string? Text(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out var value) ? value.GetString() : null;

    public static bool Flag(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out var value) && value.GetBoolean();

    public static double[]? Numbers(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out var list)
            ? [.. list.EnumerateArray().Select(value => value.GetDouble())]
            : null;
}
