namespace Sora.Cli;

/// <summary>
/// The verbs, and what the program returns: 0 done; 1 failed; 2 wrong usage; 3 a valid run of which a part failed;
/// 130 interrupted; 141 the reader of standard output went away (the values of <see cref="ErrorKind"/>).
/// </summary>
internal static class Program
{
    private static int Main(string[] args) => Shell.Run(args, Verbs());

    private static Verb[] Verbs() =>
    [
    ];
}
