using System.CommandLine;
using Sora.Models;

namespace Sora.Cli.Verbs;

/// <summary>Prints what a shell needs to complete the words of a command line.</summary>
internal static class Completions
{
    public static Verb Create(IReadOnlyList<Verb> verbs)
    {
        var kind = new Argument<string>("KIND")
        {
            Description = "bash, zsh or fish for that shell's script, or models for the names of the installed models",
        };
        return new Verb(
            "completions",
            "Prints shell completions",
            (args, run) =>
            {
                run.Out.Write(
                    args.GetValue(kind) switch
                    {
                        "bash" => Docs.Completions.Bash(verbs),
                        "zsh" => Docs.Completions.Zsh(verbs),
                        "fish" => Docs.Completions.Fish(verbs),
                        "models" => string.Concat(ModelLocator.Installed().Select(name => $"{name}\n")),
                        var other => throw SoraException.Usage($"no completions for '{other}'", "use bash, zsh, fish or models"),
                    }
                );
            }
        )
        {
            Examples =
            [
                new("sora completions bash > sora.bash", "Write completions for bash, to source or to put in its completions folder"),
            ],
        }.With(kind);
    }
}
