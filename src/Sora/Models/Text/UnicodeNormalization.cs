using System.Globalization;
using System.Text;

namespace Sora.Models.Text;

/// <summary>
/// Unicode's normal forms (Standard Annex 15). The program runs without ICU, where <see cref="string.Normalize()"/>
/// leaves everything but ASCII alone, so the tables come along: Data/normalization.txt.
/// </summary>
internal static class UnicodeNormalization
{
    // Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
    private const int SyllableBase = 0xAC00,
        LeadBase = 0x1100,
        VowelBase = 0x1161,
        TailBase = 0x11A7;
    private const int Leads = 19,
        Vowels = 21,
        Tails = 28,
        Syllables = Leads * Vowels * Tails;

    private static readonly Lazy<Tables> Data = new(Tables.Read);

    /// <summary>Form C: composed. What the web uses.</summary>
    public static string FormC(string text) => Ascii.IsValid(text) ? text : Compose(Decompose(text, compatible: false));

    /// <summary>Form D; with <paramref name="compatible"/> form KD, which also takes ligatures, widths and the like apart.</summary>
    public static string Decompose(string text, bool compatible)
    {
        if (Ascii.IsValid(text))
            return text;
        var runes = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
            Decompose(rune.Value, compatible, runes);
        Order(runes);
        return ToText(runes);
    }

    /// <summary>Puts a decomposed text together: form D becomes C, KD becomes KC.</summary>
    public static string Compose(string text)
    {
        if (Ascii.IsValid(text))
            return text;
        var runes = text.EnumerateRunes().Select(rune => rune.Value).ToList();
        var result = new List<int>(runes.Count);
        var starter = -1;
        var blockedBy = 0;
        foreach (var rune in runes)
        {
            var combiningClass = Class(rune);
            // A mark joins the last starter unless a mark of its own class or a higher one stands between.
            var free = starter >= 0 && (result.Count == starter + 1 || blockedBy != 0 && blockedBy < combiningClass);
            if (free && Pair(result[starter], rune) is { } joined)
            {
                result[starter] = joined;
                continue;
            }
            if (combiningClass == 0)
                starter = result.Count;
            blockedBy = combiningClass;
            result.Add(rune);
        }
        return ToText(result);
    }

    private static int Class(int rune) => Data.Value.Classes.GetValueOrDefault(rune);

    private static void Decompose(int rune, bool compatible, List<int> result)
    {
        var syllable = rune - SyllableBase;
        if (syllable is >= 0 and < Syllables)
        {
            result.Add(LeadBase + syllable / (Vowels * Tails));
            result.Add(VowelBase + syllable % (Vowels * Tails) / Tails);
            if (syllable % Tails != 0)
                result.Add(TailBase + syllable % Tails);
        }
        else if (Data.Value.Canonical.TryGetValue(rune, out var parts) || compatible && Data.Value.Compatible.TryGetValue(rune, out parts))
            foreach (var part in parts)
                Decompose(part, compatible, result);
        else
            result.Add(rune);
    }

    /// <summary>Sorts each run of marks by class; marks of one class keep their order.</summary>
    private static void Order(List<int> runes)
    {
        for (var i = 1; i < runes.Count; i++)
        {
            var combiningClass = Class(runes[i]);
            if (combiningClass == 0)
                continue;
            for (var j = i; j > 0 && Class(runes[j - 1]) > combiningClass; j--)
                (runes[j - 1], runes[j]) = (runes[j], runes[j - 1]);
        }
    }

    private static int? Pair(int first, int second)
    {
        if (first - LeadBase is >= 0 and < Leads && second - VowelBase is >= 0 and < Vowels)
            return SyllableBase + ((first - LeadBase) * Vowels + second - VowelBase) * Tails;
        if (first - SyllableBase is >= 0 and < Syllables && (first - SyllableBase) % Tails == 0 && second - TailBase is > 0 and < Tails)
            return first + second - TailBase;
        return Data.Value.Pairs.TryGetValue((first, second), out var joined) ? joined : null;
    }

    private static string ToText(List<int> runes)
    {
        var text = new StringBuilder(runes.Count);
        foreach (var rune in runes)
            text.Append(new Rune(rune).ToString());
        return text.ToString();
    }

    private sealed record Tables(
        Dictionary<int, int> Classes,
        Dictionary<int, int[]> Canonical,
        Dictionary<int, int[]> Compatible,
        Dictionary<(int, int), int> Pairs
    )
    {
        public static Tables Read()
        {
            var tables = new Tables([], [], [], []);
            foreach (var line in Resource.Lines("normalization.txt"))
            {
                var fields = line.Split(' ');
                if (line[0] == '@')
                    tables.AddClass(int.Parse(fields[0].AsSpan(1), CultureInfo.InvariantCulture), fields[1..]);
                else
                    tables.AddMapping(Resource.Hex(fields[0]), fields[1..]);
            }
            return tables;
        }

        private void AddClass(int combiningClass, string[] ranges)
        {
            foreach (var range in ranges)
            {
                var ends = range.Split('-');
                for (var rune = Resource.Hex(ends[0]); rune <= Resource.Hex(ends[^1]); rune++)
                    Classes[rune] = combiningClass;
            }
        }

        private void AddMapping(int rune, string[] fields)
        {
            var parts = fields.Select(field => Resource.Hex(field.TrimStart('~', '+'))).ToArray();
            if (fields[0][0] == '~')
                Compatible[rune] = parts;
            else
                Canonical[rune] = parts;
            if (fields[0][0] == '+')
                Pairs[(parts[0], parts[1])] = rune;
        }
    }
}
