using Sora.Diffusion;
using Xunit;

namespace Sora.Tests.Sampling;

/// <summary>How a <c>scheduler_config.json</c> is read: each field acts as in diffusers, is refused by name, or changes nothing.</summary>
public class SchedulerConfigTests
{
    private const string UniPc = "UniPCMultistepScheduler",
        Dpm = "DPMSolverMultistepScheduler";
    private const string Euler = "FlowMatchEulerDiscreteScheduler",
        Heun = "FlowMatchHeunDiscreteScheduler",
        Lcm = "FlowMatchLCMScheduler";

    [Theory]
    [InlineData(UniPc, "\"use_karras_sigmas\": true", "use_karras_sigmas true")]
    [InlineData(UniPc, "\"use_exponential_sigmas\": true", "use_exponential_sigmas true")]
    [InlineData(UniPc, "\"use_beta_sigmas\": true", "use_beta_sigmas true")]
    [InlineData(UniPc, "\"use_flow_sigmas\": false", "use_flow_sigmas false")]
    [InlineData(UniPc, "\"use_dynamic_shifting\": true", "use_dynamic_shifting true")]
    [InlineData(UniPc, "\"thresholding\": true", "thresholding true")]
    [InlineData(UniPc, "\"predict_x0\": false", "predict_x0 false")]
    [InlineData(UniPc, "\"lower_order_final\": false", "lower_order_final false")]
    [InlineData(UniPc, "\"solver_p\": {}", "solver_p")]
    [InlineData(UniPc, "\"solver_order\": 4", "solver_order 4")]
    [InlineData(UniPc, "\"solver_type\": \"bh3\"", "solver_type 'bh3'")]
    [InlineData(UniPc, "\"final_sigmas_type\": \"one\"", "final_sigmas_type 'one'")]
    [InlineData(Dpm, "\"use_karras_sigmas\": true", "use_karras_sigmas true")]
    [InlineData(Dpm, "\"use_lu_lambdas\": true", "use_lu_lambdas true")]
    [InlineData(Dpm, "\"thresholding\": true", "thresholding true")]
    [InlineData(Dpm, "\"algorithm_type\": \"sde-dpmsolver\"", "algorithm_type 'sde-dpmsolver'")]
    [InlineData(Dpm, "\"final_sigmas_type\": \"sigma_min\", \"euler_at_final\": true", "euler_at_final true")]
    [InlineData(Dpm, "\"final_sigmas_type\": \"sigma_min\", \"beta_start\": 0.001", "beta_start 0.001")]
    [InlineData(Dpm, "\"final_sigmas_type\": \"sigma_min\", \"trained_betas\": [0.1]", "trained_betas")]
    [InlineData(Euler, "\"use_dynamic_shifting\": true", "use_dynamic_shifting true")]
    [InlineData(Euler, "\"use_beta_sigmas\": true", "use_beta_sigmas true")]
    [InlineData(Euler, "\"invert_sigmas\": true", "invert_sigmas true")]
    [InlineData(Euler, "\"use_karras_sigmas\": true, \"use_exponential_sigmas\": true", "use_exponential_sigmas true")]
    [InlineData(Lcm, "\"scale_factors\": [0.5, 1]", "scale_factors")]
    [InlineData("DDIMScheduler", "\"clip_sample\": false", "the scheduler DDIMScheduler")]
    public void WhatWouldChangeTheResultIsRefusedByNameAndAnotherSamplerGoes(string name, string fields, string named)
    {
        var config = Read(name, fields);
        var error = Assert.Throws<SoraException>(() => new SamplingSettings().MakeSchedule(config));
        Assert.Equal(ErrorKind.Failure, error.Kind);
        Assert.StartsWith($"file.json: {named}", error.Message);
        Assert.Contains("isn't supported", error.Message);
        Assert.Contains("--sampler", error.Hint);
        var other = name == Heun || name == Euler ? "unipc" : "heun";
        Assert.Contains(other, error.Hint);
        var settings = new SamplingSettings { Sampler = other };
        Assert.Equal(settings.MakeSchedule(new SchedulerConfig()).Sigmas, settings.MakeSchedule(config).Sigmas);
    }

    [Theory]
    [InlineData(
        UniPc,
        "\"timestep_spacing\": \"trailing\", \"steps_offset\": 1, \"beta_start\": 0.5, \"rescale_betas_zero_snr\": true, "
            + "\"shift\": 9, \"sigma_min\": 0.5, \"stochastic_sampling\": true"
    )]
    [InlineData(
        UniPc,
        "\"solver_type\": \"midpoint\", \"shift_terminal\": 0, \"use_karras_sigmas\": null, "
            + "\"invert_sigmas\": true, \"algorithm_type\": \"dpmsolver\""
    )]
    [InlineData(
        Dpm,
        "\"lambda_min_clipped\": -Infinity, \"use_dynamic_shifting\": true, \"euler_at_final\": true, \"solver_type\": \"bh2\", "
            + "\"variance_type\": \"learned\", \"shift_terminal\": 0.5, \"predict_x0\": false"
    )]
    [InlineData(
        Euler,
        "\"flow_shift\": 9, \"thresholding\": true, \"base_shift\": 1, \"use_flow_sigmas\": false, \"final_sigmas_type\": \"sigma_min\""
    )]
    [InlineData(Heun, "\"use_karras_sigmas\": true, \"shift_terminal\": 0.5, \"use_dynamic_shifting\": true")]
    public void WhatDiffusersPassesOverChangesNothing(string name, string fields)
    {
        var (bare, full) = (Read(name, "\"null\": 0"), Read(name, fields));
        Assert.Equal(bare with { Uncorrected = [] }, full with { Uncorrected = [] });
        var settings = new SamplingSettings { Shift = full.Shift };
        Assert.Equal(settings.MakeSchedule(bare).Sigmas, settings.MakeSchedule(full).Sigmas);
    }

    [Theory]
    [InlineData("\"num_train_timesteps\": 500", "num_train_timesteps 500")]
    [InlineData("\"flow_shift\": 0", "a shift of 0")]
    [InlineData("\"shift_terminal\": 1.5", "shift_terminal 1.5")]
    [InlineData("\"prediction_type\": \"epsilon\"", "a scheduler for epsilon models")]
    public void WhatNoSamplerCanDoIsRefusedAtOnce(string fields, string named)
    {
        var error = Assert.Throws<SoraException>(() => Read(UniPc, fields));
        Assert.StartsWith($"file.json: {named}", error.Message);
        Assert.NotNull(error.Hint);
    }

    /// <summary>A level of the own scheduler doesn't go over to another one.</summary>
    [Fact]
    public void ASamplerOfAnotherKindHasItsOwnTable()
    {
        var config = Read(Euler, "\"shift\": 3, \"shift_terminal\": 0.2, \"use_karras_sigmas\": true");
        var settings = new SamplingSettings
        {
            Steps = 5,
            Shift = 3,
            Sampler = "unipc",
        };
        Assert.Equal(settings.MakeSchedule(new SchedulerConfig()).Sigmas, settings.MakeSchedule(config).Sigmas);
    }

    /// <summary>With noise, Euler's method in diffusers is (1 - s') x0 + s' noise: what LCM does, over the same levels.</summary>
    [Fact]
    public void EulerWithNoiseIsTheStepOfLcm()
    {
        var config = Read(Euler, "\"shift\": 5, \"stochastic_sampling\": true");
        Assert.Equal(Samplers.Lcm, new SamplingSettings().ChooseSampler(config).Step);
        Assert.Equal(Samplers.Euler, new SamplingSettings().ChooseSampler(Read(Euler, "\"shift\": 5")).Step);
    }

    private static SchedulerConfig Read(string name, string fields) =>
        SchedulerConfig.From(ConfigFile.Parse("file.json", $"{{\"_class_name\": \"{name}\", {fields}}}"));
}
