using System.Text.RegularExpressions;
using Xunit;

namespace Sora.Tests;

/// <summary>What the formatter and the analyzers don't ask of the sources: that they fit on a screen.</summary>
public partial class StyleTests
{
    private const int Columns = 140;

    /// <summary>Lines of a method, its braces among them.</summary>
    private const int Rows = 60;

    private static readonly List<string> Sources = [.. FindSources()];

    [Fact]
    public void LinesFitOnAScreen()
    {
        var faults =
            from file in Sources
            from line in File.ReadLines(file).Select((text, index) => (text, index))
            // An address or a line of a golden text can't be broken.
            where line.text.Length > Columns && !line.text.Contains("://")
            select $"{file}:{line.index + 1}: {line.text.Length} columns";
        Assert.Empty(faults);
    }

    [Fact]
    public void MethodsFitOnAScreen() => Assert.Empty(Sources.SelectMany(file => LongMethods(file, File.ReadAllLines(file))));

    [Fact]
    public void ALongMethodIsFound()
    {
        string[] lines = ["class A", "{", "    public void B()", "    {", .. Enumerable.Repeat("        x++;", Rows), "    }", "}"];
        Assert.Equal(["a.cs:3: 62 lines"], LongMethods("a.cs", lines));
        Assert.Empty(LongMethods("a.cs", [.. lines[..4], .. lines[8..]]));
    }

    /// <summary>Blocks of members, which the formatter puts between braces of their own lines, that aren't types.</summary>
    private static IEnumerable<string> LongMethods(string file, string[] lines)
    {
        for (var start = 0; start < lines.Length; start++)
        {
            if (Brace().Match(lines[start]) is not { Success: true } brace)
                continue;
            var indent = brace.Groups[1].Value;
            var end = Array.FindIndex(lines, start, line => line.StartsWith($"{indent}}}", StringComparison.Ordinal));
            var head = start - 1;
            while (
                head > 0
                && (lines[head].Length <= indent.Length || !lines[head].StartsWith(indent) || lines[head][indent.Length] is ' ' or ')')
            )
                head--;
            if (end - start + 1 > Rows && Method().IsMatch(lines[head]) && !Type().IsMatch(lines[head]))
                yield return $"{Path.GetFileName(file)}:{head + 1}: {end - start + 1} lines";
        }
    }

    private static IEnumerable<string> FindSources()
    {
        var root = Path.GetFullPath(Golden.Path("..", ".."));
        var files = Directory.GetFiles(Path.Combine(root, "src"), "*.cs", SearchOption.AllDirectories);
        var tests = Directory.GetFiles(Path.Combine(root, "tests"), "*.cs", SearchOption.AllDirectories);
        return files.Concat(tests).Where(file => !Built().IsMatch(file));
    }

    [GeneratedRegex(@"^((?: {4}){1,2})\{$")]
    private static partial Regex Brace();

    /// <summary>The head of a method or of a constructor: a name and what it is given.</summary>
    [GeneratedRegex(@"\w[\w<>\[\]?]*\(")]
    private static partial Regex Method();

    [GeneratedRegex(@"\b(class|record|struct|interface|enum)\b")]
    private static partial Regex Type();

    [GeneratedRegex(@"[\\/](bin|obj)[\\/]")]
    private static partial Regex Built();
}
