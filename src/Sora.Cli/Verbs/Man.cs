using System.CommandLine;
using Sora.Cli.Docs;

namespace Sora.Cli.Verbs;

/// <summary>Prints a man page, or writes all of them.</summary>
internal static class Man
{
    public static Verb Create(IReadOnlyList<Verb> verbs)
    {
        var name = new Argument<string?>("VERB")
        {
            Description = "Verb whose page to print; sora's own page when left out",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var write = new Option<string?>("--write") { Description = "Write all pages into this folder instead", HelpName = "FOLDER" };
        return new Verb(
            "man",
            "Prints manual pages",
            (args, run) =>
            {
                var all = Declared.Visible(verbs).ToList();
                if (args.GetValue(write) is { } folder)
                    WriteAll(folder, all);
                else
                    run.Out.Write(Page(args.GetValue(name), all));
            }
        )
        {
            Examples = [new("sora man encode > sora-encode.1", "Write the page of the verb encode")],
        }.With(name, write);
    }

    private static string Page(string? name, IReadOnlyList<Verb> verbs) =>
        name == null
            ? ManPage.Program(Shell.Description, verbs)
            : ManPage.Verb(
                verbs.FirstOrDefault(verb => verb.Name == name) ?? throw SoraException.Usage($"unknown verb '{name}'", "sora --help")
            );

    private static void WriteAll(string folder, IReadOnlyList<Verb> verbs)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "sora.1"), Page(null, verbs));
        foreach (var verb in verbs)
            File.WriteAllText(Path.Combine(folder, $"sora-{verb.Name}.1"), Page(verb.Name, verbs));
    }
}
