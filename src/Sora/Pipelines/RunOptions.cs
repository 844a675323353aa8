using Sora.Clips;
using TorchSharp;

namespace Sora.Pipelines;

/// <summary>How a run is watched, where it stops, and what carries its result.</summary>
public sealed record RunOptions
{
    /// <summary>Steps after which to stop with an unfinished clip, counted over all windows; null runs to the end.</summary>
    public int? Until { get; init; }

    /// <summary>Only the steps of one expert: 0 for high noise, 1 for low noise; null for both.</summary>
    public int? Expert { get; init; }

    /// <summary>Sees the unfinished clip after every model call.</summary>
    public Action<Clip>? Checkpoint { get; init; }

    /// <summary>Sees the current estimate after every model call: raw latents [1, C, T, h, w], in windows those of the window.</summary>
    public Action<torch.Tensor>? Preview { get; init; }

    /// <summary>What the result has besides latents: what it says of itself, history, tensors of other verbs; null: what the settings say.</summary>
    public Clip? Carrier { get; init; }
}
