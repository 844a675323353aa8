using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Sora.Models;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>Arguments and options that several verbs share, so that each is spelt and read in one way.</summary>
internal static class Options
{
    public static readonly Option<bool> Quiet = new("--quiet", "-q") { Description = "Print nothing but errors", Recursive = true };

    public static readonly Option<string> Log = Choice(
        "--log",
        "Messages and progress as text, or as one JSON object per event",
        "text",
        "json"
    );

    public static readonly Option<bool> Help = new("--help", "-h") { Description = "Print this help", Recursive = true };

    public static readonly Option<bool> Version = new("--version") { Description = "Print the version" };

    /// <summary>Of verbs that write clips.</summary>
    public static readonly Option<DType?> Store = Value<DType>(
        "--store",
        "f32|f16|bf16",
        "Type to store the clip's latents in; f16 and bf16 halve the size; by default f32, or the type they already have",
        text =>
            text switch
            {
                "f32" => DType.F32,
                "f16" => DType.F16,
                "bf16" => DType.BF16,
                _ => throw SoraException.Usage($"'{text}' is not one of f32, f16, bf16"),
            }
    );

    static Options() => Log.Recursive = true;

    /// <summary>Clips to read: files, or standard input.</summary>
    public static Argument<string> Clip() =>
        new("CLIP")
        {
            Description = "Clip to read; standard input when left out or -",
            Arity = ArgumentArity.ZeroOrOne,
            DefaultValueFactory = _ => "-",
        };

    public static Option<string> Output(string what) =>
        new("--output", "-o")
        {
            Description = $"{what}; standard output when left out or -",
            HelpName = "FILE",
            DefaultValueFactory = _ => "-",
        };

    public static Option<string?> Model(
        string description = "Model: a folder, a file, or a name under $SORA_MODELS; the built-in mini when left out"
    )
    {
        var option = new Option<string?>("--model", "-m") { Description = description, HelpName = "MODEL" };
        option.CompletionSources.Add(_ => ModelLocator.Installed());
        return option;
    }

    public static Option<long?> Seed() =>
        new("--seed")
        {
            Description = "Seed of the noise: the same seed and command give the same clip, bit for bit",
            HelpName = "N",
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seed))
                    return seed;
                result.AddError($"--seed: '{text}' is not a whole number (0 or greater)");
                return null;
            },
        };

    public static Option<FrameSize?> Size(string description = "Width and height of the frames") =>
        Value<FrameSize>("--size", "WxH", description, FrameSize.Parse);

    public static Option<ClipTime?> Duration(string description = "Length: seconds (2s, 1.5s) or frames (33f)") =>
        Value<ClipTime>("--duration", "TIME", description, ClipTime.Parse);

    public static Option<int?> Frames(string description = "Length in frames") => Positive("--frames", "N", description);

    public static Option<double?> Fps(string description = "Frames per second") =>
        new("--fps")
        {
            Description = description,
            HelpName = "RATE",
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                const NumberStyles style = NumberStyles.AllowDecimalPoint;
                if (double.TryParse(text, style, CultureInfo.InvariantCulture, out var fps) && fps is > 0 and <= 1000)
                    return fps;
                result.AddError($"--fps: '{text}' is not a frame rate (above 0, up to 1000)");
                return null;
            },
        };

    /// <summary>An option that takes a number of 0 or more.</summary>
    public static Option<double?> Number(string name, string helpName, string description) =>
        Value(
            name,
            helpName,
            description,
            text =>
                double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= 0
                    ? value
                    : throw SoraException.Usage($"'{text}' is not a number (0 or greater)")
        );

    /// <summary>An option that takes a whole number of 1 or more.</summary>
    public static Option<int?> Positive(string name, string helpName, string description) => Whole(name, helpName, description, least: 1);

    /// <summary>An option that takes a whole number of <paramref name="least"/> or more.</summary>
    public static Option<int?> Whole(string name, string helpName, string description, int least) =>
        Value(
            name,
            helpName,
            description,
            text =>
                int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least
                    ? value
                    : throw SoraException.Usage($"'{text}' is not a whole number ({least} or greater)")
        );

    /// <summary>An option that takes one of a few words, the first by default.</summary>
    public static Option<string> Choice(string name, string description, params string[] words)
    {
        var option = new Option<string>(name)
        {
            Description = description,
            HelpName = string.Join('|', words),
            DefaultValueFactory = _ => words[0],
        };
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => !words.Contains(token.Value)))
                result.AddError($"{name}: '{token.Value}' is not one of {string.Join(", ", words)}");
        });
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>An option whose value a function reads; its <see cref="SoraException"/> is the usage error.</summary>
    public static Option<T?> Value<T>(string name, string helpName, string description, Func<string, T> parse)
        where T : struct =>
        new(name)
        {
            Description = description,
            HelpName = helpName,
            CustomParser = result => Parsed<T?>(result, name, text => parse(text)),
        };

    /// <summary>An option that may be repeated, each value read by a function.</summary>
    public static Option<T[]> Values<T>(string name, string helpName, string description, Func<string, T> parse) =>
        new(name)
        {
            Description = description,
            HelpName = helpName,
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
            DefaultValueFactory = _ => [],
            CustomParser = result => Parsed(result, name, _ => result.Tokens.Select(token => parse(token.Value)).ToArray()) ?? [],
        };

    private static T? Parsed<T>(ArgumentResult result, string name, Func<string, T> parse)
    {
        try
        {
            return parse(result.Tokens[0].Value);
        }
        catch (SoraException error)
        {
            result.AddError(error.Hint is { } hint ? $"{name}: {error.Message}: {hint}" : $"{name}: {error.Message}");
            return default;
        }
    }
}
