using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Sora.Models.Checkpoints;

/// <summary>
/// Many names of tensors in one line: those that differ only in their numbers become one, such as
/// <c>blocks.{0-29}.attn1.to_q</c>.
/// </summary>
internal static partial class NameList
{
    private const int Most = 20;

    /// <summary>The names, in the order in which each kind is first met.</summary>
    public static string Text(IEnumerable<string> names)
    {
        var kinds = names.Distinct().GroupBy(name => Number().Replace(name, "#")).Select(Merged).ToList();
        var shown = string.Join(", ", kinds.Take(Most));
        return kinds.Count <= Most ? shown : $"{shown} and {kinds.Count - Most} other kinds";
    }

    private static string Merged(IEnumerable<string> alike)
    {
        var numbers = alike.Select(name => Number().Matches(name).Select(match => match.Value).ToArray()).ToList();
        var at = 0;
        return Number()
            .Replace(
                alike.First(),
                _ =>
                {
                    var place = at++;
                    var different = numbers.Select(values => values[place]).Distinct().ToList();
                    return different.Count == 1
                        ? different[0]
                        : $"{{{Ranges([.. different.Select(value => ulong.Parse(value, CultureInfo.InvariantCulture)).Order()])}}}";
                }
            );
    }

    /// <summary>Such as <c>0-3,7</c>.</summary>
    private static string Ranges(IReadOnlyList<ulong> numbers)
    {
        var text = new StringBuilder();
        for (var i = 0; i < numbers.Count; )
        {
            var first = i++;
            while (i < numbers.Count && numbers[i] <= numbers[i - 1] + 1)
                i++;
            if (text.Length > 0)
                text.Append(',');
            text.Append(CultureInfo.InvariantCulture, $"{numbers[first]}");
            if (numbers[i - 1] != numbers[first])
                text.Append(CultureInfo.InvariantCulture, $"-{numbers[i - 1]}");
        }
        return text.ToString();
    }

    // As many digits as are safe to count with; longer numbers are told apart as text.
    [GeneratedRegex(@"(?<!\d)\d{1,18}(?!\d)")]
    private static partial Regex Number();
}
