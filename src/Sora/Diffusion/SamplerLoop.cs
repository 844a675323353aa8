using static TorchSharp.torch;

namespace Sora.Diffusion;

/// <summary>Where a model call stands in the schedule.</summary>
/// <param name="Call">Index of the call in the whole run.</param>
/// <param name="Sigma">Noise level of the latents.</param>
/// <param name="Timestep">What the model is told.</param>
public readonly record struct NoiseLevel(int Call, float Sigma, float Timestep)
{
    /// <summary>Noise level of the auxiliary channels, where the model has some.</summary>
    public float AuxiliarySigma { get; init; } = Sigma;
}

/// <summary>The model as a sampler sees it: the velocity (noise - x0) at latents [B, C, T, h, w] of a noise level.</summary>
public delegate Tensor Denoiser(Tensor latents, NoiseLevel level);

/// <summary>A sampling run: the noise levels, the sampler, the model, and the noise.</summary>
/// <param name="Schedule">The noise levels.</param>
/// <param name="Step">The sampler.</param>
/// <param name="Denoiser">The model, with guidance.</param>
/// <param name="Noise">Fresh unit noise for a call, in the shape of the latents.</param>
public sealed record SamplerRun(Schedule Schedule, SamplerStep Step, Denoiser Denoiser, Func<int, Tensor> Noise)
{
    /// <summary>
    /// Runs from a state to the end of the schedule, or until <paramref name="until"/> calls are done. The state given
    /// stays the caller's; the one returned belongs to the caller's dispose scope.
    /// </summary>
    /// <param name="start">A fresh state or that of an interrupted run.</param>
    /// <param name="until">Calls after which to stop.</param>
    /// <param name="after">Sees the state after every call; it is disposed before the next one.</param>
    /// <param name="cancel">Checked before every call.</param>
    public SamplerState Run(SamplerState start, int until, Action<SamplerState>? after = null, CancellationToken cancel = default)
    {
        using var noGradient = no_grad();
        var state = start;
        while (state.Call < Math.Min(until, Schedule.Calls))
        {
            cancel.ThrowIfCancellationRequested();
            var next = Advance(state);
            foreach (var tensor in state.Tensors())
            {
                if (!next.Holds(tensor) && !start.Holds(tensor))
                    tensor.Dispose();
            }
            state = next;
            after?.Invoke(state);
        }
        return state;
    }

    private SamplerState Advance(SamplerState state)
    {
        using var scope = NewDisposeScope();
        var level = new NoiseLevel(state.Call, Schedule.Sigmas[state.Call], Schedule.Timesteps[state.Call]);
        var next = Step(state, Denoiser(state.Latents, level), Schedule, Noise);
        foreach (var tensor in next.Tensors())
        {
            if (!state.Holds(tensor))
                tensor.MoveToOuterDisposeScope();
        }
        return next;
    }
}
