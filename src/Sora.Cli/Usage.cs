using System.CommandLine;
using System.CommandLine.Parsing;

namespace Sora.Cli;

/// <summary>What is wrong with a command line, in one line and with a hint.</summary>
internal static class Usage
{
    /// <summary>The first mistake, or null. Unlike System.CommandLine this doesn't take an unknown option for an argument.</summary>
    public static SoraException? Mistake(ParseResult parse, IReadOnlyList<string> words)
    {
        var command = parse.CommandResult.Command;
        if (command is not Verb verb)
            return NoSuchVerb(parse.RootCommandResult.Command, words);
        if (UnknownOption(verb, words.Skip(1)) is { } unknown)
        {
            var names = Known(verb).SelectMany(option => option.Aliases.Append(option.Name));
            return SoraException.Usage($"unknown option {unknown}", Hint(Nearest(unknown, names), $"sora {verb.Name} --help"));
        }
        return parse.Errors.Count == 0 ? null : SoraException.Usage(Line(parse, parse.Errors[0]), $"sora {verb.Name} --help");
    }

    private static SoraException NoSuchVerb(Command root, IReadOnlyList<string> words)
    {
        var word = words[0];
        return word.StartsWith('-')
            ? SoraException.Usage($"option {word} needs a verb before it", "sora --help")
            : SoraException.Usage(
                $"unknown verb '{word}'",
                Hint(Nearest(word, root.Subcommands.Where(verb => !verb.Hidden).Select(verb => verb.Name)), "sora --help")
            );
    }

    private static string? UnknownOption(Verb verb, IEnumerable<string> words)
    {
        var options = Known(verb)
            .SelectMany(option => option.Aliases.Append(option.Name).Select(name => (name, option)))
            .ToDictionary(pair => pair.name, pair => pair.option);
        var isValue = false;
        foreach (var word in words)
        {
            if (word == "--")
                return null;
            var name = word.Split('=', ':')[0];
            if (options.TryGetValue(name, out var option))
            {
                isValue = name == word && option.ValueType != typeof(bool);
                continue;
            }
            var isLong = word.StartsWith("--", StringComparison.Ordinal);
            var isShort = !isLong && !isValue && word.Length > 1 && word[0] == '-' && char.IsAsciiLetter(word[1]);
            if (isLong || (isShort && !options.ContainsKey(word[..2])))
                return name;
            isValue = false;
        }
        return null;
    }

    private static IEnumerable<Option> Known(Verb verb) =>
        verb.Options.Concat(verb.Parents.OfType<Command>().SelectMany(root => root.Options).Where(option => option.Recursive));

    /// <summary>
    /// Errors of our own begin with the option's name. The library's have no kinds and change their wording with the version, but what
    /// they are about says what is wrong.
    /// </summary>
    private static string Line(ParseResult parse, ParseError error)
    {
        var (name, type) = error.SymbolResult switch
        {
            OptionResult option => (option.Option.Name, option.Option.ValueType),
            ArgumentResult { Parent: OptionResult option } => (option.Option.Name, option.Option.ValueType),
            ArgumentResult argument => (argument.Argument.Name, argument.Argument.ValueType),
            _ => ("", typeof(string)),
        };
        if (name != "" && error.Message.StartsWith($"{name}: ", StringComparison.Ordinal))
            return error.Message;
        if (error.SymbolResult is OptionResult { IdentifierTokenCount: > 1 })
            return $"{name} may be given only once";
        if (name == "")
            return parse.UnmatchedTokens.Count > 0 ? $"unexpected argument '{parse.UnmatchedTokens[0]}'" : error.Message;
        if (error.SymbolResult!.Tokens.Count == 0)
            return error.SymbolResult is OptionResult ? $"{name} needs a value" : $"{name} is missing";
        var kind = (Nullable.GetUnderlyingType(type) ?? type) == typeof(double) ? "a number" : "a whole number";
        return $"{name}: '{error.SymbolResult.Tokens[^1].Value}' is not {kind}";
    }

    private static string Hint(string? nearest, string help) => nearest == null ? help : $"did you mean {nearest}? ({help})";

    private static string? Nearest(string word, IEnumerable<string> names) =>
        names
            .Select(name => (name, distance: IsBeginning(word, name) ? 0 : Distance(word, name)))
            .Where(pair => pair.name.Length > 2 && pair.distance <= Math.Max(1, Math.Min(3, pair.name.Length / 2)))
            .OrderBy(pair => pair.distance)
            .ThenBy(pair => pair.name, StringComparer.Ordinal)
            .Select(pair => pair.name)
            .FirstOrDefault();

    private static bool IsBeginning(string word, string name) =>
        word.Trim('-').Length > 1 && name.StartsWith(word, StringComparison.Ordinal);

    /// <summary>Edits (insert, delete, change, swap of neighbours) from one word to the other.</summary>
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            d[i, 0] = i;
        for (var j = 0; j <= b.Length; j++)
            d[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var change = a[i - 1] == b[j - 1] ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }
        return d[a.Length, b.Length];
    }
}
