using Sora.Cli.Verbs;

namespace Sora.Cli;

/// <summary>
/// The verbs, and what the program returns: 0 done; 1 failed; 2 wrong usage; 3 a valid run, part of which failed;
/// 130 interrupted; 141 the reader of standard output went away (the values of <see cref="ErrorKind"/>).
/// </summary>
internal static class Program
{
    /// <summary>Every verb, in the order in which help lists them.</summary>
    public static IReadOnlyList<Verb> Verbs { get; } = List();

    private static int Main(string[] args) => Shell.Run(args, Verbs);

    private static List<Verb> List()
    {
        List<Verb> verbs =
        [
            Generate.Create(),
            Extend.Create(),
            Interpolate.Create(),
            Edit.Create(),
            Depth.Create(),
            Encode.Create(),
            Decode.Create(),
            Info.Create(),
            Train.Create(),
        ];
        verbs.Add(Completions.Create(verbs));
        verbs.Add(Man.Create(verbs));
        return verbs;
    }
}
