using System.Text;
using System.Text.RegularExpressions;

namespace Sora.Models.Text;

/// <summary>
/// Prompt cleaning as in diffusers' video pipelines: ftfy's <c>fix_text</c>, HTML references resolved twice, white space
/// collapsed. Curly quotes become straight and full-width forms (the commas of the Chinese negative prompt) plain, so a
/// text encoder sees the same ids as there.
/// </summary>
public static partial class PromptCleaner
{
    private static readonly Dictionary<char, string> Ligatures = new()
    {
        ['\u0132'] = "IJ",
        ['\u0133'] = "ij",
        ['\u0149'] = "\u02bcn",
        ['\u01c4'] = "D\u017d",
        ['\u01c5'] = "D\u017e",
        ['\u01c6'] = "d\u017e",
        ['\u01c7'] = "LJ",
        ['\u01c8'] = "Lj",
        ['\u01c9'] = "lj",
        ['\u01ca'] = "NJ",
        ['\u01cb'] = "Nj",
        ['\u01cc'] = "nj",
        ['\u01f1'] = "DZ",
        ['\u01f2'] = "Dz",
        ['\u01f3'] = "dz",
        ['\ufb00'] = "ff",
        ['\ufb01'] = "fi",
        ['\ufb02'] = "fl",
        ['\ufb03'] = "ffi",
        ['\ufb04'] = "ffl",
        ['\ufb05'] = "\u017ft",
        ['\ufb06'] = "st",
    };

    /// <summary>The prompt as the text encoder sees it; cleaning it again changes nothing in ordinary text.</summary>
    /// <param name="prompt">Any text; lone surrogates become U+FFFD.</param>
    public static string Clean(string prompt)
    {
        var text = HtmlEntities.Unescape(HtmlEntities.Unescape(Fix(prompt)));
        return WhiteSpace().Replace(text.Trim(), " ").Trim();
    }

    /// <summary>ftfy's <c>fix_text</c> with its default settings.</summary>
    internal static string Fix(string text)
    {
        var result = new StringBuilder(text.Length);
        var unescape = true;
        for (var start = 0; start < text.Length; )
        {
            var line = text[start..LineEnd(text, start)];
            // A tag means that this is HTML, whose references are meant, from here to the end.
            unescape &= !line.Contains('<');
            result.Append(FixLine(line, unescape));
            start += line.Length;
        }
        return result.ToString();
    }

    private static int LineEnd(string text, int start)
    {
        var end = text.IndexOf('\n', start);
        return end < 0 ? text.Length : end + 1;
    }

    /// <summary>The steps repeat, since each may leave work for another.</summary>
    private static string FixLine(string line, bool unescape)
    {
        while (true)
        {
            var before = line;
            if (unescape)
                line = HtmlEntities.UnescapeStrict(line);
            line = Mojibake.RepairControls(Mojibake.Repair(line));
            line = StraightQuotes(PlainWidth(SplitLigatures(line)));
            line = LineBreak().Replace(line, "\n");
            line = TerminalEscape().Replace(JoinSurrogates(line), "");
            line = UnicodeNormalization.FormC(ControlCharacter().Replace(line, ""));
            if (line == before)
                return line;
        }
    }

    private static string SplitLigatures(string text) =>
        Ascii.IsValid(text) ? text : string.Concat(text.Select(character => Ligatures.GetValueOrDefault(character, character.ToString())));

    /// <summary>Full-width and half-width forms to the ordinary ones; the ideographic space to a blank.</summary>
    private static string PlainWidth(string text) =>
        WidthForm()
            .Replace(
                text,
                match =>
                    match.Value == "\u3000"
                        ? " "
                        : UnicodeNormalization.Compose(UnicodeNormalization.Decompose(match.Value, compatible: true))
            );

    private static string StraightQuotes(string text) => SingleQuote().Replace(DoubleQuote().Replace(text, "\""), "'");

    /// <summary>In UTF-16 pairs are already joined; only lone ones are left.</summary>
    private static string JoinSurrogates(string text) =>
        text.Any(char.IsSurrogate) ? string.Concat(text.EnumerateRunes().Select(rune => rune.ToString())) : text;

    /// <summary>Unicode's 25 White_Space characters, which are those of <see cref="char.IsWhiteSpace(char)"/>.</summary>
    [GeneratedRegex(@"[\t-\r\u0085\p{Z}]+", RegexOptions.CultureInvariant)]
    private static partial Regex WhiteSpace();

    [GeneratedRegex(@"[\u3000\uff01-\uffef]", RegexOptions.CultureInvariant)]
    private static partial Regex WidthForm();

    [GeneratedRegex(@"[\u02bc\u2018-\u201b]", RegexOptions.CultureInvariant)]
    private static partial Regex SingleQuote();

    [GeneratedRegex(@"[\u201c-\u201f]", RegexOptions.CultureInvariant)]
    private static partial Regex DoubleQuote();

    [GeneratedRegex(@"\r\n|[\r\u2028\u2029\u0085]", RegexOptions.CultureInvariant)]
    private static partial Regex LineBreak();

    [GeneratedRegex(@"\u001b\[[\d;]*[a-zA-Z]", RegexOptions.CultureInvariant)]
    private static partial Regex TerminalEscape();

    [GeneratedRegex(@"[\u0000-\u0008\u000b\u000e-\u001f\u007f\u206a-\u206f\ufff9-\ufffc\ufeff]", RegexOptions.CultureInvariant)]
    private static partial Regex ControlCharacter();
}
