namespace Sora.Models;

/// <summary>Parts of a model named one by one, each a file or a folder; null: the model's own.</summary>
public sealed record PartPaths
{
    /// <summary>The expert for low noise.</summary>
    public string? LowNoise { get; init; }

    /// <summary>The VAE.</summary>
    public string? Vae { get; init; }

    /// <summary>The text encoder.</summary>
    public string? TextEncoder { get; init; }

    /// <summary>
    /// <c>tokenizer.json</c> or <c>spiece.model</c>, or a folder with one of them;
    /// if it isn't named, the one in the text encoder's folder.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>CLIP's image encoder.</summary>
    public string? ImageEncoder { get; init; }

    /// <summary>What is named, by diffusers' names of the parts.</summary>
    /// <exception cref="SoraException">One isn't there.</exception>
    internal IEnumerable<(string Part, string Path)> Named()
    {
        (string Part, string? Path)[] all =
        [
            ("transformer_2", LowNoise),
            ("vae", Vae),
            ("text_encoder", TextEncoder),
            ("tokenizer", Tokenizer ?? (TextEncoder is null ? null : Text.Tokenizer.FileIn(TextEncoder))),
            ("image_encoder", ImageEncoder),
        ];
        foreach (var (part, path) in all)
        {
            if (path is null)
                continue;
            if (!File.Exists(path) && !Directory.Exists(path))
                throw SoraException.Failed($"{path}: no such file or folder");
            yield return (part, path);
        }
    }
}
