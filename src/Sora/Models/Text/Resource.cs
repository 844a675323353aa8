using System.Globalization;

namespace Sora.Models.Text;

/// <summary>The tables in Data/, which are embedded in the assembly.</summary>
internal static class Resource
{
    /// <summary>The lines of a table without its comments.</summary>
    public static IEnumerable<string> Lines(string name)
    {
        using var stream =
            typeof(Resource).Assembly.GetManifestResourceStream($"Sora.Models.Text.Data.{name}")
            ?? throw new InvalidOperationException($"the table {name} is not in the assembly");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
            if (line.Length > 0 && line[0] != '#')
                yield return line;
    }

    public static int Hex(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
