using System.CommandLine;

namespace Sora.Cli;

/// <summary>One line that works, and what it does; shown in help and man page, and run by the tests.</summary>
internal sealed record Example(string Line, string Does);

/// <summary>
/// One verb: its arguments and options as declared (help, man page and completions come from them), and what it does.
/// A file in <c>Verbs/</c> declares them, makes a record of what the command line says, and has the rest of the verb as its methods.
/// </summary>
internal sealed class Verb(string name, string description, Action<ParseResult, Run> body) : Command(name, description)
{
    /// <summary>Paragraphs of the man page's description, beyond the one line.</summary>
    public string[] Details { get; init; } = [];

    public Example[] Examples { get; init; } = [];

    public Action<ParseResult, Run> Body => body;

    /// <summary>Declares arguments and options, in the order in which help lists them.</summary>
    public Verb With(params Symbol[] symbols)
    {
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
                Add(argument);
            else
                Add((Option)symbol);
        }
        return this;
    }
}
