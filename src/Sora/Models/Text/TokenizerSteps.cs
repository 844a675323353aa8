using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Sora.Models.Text;

/// <summary>The normalizers, pre-tokenizers and post-processors of tokenizer.json, each as a function.</summary>
internal static class TokenizerSteps
{
    private const char Blank = '\u2581';

    public static SoraException Unsupported(string what, string? type) =>
        SoraException.Failed($"the tokenizer uses the {what} {type}, which is not supported", "T5 and umT5 tokenizers are (model Unigram)");

    /// <summary>Text to text.</summary>
    public static Func<string, string> Normalizer(JsonElement? step)
    {
        if (step is not { } element)
            return text => text;
        var type = element.GetProperty("type").GetString();
        switch (type)
        {
            case "Sequence":
                var steps = element.GetProperty("normalizers").EnumerateArray().Select(each => Normalizer(each)).ToArray();
                return text => steps.Aggregate(text, (current, next) => next(current));
            case "Precompiled":
                var map = new CharacterMap(element.GetProperty("precompiled_charsmap").GetBytesFromBase64());
                return map.MapClusters;
            case "Replace":
                return Replace(element.GetProperty("pattern"), element.GetProperty("content").GetString()!);
            case "Prepend":
                var prefix = element.GetProperty("prepend").GetString()!;
                return text => text.Length == 0 ? text : prefix + text;
            case "Strip":
                var (left, right) = (element.GetProperty("strip_left").GetBoolean(), element.GetProperty("strip_right").GetBoolean());
                return text => Strip(text, left, right);
            case "Lowercase":
                return Lowercase;
            case "NFC":
                return text => UnicodeNormalization.Compose(UnicodeNormalization.Decompose(text, compatible: false));
            case "NFD":
                return text => UnicodeNormalization.Decompose(text, compatible: false);
            case "NFKC":
                return text => UnicodeNormalization.Compose(UnicodeNormalization.Decompose(text, compatible: true));
            case "NFKD":
                return text => UnicodeNormalization.Decompose(text, compatible: true);
            default:
                throw Unsupported("normalizer", type);
        }
    }

    /// <summary>A stretch to the parts that the model segments separately.</summary>
    public static Func<Stretch, IEnumerable<Stretch>> PreTokenizer(JsonElement? step)
    {
        if (step is not { } element)
            return stretch => [stretch];
        var type = element.GetProperty("type").GetString();
        switch (type)
        {
            case "Sequence":
                var steps = element.GetProperty("pretokenizers").EnumerateArray().Select(each => PreTokenizer(each)).ToArray();
                return stretch =>
                    steps.Aggregate<Func<Stretch, IEnumerable<Stretch>>, IEnumerable<Stretch>>(
                        [stretch],
                        (parts, next) => parts.SelectMany(next)
                    );
            case "WhitespaceSplit":
                return stretch => Split(stretch, char.IsWhiteSpace, keep: false);
            case "Punctuation" when (Optional(element, "behavior")?.GetString() ?? "Isolated") == "Isolated":
                return stretch => Split(stretch, IsPunctuation, keep: true);
            case "Metaspace":
                return Metaspace(element);
            default:
                throw Unsupported("pre-tokenizer", type);
        }
    }

    /// <summary>The ids before and after a single text.</summary>
    public static (int[] Before, int[] After) Template(JsonElement? step)
    {
        if (step is not { } element)
            return ([], []);
        var type = element.GetProperty("type").GetString();
        if (type != "TemplateProcessing")
            throw Unsupported("post-processor", type);
        var special = element.GetProperty("special_tokens");
        var before = new List<int>();
        var after = new List<int>();
        var current = before;
        foreach (var item in element.GetProperty("single").EnumerateArray())
        {
            if (item.TryGetProperty("SpecialToken", out var token))
                current.AddRange(
                    special
                        .GetProperty(token.GetProperty("id").GetString()!)
                        .GetProperty("ids")
                        .EnumerateArray()
                        .Select(id => id.GetInt32())
                );
            else
                current = after;
        }
        return ([.. before], [.. after]);
    }

    private static Func<string, string> Replace(JsonElement pattern, string content)
    {
        if (pattern.TryGetProperty("String", out var literal))
        {
            var old = literal.GetString()!;
            return text => text.Replace(old, content, StringComparison.Ordinal);
        }
        var regex = new Regex(pattern.GetProperty("Regex").GetString()!, RegexOptions.CultureInvariant);
        return text => regex.Replace(text, _ => content);
    }

    private static string Strip(string text, bool left, bool right) =>
        (left, right) switch
        {
            (true, true) => text.Trim(),
            (true, false) => text.TrimStart(),
            (false, true) => text.TrimEnd(),
            _ => text,
        };

    /// <summary>Character by character, so there is no final sigma; only U+0130 becomes two.</summary>
    private static string Lowercase(string text) => text.Replace("\u0130", "i\u0307", StringComparison.Ordinal).ToLowerInvariant();

    private static Func<Stretch, IEnumerable<Stretch>> Metaspace(JsonElement element)
    {
        var replacement = Optional(element, "replacement")?.GetString() ?? Blank.ToString();
        var legacy = Optional(element, "add_prefix_space")?.GetBoolean() == false ? "never" : "always";
        var scheme = Optional(element, "prepend_scheme")?.GetString() ?? legacy;
        var split = Optional(element, "split")?.GetBoolean() ?? true;
        if (replacement.Length != 1)
            throw Unsupported("Metaspace replacement", replacement);
        var blank = replacement[0];
        return stretch =>
        {
            var text = stretch.Text.Replace(' ', blank);
            var prepend = scheme == "always" || scheme == "first" && stretch.AtStart;
            if (prepend && !text.StartsWith(blank))
                text = blank + text;
            return split ? SplitBefore(stretch with { Text = text }, blank) : [stretch with { Text = text }];
        };
    }

    private static IEnumerable<Stretch> SplitBefore(Stretch stretch, char mark)
    {
        for (var start = 0; start < stretch.Text.Length; )
        {
            var next = stretch.Text.IndexOf(mark, start + 1);
            var end = next < 0 ? stretch.Text.Length : next;
            yield return new Stretch(stretch.Text[start..end], null, stretch.AtStart && start == 0);
            start = end;
        }
    }

    /// <summary>Cuts around every character that <paramref name="isMark"/> picks; such characters stay alone or go.</summary>
    private static IEnumerable<Stretch> Split(Stretch stretch, Func<char, bool> isMark, bool keep)
    {
        var text = stretch.Text;
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && !isMark(text[i]))
                continue;
            if (i > start)
                yield return new Stretch(text[start..i], null, stretch.AtStart && start == 0);
            if (i < text.Length && keep)
                yield return new Stretch(text[i].ToString(), null, stretch.AtStart && i == 0);
            start = i + 1;
        }
    }

    /// <summary>ASCII punctuation (symbols included), and Unicode's categories P*.</summary>
    private static bool IsPunctuation(char character) =>
        char.IsAscii(character)
            ? character is > ' ' and < '\u007f' && !char.IsAsciiLetterOrDigit(character)
            : CharUnicodeInfo.GetUnicodeCategory(character)
                is >= UnicodeCategory.ConnectorPunctuation
                    and <= UnicodeCategory.OtherPunctuation;

    /// <summary>A property, or null where it is absent or null.</summary>
    private static JsonElement? Optional(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
