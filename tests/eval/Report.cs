using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sora.Eval;

/// <summary>The results: a Markdown table on standard output as they come, and numbers by name for a file.</summary>
internal sealed class Report
{
    private const int Decimals = 4;
    private readonly OrderedDictionary<string, double> values = [];

    /// <summary>Begins a table.</summary>
    public static void Section(string title, params string[] columns)
    {
        Console.WriteLine($"\n### {title}\n");
        Console.WriteLine($"| {string.Join(" | ", columns)} |");
        Console.WriteLine($"|{string.Concat(Enumerable.Repeat("---|", columns.Length))}");
    }

    /// <summary>A row of the table.</summary>
    public static void Row(string name, params IReadOnlyList<string> cells) =>
        Console.WriteLine($"| {name} | {string.Join(" | ", cells)} |");

    /// <summary>A number for the file.</summary>
    public void Value(string key, double value) => values[key] = value;

    /// <summary>Writes the numbers as JSON, whole or not at all; where there is none, null.</summary>
    /// <param name="path">The file.</param>
    /// <param name="keepOthers">Leaves numbers that the file has, and that weren't measured now, as they are.</param>
    public void Save(string path, bool keepOthers = false)
    {
        var json = keepOthers && File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path))!.AsObject() : [];
        foreach (var (key, value) in values)
            json[key] = double.IsFinite(value) ? Math.Round(value, Decimals) : null;
        var text = json.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
        AtomicFile.Write(
            path,
            stream =>
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                writer.WriteLine(text);
            }
        );
    }

    /// <summary>A fraction as a table shows it.</summary>
    public static string Percent(double? fraction) => fraction is { } value ? $"{100 * value:F1} %" : "";

    /// <summary>A fraction as a table shows it.</summary>
    public static string Percent(double fraction) => Percent((double?)fraction);

    /// <summary>A number as a table shows it.</summary>
    public static string Number(double value, int decimals) => double.IsFinite(value) ? value.ToString($"F{decimals}") : "";
}
