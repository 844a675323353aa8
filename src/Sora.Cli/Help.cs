using System.CommandLine;

namespace Sora.Cli;

/// <summary>Help texts, from the declarations.</summary>
internal static class Help
{
    private const int Column = 26;
    private const int Width = 100;

    public static void Write(Command command, TextWriter to)
    {
        if (command is Verb verb) WriteVerb(verb, to);
        else WriteProgram(command, to);
    }

    /// <summary>What help and man page list for a verb: the verb's own options, then those of every verb.</summary>
    public static IEnumerable<Option> OptionsOf(Verb verb) =>
        verb.Options.Concat([Options.Quiet, Options.Log, Options.Help]).Where(option => !option.Hidden);

    /// <summary>An option as typed: <c>-o, --output FILE</c>.</summary>
    public static string Spelling(Option option)
    {
        var names = option.Aliases.Append(option.Name).OrderBy(name => name.Length);
        var value = option.ValueType == typeof(bool) ? "" : $" {ValueName(option)}";
        return string.Join(", ", names) + value;
    }

    public static string ValueName(Option option) => option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant();

    /// <summary>The one line of how a verb is called.</summary>
    public static string Synopsis(Verb verb)
    {
        var arguments = verb.Arguments.Where(argument => !argument.Hidden).Select(argument =>
        {
            var name = argument.Arity.MaximumNumberOfValues > 1 ? $"{argument.Name}..." : argument.Name;
            return argument.Arity.MinimumNumberOfValues == 0 ? $"[{name}]" : name;
        });
        return string.Join(' ', new[] { "sora", verb.Name, "[OPTIONS]" }.Concat(arguments));
    }

    private static void WriteProgram(Command root, TextWriter to)
    {
        to.WriteLine($"{root.Description}.\n\nUsage: sora VERB [OPTIONS] [ARGUMENTS]\n\nVerbs:");
        foreach (var verb in root.Subcommands.Where(verb => !verb.Hidden)) WriteRow(verb.Name, verb.Description!, to);
        to.WriteLine("\nOptions:");
        foreach (var option in root.Options) WriteRow(Spelling(option), option.Description!, to);
        to.WriteLine("\nsora VERB --help tells more about a verb.");
    }

    private static void WriteVerb(Verb verb, TextWriter to)
    {
        to.WriteLine($"{verb.Description}.\n\nUsage: {Synopsis(verb)}");
        if (verb.Arguments.Count > 0) to.WriteLine("\nArguments:");
        foreach (var argument in verb.Arguments) WriteRow(argument.Name, argument.Description!, to);
        to.WriteLine("\nOptions:");
        foreach (var option in OptionsOf(verb)) WriteRow(Spelling(option), option.Description!, to);
        if (verb.Examples.Length > 0) to.WriteLine("\nExamples:");
        foreach (var example in verb.Examples) to.WriteLine($"  {example.Line}\n      {example.Does}");
    }

    private static void WriteRow(string left, string right, TextWriter to)
    {
        var line = $"  {left}".PadRight(Column - 2);
        line = line.Length > Column - 2 ? $"{line}\n{new string(' ', Column)}" : $"{line}  ";
        var used = Column;
        foreach (var word in right.Split(' '))
        {
            if (used + word.Length > Width)
            {
                line = $"{line.TrimEnd(' ')}\n{new string(' ', Column)}";
                used = Column;
            }
            line += $"{word} ";
            used += word.Length + 1;
        }
        to.WriteLine(line.TrimEnd(' '));
    }
}
