using System.Text.RegularExpressions;

namespace Sora.Cli.Tests;

/// <summary>What a terminal shows of what is written to it: of its codes, those that erase to the end of a line and that colour.</summary>
internal static partial class Screen
{
    public static string[] Lines(string written)
    {
        var lines = new List<string> { "" };
        var column = 0;
        foreach (var token in Token().Matches(written).Select(match => match.Value))
        {
            var line = lines[^1];
            if (token == "\n")
                lines.Add("");
            else if (token == "\e[K")
                lines[^1] = line[..column];
            else if (token[0] >= ' ')
                lines[^1] = line[..column] + token + line[Math.Min(column + token.Length, line.Length)..];
            else if (token[0] == '\e' && token[^1] != 'm')
                throw new ArgumentException($"a code that isn't known: {token[1..]}");
            column =
                token[0] >= ' ' ? column + token.Length
                : token[0] == '\e' ? column
                : 0;
        }
        return [.. lines];
    }

    [GeneratedRegex(@"\e\[[0-9;?]*[A-Za-z]|[\r\n]|[^\r\n\e]+")]
    private static partial Regex Token();
}
