using System.CommandLine;

namespace Sora.Cli.Docs;

/// <summary>What help texts, man pages and completions share.</summary>
internal static class Declared
{
    /// <summary>What a verb's page lists: the verb's own options, then those of every verb.</summary>
    public static IEnumerable<Option> Options(Verb verb) =>
        verb.Options.Concat([Cli.Options.Quiet, Cli.Options.Log, Cli.Options.Help]).Where(option => !option.Hidden);

    public static IEnumerable<Verb> Visible(IEnumerable<Command> verbs) => verbs.OfType<Verb>().Where(verb => !verb.Hidden);

    /// <summary>All names of an option, short ones first.</summary>
    public static IEnumerable<string> Names(Option option) => option.Aliases.Append(option.Name).OrderBy(name => name.Length);

    public static bool IsFlag(Option option) => option.ValueType == typeof(bool);

    /// <summary>An option as typed: <c>-o, --output FILE</c>.</summary>
    public static string Spelling(Option option) => string.Join(", ", Names(option)) + (IsFlag(option) ? "" : $" {ValueName(option)}");

    public static string ValueName(Option option) => option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant();

    /// <summary>The words that an option takes, if it takes one of a few.</summary>
    public static string[] Words(Option option) => option.HelpName?.Contains('|') == true ? option.HelpName.Split('|') : [];

    /// <summary>The line that shows how to call a verb.</summary>
    public static string Synopsis(Verb verb)
    {
        var arguments = verb
            .Arguments.Where(argument => !argument.Hidden)
            .Select(argument =>
            {
                // Such a name spells out its own form, for arguments whose first may be left out.
                if (argument.Name.Contains('['))
                    return argument.Name;
                var name = argument.Arity.MaximumNumberOfValues > 1 ? $"{argument.Name}..." : argument.Name;
                return argument.Arity.MinimumNumberOfValues == 0 ? $"[{name}]" : name;
            });
        return string.Join(' ', new[] { "sora", verb.Name, "[OPTIONS]" }.Concat(arguments));
    }
}
