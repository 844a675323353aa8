using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Sora.Clips;
using Sora.Kernels;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>How every verb reads and writes clips.</summary>
internal static partial class ClipPipe
{
    /// <summary>The clips that a CLIP argument names: the one of a file, or those that arrive at standard input.</summary>
    public static IEnumerable<Clip> Read(Run run, string name, LatentSpace space = LatentSpace.Raw)
    {
        var reader = new ClipReader { Space = space, Reporter = run.Reporter };
        if (name != "-")
        {
            var clip = reader.ReadFile(name, run.Cancel);
            Libtorch.Preload();
            return [clip];
        }
        var input = run.OpenInput(name);
        Libtorch.Preload();
        return reader.ReadAll(input, "standard input", run.Cancel);
    }

    /// <summary>Whether a word that may be a clip or a prompt is a clip: standard input, a file, or a name like one.</summary>
    public static bool IsClip(string word) => word == "-" || File.Exists(word) || word.EndsWith(".latent", StringComparison.Ordinal);

    /// <summary>
    /// Gives <paramref name="produce"/> a writer to a file, whole or not at all, or to standard output; to nothing if only a plan is
    /// asked for.
    /// </summary>
    /// <exception cref="SoraException">Standard output is a terminal; thrown before anything is computed.</exception>
    public static void Write(Run run, string output, DType? storage, bool isDry, Action<ClipWriter> produce)
    {
        if (isDry)
            produce(new ClipWriter(Stream.Null));
        else if (output == "-")
            produce(new ClipWriter(run.OpenOutput()) { Storage = storage });
        else
            AtomicFile.Write(output, stream => produce(new ClipWriter(stream, isSingle: true) { Storage = storage }));
    }

    /// <summary>The name of one of several files: %d, or %03d, stands for its number.</summary>
    public static string Numbered(string output, int number) =>
        NumberPattern().Replace(output, match => number.ToString($"D{match.Groups[1].Value}"));

    /// <summary>The word that names a clip, if the clip's history can make it again; otherwise null.</summary>
    public static string? Source(string name, Clip clip) => clip.History.Count > 0 ? name : null;

    /// <summary>
    /// The verb as it was called, for the clip's history: its arguments and options, without those that say where the
    /// result goes and what is printed.
    /// </summary>
    /// <param name="parse">The command line.</param>
    /// <param name="keepsDash">Keeps words that stand for standard input.</param>
    public static HistoryEntry Entry(ParseResult parse, bool keepsDash = false)
    {
        Symbol[] unimportant = [Options.Quiet, Options.Log, SamplingOptions.Checkpoint, SamplingOptions.Preview, SamplingOptions.Offload];
        var words = parse.CommandResult.Children.SelectMany(part =>
            part switch
            {
                // A repeated option has all its values here, but takes one at a time.
                OptionResult { Implicit: false } option when option.Option.Name != "--output" && !unimportant.Contains(option.Option) =>
                    option.Tokens.Count == 0
                        ? [option.Option.Name]
                        : option.Tokens.SelectMany(token => new[] { option.Option.Name, token.Value }),
                ArgumentResult argument => argument.Tokens.Select(token => token.Value).Where(word => keepsDash || word != "-"),
                _ => [],
            }
        );
        return HistoryEntry.Of(parse.CommandResult.Command.Name, words);
    }

    [GeneratedRegex(@"%(?:0(\d+))?d")]
    private static partial Regex NumberPattern();
}
