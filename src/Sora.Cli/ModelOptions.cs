using System.CommandLine;
using Sora.Models;

namespace Sora.Cli;

/// <summary>Options that name the parts of a model one by one, for models that come as single files.</summary>
internal static class ModelOptions
{
    /// <summary>Of every verb that uses a VAE.</summary>
    public static readonly Option<string?> Vae = Part("--vae", "VAE to use instead of the model's own or the one next to its file");

    private static readonly Option<string?> LowNoise = Part(
        "--transformer-2",
        "Low-noise expert, for a two-expert model that comes as single files"
    );
    private static readonly Option<string?> TextEncoder = Part(
        "--text-encoder",
        "Text encoder to use instead of the model's own or the one next to its file"
    );
    private static readonly Option<string?> Tokenizer = Part(
        "--tokenizer",
        "tokenizer.json or spiece.model, if the text encoder's file or folder has none"
    );
    private static readonly Option<string?> ImageEncoder = Part(
        "--image-encoder",
        "CLIP image encoder to use instead of the model's own or the one next to its file"
    );

    /// <summary>In the order in which help lists them.</summary>
    public static readonly Symbol[] All = [LowNoise, Vae, TextEncoder, Tokenizer, ImageEncoder];

    /// <summary>The parts that were named.</summary>
    public static PartPaths Paths(ParseResult parse) =>
        new()
        {
            LowNoise = parse.GetValue(LowNoise),
            Vae = parse.GetValue(Vae),
            TextEncoder = parse.GetValue(TextEncoder),
            Tokenizer = parse.GetValue(Tokenizer),
            ImageEncoder = parse.GetValue(ImageEncoder),
        };

    private static Option<string?> Part(string name, string description) => new(name) { Description = description, HelpName = "FILE" };
}
