namespace Sora.Planning;

/// <summary>What a run is given besides its prompt, as far as it tells how much memory the run takes.</summary>
public sealed record Given
{
    /// <summary>A picture that the first frame shows.</summary>
    public bool First { get; init; }

    /// <summary>Pictures that other frames show.</summary>
    public bool Others { get; init; }

    /// <summary>A control video.</summary>
    public bool Control { get; init; }

    /// <summary>Known latents.</summary>
    public bool Latents { get; init; }

    /// <summary>
    /// Frames of the longest clip of which parts are decoded and encoded between samplings, by a VAE that stays; null: nothing is
    /// joined.
    /// </summary>
    public int? Joined { get; init; }

    /// <summary>A file that shows the estimate between the model's calls.</summary>
    public bool Preview { get; init; }

    /// <summary>Model calls that an unfinished clip has behind it; null: the run begins.</summary>
    public int? Behind { get; init; }

    /// <summary>Whether the VAE stays while the transformer runs.</summary>
    internal bool KeepsVae => Joined is not null || Preview;
}
