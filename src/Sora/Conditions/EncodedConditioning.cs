using Sora.Diffusion;
using static TorchSharp.torch;

namespace Sora.Conditions;

/// <summary>How a network is told what is known.</summary>
public enum ConditioningMode
{
    /// <summary>Known tokens are clean and have timestep 0 (after Diffusion Forcing, arXiv:2407.01392).</summary>
    TokenTimesteps,

    /// <summary>Mask and condition are extra input channels (of image-to-video models).</summary>
    MaskChannels,

    /// <summary>A second stack of blocks reads a control video (VACE, arXiv:2503.07598).</summary>
    Control,

    /// <summary>Known latents are noised to the current level before every call (RePaint, arXiv:2201.09865, without resampling).</summary>
    Renoise,
}

/// <summary>
/// What is known of a video, in the form in which its network takes it. It is part of an unfinished run.
/// </summary>
/// <param name="Mode">How the network is told.</param>
/// <param name="Patch">Rows and columns of latents in a token.</param>
public sealed record EncodedConditioning(ConditioningMode Mode, (int Rows, int Columns) Patch)
{
    /// <summary>
    /// Noise level down to which hints hold. A still inside a clip is one frame of the four of its latent frame: held to
    /// the end it would freeze the picture for all four; let go here, it moves like its surroundings.
    /// </summary>
    private const float Release = 0.6f;

    /// <summary>Stored names of what every family has: known, mask, exact, hints and noise.</summary>
    private static readonly string[] Own = ["known", "mask", "exact", "hints", "start"];

    /// <summary>Normalised latents [1, C, T, h, w] that the result has where <see cref="Mask"/> is 1.</summary>
    public Tensor? Known { get; init; }

    /// <summary>[1, 1, T, h, w] of ones and zeros.</summary>
    public Tensor? Mask { get; init; }

    /// <summary>Raw latents as in <see cref="Conditioning.Exact"/>, on the host.</summary>
    public Tensor? Exact { get; init; }

    /// <summary>
    /// [1, 1, T, h, w] of ones and zeros: places that follow
    /// <see cref="Known"/> while the noise is high, and the model after that.
    /// </summary>
    public Tensor? Hints { get; init; }

    /// <summary>Pictures, in the video's size, that frames after the first one show in the finished clip.</summary>
    public IReadOnlyList<Still> Stills { get; init; } = [];

    /// <summary>The noise of the run's start, for networks that noise what is known.</summary>
    public Tensor? Noise { get; init; }

    /// <summary>
    /// What else the network reads, by the family's own names: extra channels, say, or rows of an image encoder.
    /// </summary>
    public IReadOnlyDictionary<string, Tensor> Inputs { get; init; } = new Dictionary<string, Tensor>();

    /// <summary>A factor for each control layer.</summary>
    public IReadOnlyList<double>? ControlScale { get; init; }

    /// <summary>Leading latent frames that are references, not part of the video.</summary>
    public int References { get; init; }

    /// <summary>Channels that the network makes after the latents; they are made everywhere, and none of them is known.</summary>
    public int AuxiliaryChannels { get; init; }

    /// <summary>Every tensor by the name under which an unfinished run stores it.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        foreach (var (name, tensor) in Own.Zip((Tensor?[])[Known, Mask, Exact, Hints, Noise]))
        {
            if (tensor is not null)
                yield return (name, tensor);
        }
        foreach (var (name, tensor) in Inputs)
            yield return (name, tensor);
    }

    /// <summary>The same with these tensors in place of its own.</summary>
    /// <param name="stored">By the names of <see cref="Tensors"/>.</param>
    public EncodedConditioning With(IReadOnlyDictionary<string, Tensor> stored)
    {
        var own = Own.Select(name => stored.GetValueOrDefault(name)).ToList();
        return this with
        {
            Known = own[0],
            Mask = own[1],
            Exact = own[2],
            Hints = own[3],
            Noise = own[4],
            Inputs = stored.Where(entry => !Own.Contains(entry.Key)).ToDictionary(),
        };
    }

    /// <summary>
    /// The sampler's latents [1, C, T, h, w] with what is known in its place, clean or noised to the level, depending on
    /// the mode; and which tokens are then clean, [1, tokens] of ones and zeros, null where all are noisy.
    /// </summary>
    public (Tensor Latents, Tensor? Clean) Held(Tensor latents, NoiseLevel level)
    {
        if (MaskAt(level) is not { } mask || Known is not { } known)
            return (latents, null);
        switch (Mode)
        {
            case ConditioningMode.TokenTimesteps:
                var clean = KnownTokens(mask);
                return (where(Spread(clean, mask) > 0.5, known, latents), clean);
            case ConditioningMode.Renoise or ConditioningMode.Control:
                return (where(mask > 0.5, Samplers.Noised(known, Noise!, level.Sigma), latents), null);
            default:
                return (latents, null);
        }
    }

    /// <summary>The model's answer, replaced where hints hold by the velocity that leads to them.</summary>
    public Tensor Answer(Tensor velocity, Tensor state, NoiseLevel level)
    {
        if (!HoldsHints(level))
            return velocity;
        var video = where(Hints! > 0.5, (Video(state) - Known!) / level.Sigma, Video(velocity));
        return AuxiliaryChannels > 0 ? cat([video, Auxiliary(velocity)], 1) : video;
    }

    /// <summary>Whether there are hints, and they hold at this level.</summary>
    public bool HoldsHints(NoiseLevel level) => Hints is not null && level.Sigma > Release;

    /// <summary>The video's latents at the end of a run: what is known unchanged, without references and auxiliary channels.</summary>
    public Tensor Finish(Tensor state)
    {
        var latents = Video(state);
        var whole = Mask is not null && Known is not null ? where(Mask > 0.5, Known, latents) : latents;
        return References == 0 ? whole : whole.narrow(2, References, whole.shape[2] - References);
    }

    /// <summary>The latents among latents and auxiliary channels.</summary>
    public Tensor Video(Tensor state) => AuxiliaryChannels > 0 ? state.narrow(1, 0, state.shape[1] - AuxiliaryChannels) : state;

    /// <summary>The auxiliary channels among them.</summary>
    public Tensor Auxiliary(Tensor state) => state.narrow(1, state.shape[1] - AuxiliaryChannels, AuxiliaryChannels);

    private Tensor? MaskAt(NoiseLevel level) => HoldsHints(level) ? maximum(Mask!, Hints!) : Mask;

    /// <summary>Tokens that are known completely, [1, tokens] of ones and zeros.</summary>
    private Tensor KnownTokens(Tensor mask) =>
        -nn.functional.max_pool3d(-mask, [1, Patch.Rows, Patch.Columns], [1, Patch.Rows, Patch.Columns]).flatten(1);

    /// <summary>A value for each token, [1, tokens], at each of its latents.</summary>
    private Tensor Spread(Tensor tokens, Tensor mask)
    {
        var (frames, rows, columns) = (mask.shape[2], mask.shape[3] / Patch.Rows, mask.shape[4] / Patch.Columns);
        // Not repeat_interleave: it has to ask the device how long its result is.
        return tokens
            .view(1, 1, frames, rows, 1, columns, 1)
            .expand(-1, -1, -1, -1, Patch.Rows, -1, Patch.Columns)
            .reshape(1, 1, frames, rows * Patch.Rows, columns * Patch.Columns);
    }
}
