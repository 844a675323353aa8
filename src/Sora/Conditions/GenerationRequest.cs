using Sora.Clips;
using Sora.Diffusion;
using Sora.Tensors;
using TorchSharp;

namespace Sora.Conditions;

/// <summary>Who watches a run, where it stops, and what its result carries along.</summary>
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

    /// <summary>What the result has besides latents: metadata, history, tensors of other verbs; null: what the settings say.</summary>
    public Clip? Carrier { get; init; }
}

/// <summary>A clip that a run remakes.</summary>
/// <param name="Clip">The clip, finished.</param>
/// <param name="Region">
/// Makes the region to remake once the run begins: selecting by colour decodes frames. Null: the whole clip is remade,
/// from a noise level of <see cref="SamplingSettings.Strength"/>.
/// </param>
public sealed record EditedClip(Clip Clip, Func<Region>? Region);

/// <summary>
/// One generation, from the options of a command line to the sampler: what is sampled, what is known of it, where the run stops, and
/// who watches. The plan of its memory is made from the same object.
/// </summary>
/// <param name="Settings">Everything that the result depends on besides the model and what is known.</param>
public sealed record GenerationRequest(SamplingSettings Settings)
{
    private readonly bool knowsLatents;

    /// <summary>What is known of the video.</summary>
    public Conditioning Conditioning { get; init; } = Conditioning.Nothing;

    /// <summary>A clip that is remade, wholly or in part; it becomes latents of <see cref="Conditioning"/> when the run begins.</summary>
    public EditedClip? Edited { get; init; }

    /// <summary>Noise to start from, in the shape of the latents; null: from the seed.</summary>
    public HostTensor? Noise { get; init; }

    /// <summary>How far it goes, and who watches.</summary>
    public RunOptions Run { get; init; } = new();

    /// <summary>Model calls that an unfinished clip has done; null: the run begins.</summary>
    public int? CallsDone { get; init; }

    /// <summary>
    /// Video frames of the longest clip whose parts a resident VAE decodes
    /// and encodes between samplings; null: nothing is joined.
    /// </summary>
    public int? JoinedFrames { get; init; }

    /// <summary>
    /// Whether there are known latents: around a region or, where this is
    /// set, of a clip that is extended or of earlier windows.
    /// </summary>
    public bool KnowsLatents
    {
        get => knowsLatents || Conditioning.Mask is not null || Edited?.Region is not null;
        init => knowsLatents = value;
    }

    /// <summary>Whether a picture for the first frame is given.</summary>
    public bool ShowsFirst => Conditioning.Stills.Any(still => still.Frame == 0);

    /// <summary>Whether pictures for other frames are given.</summary>
    public bool ShowsOthers => Conditioning.Stills.Any(still => still.Frame > 0);

    /// <summary>Whether the VAE stays in memory while the transformer runs.</summary>
    public bool KeepsVae => JoinedFrames is not null || Run.Preview is not null;
}
