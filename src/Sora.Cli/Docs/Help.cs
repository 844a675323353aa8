using System.CommandLine;

namespace Sora.Cli.Docs;

/// <summary>Help texts, from the declarations.</summary>
internal static class Help
{
    private const int Column = 26;
    private const int Width = 100;

    public static void Write(Command command, TextWriter to)
    {
        if (command is Verb verb)
            WriteVerb(verb, to);
        else
            WriteProgram(command, to);
    }

    private static void WriteProgram(Command root, TextWriter to)
    {
        to.WriteLine($"{root.Description}.\n\nUsage: sora VERB [OPTIONS] [ARGUMENTS]\n\nVerbs:");
        foreach (var verb in Declared.Visible(root.Subcommands))
            WriteRow(verb.Name, verb.Description!, to);
        to.WriteLine("\nOptions:");
        foreach (var option in root.Options)
            WriteRow(Declared.Spelling(option), option.Description!, to);
        to.WriteLine("\nRun sora VERB --help for more about a verb.");
    }

    private static void WriteVerb(Verb verb, TextWriter to)
    {
        to.WriteLine($"{verb.Description}.\n\nUsage: {Declared.Synopsis(verb)}");
        if (verb.Arguments.Count > 0)
            to.WriteLine("\nArguments:");
        foreach (var argument in verb.Arguments)
            WriteRow(argument.Name, argument.Description!, to);
        to.WriteLine("\nOptions:");
        foreach (var option in Declared.Options(verb))
            WriteRow(Declared.Spelling(option), option.Description!, to);
        if (verb.Examples.Length > 0)
            to.WriteLine("\nExamples:");
        foreach (var example in verb.Examples)
            to.WriteLine($"  {example.Line}\n      {example.Does}");
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
