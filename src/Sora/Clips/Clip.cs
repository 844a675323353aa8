using Sora.Tensors;

namespace Sora.Clips;

/// <summary>Which form latents are in.</summary>
public enum LatentSpace
{
    /// <summary>The mean of the VAE's posterior, as the decoder takes it; what clip files hold.</summary>
    Raw,

    /// <summary>With the VAE's per-channel mean subtracted and divided by its deviation, as the transformer takes them.</summary>
    Normalised,
}

/// <summary>What a clip says about itself. Everything is optional: files of other programs say nothing.</summary>
public sealed record ClipInfo
{
    /// <summary>The model that made it: a name or a path.</summary>
    public string? Model { get; init; }

    /// <summary>Fingerprint of the VAE that the latents belong to.</summary>
    public string? Vae { get; init; }

    /// <summary>Of the frames, in pixels.</summary>
    public int? Width { get; init; }

    /// <summary>Of the frames, in pixels.</summary>
    public int? Height { get; init; }

    /// <summary>Number of video frames.</summary>
    public int? Frames { get; init; }

    /// <summary>The frame counts that its VAE allows, such as <c>1+4n</c>.</summary>
    public string? FrameGrid { get; init; }

    /// <summary>Frames a second.</summary>
    public double? Fps { get; init; }

    /// <summary>The form of the latents.</summary>
    public LatentSpace Space { get; init; }

    /// <summary>The seed of the noise.</summary>
    public long? Seed { get; init; }

    /// <summary>What it shows.</summary>
    public string? Prompt { get; init; }
}

/// <summary>
/// A video in latent space: tensors, what they are, and how they were made.
/// Tensors and metadata that no verb knows are passed on unchanged.
/// </summary>
public sealed record Clip
{
    /// <summary>Prefix of the tensors of an unfinished sampling.</summary>
    public const string NoisePrefix = "noise_";

    /// <summary>Name of the tensor with an unfinished sampling's current estimate: raw latents <c>[1, C, T, h, w]</c>.</summary>
    public const string EstimateName = NoisePrefix + "estimate";

    /// <summary>Name of the tensor <c>[F, H, W]</c> of relative inverse depth.</summary>
    public const string DepthName = "depth";

    /// <summary><c>[1, C, T, h, w]</c>; null in an unfinished sampling.</summary>
    public HostTensor? Latents { get; init; }

    /// <summary>What the clip says about itself.</summary>
    public ClipInfo Info { get; init; } = new();

    /// <summary>The verbs applied so far.</summary>
    public IReadOnlyList<HistoryEntry> History { get; init; } = [];

    /// <summary>All other tensors by name: <c>depth</c>, <c>noise_*</c>, and whatever else the file held.</summary>
    public IReadOnlyDictionary<string, HostTensor> Tensors { get; init; } = new Dictionary<string, HostTensor>();

    /// <summary>Metadata that belongs to neither <see cref="Info"/> nor <see cref="History"/>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>Where it was read from, for messages.</summary>
    public string Origin { get; init; } = "clip";

    /// <summary>Whether it is the state of a sampling that isn't finished.</summary>
    public bool IsUnfinished => Latents == null;

    /// <summary>The latents of a finished clip.</summary>
    /// <exception cref="SoraException">It is unfinished.</exception>
    public HostTensor FinishedLatents =>
        Latents ?? throw SoraException.Failed($"{Origin}: an unfinished clip", "finish it with sora generate --resume");

    /// <summary>The latents of a finished clip, or what an unfinished one looks like so far.</summary>
    /// <exception cref="SoraException">It is unfinished, and has no estimate yet.</exception>
    public HostTensor VisibleLatents => Latents ?? (Tensors.TryGetValue(EstimateName, out var estimate) ? estimate : FinishedLatents);

    /// <summary>The same clip with one more verb in its history.</summary>
    public Clip After(HistoryEntry entry) => this with { History = [.. History, entry] };

    /// <summary>The same clip with a tensor added or replaced.</summary>
    public Clip With(string name, HostTensor tensor) =>
        this with
        {
            Tensors = new Dictionary<string, HostTensor>(Tensors) { [name] = tensor },
        };

    /// <summary>The same clip with an entry of <see cref="Metadata"/> added or replaced.</summary>
    public Clip WithMetadata(string key, string value) =>
        this with
        {
            Metadata = new Dictionary<string, string>(Metadata) { [key] = value },
        };

    /// <summary>The same clip without the state of a sampling.</summary>
    public Clip WithoutNoise() =>
        this with
        {
            Tensors = Tensors.Where(entry => !entry.Key.StartsWith(NoisePrefix, StringComparison.Ordinal)).ToDictionary(),
        };
}
