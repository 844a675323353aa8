using System.CommandLine;
using System.Text;

namespace Sora.Cli.Docs;

/// <summary>Man pages in roff, from the declarations.</summary>
internal static class ManPage
{
    private static readonly (string Status, string Means)[] Statuses =
    [
        ("0", "Done."),
        ("1", "Failed: files, model or memory."),
        ("2", "Wrong usage."),
        ("3", "The run was valid, but part of the batch failed."),
        ("130", "Interrupted by Ctrl-C or SIGTERM; no partial file is left."),
        ("141", "The reader of standard output closed the pipe."),
    ];

    private static readonly (string Name, string Means)[] Variables =
    [
        ("SORA_CACHE", "Where to cache the prompt embeddings of large text encoders, instead of ~/.cache/sora; off disables the cache."),
        ("SORA_MODELS", "Folder of models that --model then finds by name."),
        ("SORA_TRACE", "If set to 1, errors show where in the program they came from."),
    ];

    private static readonly (string Term, string Means)[] Conventions =
    [
        (
            "Clips",
            "A clip is a safetensors file (.latent) with a video's latents, metadata and history. "
                + "Verbs read clips from standard input and write them to standard output unless told otherwise; - means either one. "
                + "Several clips may follow one another in a pipe, and every verb maps over them. "
                + "Tensors are never written to a terminal."
        ),
        ("Times", "2s and 1.5s are seconds, 33f are frames, end is the last frame, 1s-2s is a time range."),
        (
            "Messages",
            "Messages and progress go to standard error: bars on a terminal, an occasional plain line elsewhere, "
                + "one JSON object per event with --log json, only errors with --quiet."
        ),
        ("Files", "The file given with --output appears whole or not at all."),
    ];

    /// <summary>The page of the program, <c>sora.1</c>.</summary>
    public static string Program(string description, IReadOnlyList<Verb> verbs)
    {
        var page = Begin("sora", description);
        Section(page, "SYNOPSIS");
        page.Append(".B sora\n.I VERB\n.RI [ OPTIONS ]\n.RI [ ARGUMENTS ]\n");
        Section(page, "VERBS");
        foreach (var verb in verbs)
            Item(page, $"\\fBsora\\-{Escape(verb.Name)}\\fR(1)", verb.Description + ".");
        Section(page, "CONVENTIONS");
        foreach (var (term, means) in Conventions)
            Item(page, $"\\fB{term}\\fR", means);
        End(page, verbs.Select(verb => $"sora\\-{Escape(verb.Name)}"));
        return page.ToString();
    }

    /// <summary>The page of a verb, <c>sora-VERB.1</c>.</summary>
    public static string Verb(Verb verb)
    {
        var page = Begin($"sora-{verb.Name}", verb.Description!);
        Section(page, "SYNOPSIS");
        page.Append($"{Escape(Declared.Synopsis(verb))}\n");
        if (verb.Details.Length > 0)
            Section(page, "DESCRIPTION");
        foreach (var paragraph in verb.Details)
            page.Append($".PP\n{Escape(paragraph)}\n");
        if (verb.Arguments.Count > 0)
            Section(page, "ARGUMENTS");
        foreach (var argument in verb.Arguments.Where(argument => !argument.Hidden))
            Item(page, $"\\fI{Escape(argument.Name)}\\fR", argument.Description + ".");
        Section(page, "OPTIONS");
        foreach (var option in Declared.Options(verb))
            Item(page, Term(option), option.Description + ".");
        if (verb.Examples.Length > 0)
            Section(page, "EXAMPLES");
        foreach (var example in verb.Examples)
            page.Append($".PP\n{Escape(example.Does)}:\n.PP\n.nf\n.RS\n{Escape(example.Line)}\n.RE\n.fi\n");
        End(page, ["sora"]);
        return page.ToString();
    }

    private static StringBuilder Begin(string name, string description)
    {
        var page = new StringBuilder(
            $".\\\" Written by `sora man --write`; don't edit.\n.TH {name.ToUpperInvariant()} 1 \"\" \"sora {Shell.Version}\"\n"
        );
        Section(page, "NAME");
        return page.Append($"{Escape(name)} \\- {Escape(description)}\n");
    }

    private static void End(StringBuilder page, IEnumerable<string> seeAlso)
    {
        Section(page, "EXIT STATUS");
        foreach (var (status, means) in Statuses)
            Item(page, status, means);
        Section(page, "ENVIRONMENT");
        foreach (var (name, means) in Variables)
            Item(page, $"\\fB{name}\\fR", means);
        Section(page, "SEE ALSO");
        page.AppendJoin(",\n", seeAlso.Select(name => $"\\fB{name}\\fR(1)")).Append('\n');
    }

    private static void Section(StringBuilder page, string title) => page.Append($".SH {title}\n");

    private static void Item(StringBuilder page, string term, string text) => page.Append($".TP\n{term}\n{Escape(text)}\n");

    private static string Term(Option option)
    {
        var names = string.Join(", ", Declared.Names(option).Select(name => $"\\fB{Escape(name)}\\fR"));
        return Declared.IsFlag(option) ? names : $"{names} \\fI{Escape(Declared.ValueName(option))}\\fR";
    }

    /// <summary>Text as roff wants it: no line may begin with a control character, and hyphens stay hyphens.</summary>
    private static string Escape(string text)
    {
        var escaped = text.Replace("\\", "\\e").Replace("-", "\\-").Replace("'", "\\(aq").Replace("\n", "\n\\&");
        return escaped.StartsWith('.') ? $"\\&{escaped}" : escaped;
    }
}
