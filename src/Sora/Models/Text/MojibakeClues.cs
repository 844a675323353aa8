using System.Text.RegularExpressions;

namespace Sora.Models.Text;

/// <summary>
/// Tells text that went through a wrong encoding from text that is merely unusual: by neighbours that do not occur in any
/// language, such as an accented small letter before a currency sign. Classes and rules are those of ftfy 6.3
/// (badness.py, Apache License 2.0); altogether they cover the 400 characters that UTF-8 turns into.
/// </summary>
internal static class MojibakeClues
{
    private const string Control = @"\u0080-\u009F";
    private const string Bad =
        @"\u00A4\u00A6\u00A8\u00AA\u00AC\u00AF\u00B8\u00BA\u0192\u02C6\u02C7\u02D8\u02DB\u02DC\u2020\u2021\u2030\u2310\u25CA\uFFFD";
    private const string Common = @"\u00A0\u00AD\u00B4\u00B7\u2013-\u2015\u2019\u2026";
    private const string Law = @"\u00A7\u00B6";
    private const string Currency = @"\u00A2\u00A3\u00A5\u20A7\u20AC";
    private const string Opening = @"\u00A1\u00A9\u00AB\u00BF\u0384\u0385\u2018\u201A\u201C\u201E\u2022\u2039\uF8FF";
    private const string Closing = @"\u00AE\u00BB\u02DD\u201D\u203A\u2122";
    private const string Numeric =
        @"\u00B1-\u00B3\u00B5\u00B9\u00BC-\u00BE\u00D7\u00F7\u2044\u2116"
        + @"\u2202\u2206\u220F\u2211\u221A\u221E\u2229\u222B\u2248\u2260\u2261\u2264\u2265";
    private const string Box = @"\u2502\u250C\u2510\u2518\u251C\u2524\u252C\u253C\u2550-\u256C\u2580\u2584\u2588\u258C\u2590-\u2593";

    /// <summary>Letters used in emoticons, where odd company proves nothing.</summary>
    private const string Face = @"\u00B0\u00D2-\u00D6\u00D9-\u00DC\u00F2-\u00F6\u00F8-\u00FC\u014C\u0150\u016A\u0172";

    private const string UpperAccented =
        @"\u00C0-\u00D1\u00D8\u00DC\u00DD\u0100\u0102\u0104\u0106\u010C\u010E\u0110\u0112\u0116\u0118\u011A\u011E"
        + @"\u0122\u012A\u0130\u0136\u0139\u013B\u013D\u0141\u0143\u0145\u0147\u0152\u0158"
        + @"\u015A\u015E\u0160\u0162\u0164\u016E\u0170\u0178\u0179\u017B\u017D\u0490";
    private const string LowerAccented =
        @"\u00DF-\u00F1\u00FC\u0101\u0103\u0105\u0107\u010D\u010F\u0111\u0113\u0117\u0119\u011B\u011F\u0123\u012B\u012F"
        + @"\u0137\u013A\u013C\u013E\u0142\u0153\u0155\u015B\u015F\u0161\u0165\u017A\u017C\u017E\u0491\uFB01\uFB02";

    /// <summary>Greek and Cyrillic capitals and thorn, which also end words.</summary>
    private const string UpperCommon = @"\u00DE\u0386\u0388-\u038A\u038C\u038E\u038F\u0391-\u03AB\u0401-\u042F";
    private const string LowerCommon = @"\u03AC-\u03C9\u0430-\u045F";

    private const string Accented = LowerAccented + UpperAccented;
    private const string Symbols = Currency + Numeric + Law;
    private const string Quotes = Opening + Closing;
    private const string Arabic = $@"[\u00D8\u00D9][{Common}{Currency}{Bad}{Numeric}{Opening}\u0178\u0160\u00AE\u00B0\u00B5\u00BB]";

    private static readonly Lazy<Regex> Clues = new(() => new Regex(string.Join('|', Rules()), RegexOptions.CultureInvariant));

    /// <summary>Whether any part of the text is unlikely to be meant.</summary>
    public static bool LooksBad(string text) => Clues.Value.IsMatch(text);

    private static IEnumerable<string> Rules() =>
        [
            $"[{Control}]",
            $"[{Bad}{Accented}{Box}{Quotes}{Symbols}][{Bad}]",
            $"[a-zA-Z][{LowerCommon}{UpperCommon}][{Bad}]",
            $"[{Bad}][{Accented}{Box}{Quotes}{Symbols}]",
            $"[{LowerAccented}{LowerCommon}{Box}{Closing}{Currency}{Numeric}][{UpperAccented}]",
            $"[{Box}{Closing}{Currency}{Numeric}][{LowerAccented}]",
            $"[{LowerAccented}{Box}{Closing}][{Currency}]",
            $@"[\s\u001C-\u001F][{UpperAccented}][{Currency}]",
            $"[{UpperAccented}{Box}][{Numeric}{Law}]",
            $"[{Accented}{Box}{Currency}{Closing}][{Opening}][{Numeric}]",
            $"[{Accented}{Symbols}{Box}][{Closing}][{Opening}]",
            $"[{Currency}{Numeric}{Box}][{Opening}]",
            $"[a-z][{UpperAccented}][{Opening}{Currency}]",
            $"[{Box}][{Face}]",
            $"[{Accented}{Symbols}{Quotes}][{Box}]",
            $"[{Box}][{Closing}]",
            $@"[{Accented}][{Quotes}][\p{{L}}\p{{N}}_]",
            // The ligature oe before anything but a plain letter; a degree sign after a capital.
            @"[\u0152\u0153][^A-Za-z]",
            $@"[{UpperAccented}]\u00B0",
            // Windows-1252: two-character sequences, then Arabic, whose sequences are common signs and so must come twice,
            // then some alphabets of South Asia.
            @"[\u00C2\u00C3\u00CE\u00D0][\u20AC\u0153\u0160\u0161\u00A2\u00A3\u0178\u017E\u00A0"
                + $@"\u00AD\u00AE\u00A9\u00B0\u00B7\u00BB{Quotes}\u2013\u2014\u00B4]",
            @"\u00D7[\u00B2\u00B3]",
            Arabic + Arabic,
            @"\u00E0[\u00B2\u00B5\u00B9\u00BC-\u00BE]",
            // Mac Roman.
            @"\u221A[\u00B1\u2202\u2020\u2260\u00AE\u2122\u00B4\u2264\u2265\u00A5\u00B5\u00F8]",
            @"\u2248[\u00B0\u00A2]",
            @"\u201A\u00C4[\u00EC\u00EE\u00EF\u00F2\u00F4\u00FA\u00F9\u00FB\u2020\u00B0\u00A2\u03C0]",
            @"\u201A[\u00E2\u00F3][\u00E0\u00E4\u00B0\u00EA]",
            // Windows-1251: punctuation, then Latin and Cyrillic letters, then what went through two encodings.
            @"\u0432\u0402",
            $@"[\u0412\u0413\u0420\u0421][{Control}{Bad}{Quotes}{Currency}\u00B0\u00B5][\u0412\u0413\u0420\u0421]",
            @"\u0413\u045E\u0412\u0402\u0412.[A-Za-z ]",
            // Capital A with tilde or circumflex, which stand for a small a with accent or a no-break space.
            @"\u00C3[\u00A0\u00A1]",
            @"[a-z][\s\u001C-\u001F]?[\u00C3\u00C2] ",
            @"^[\u00C3\u00C2] ",
            $@"[a-z.,?!{Closing}]\u00C2[ {Quotes}]",
            // Windows-1253 and 1257.
            @"\u03B2\u20AC[\u2122\u00A0\u0386\u00AD\u00AE\u00B0]",
            $@"[\u0392\u0393\u039E\u039F][{Control}{Bad}{Quotes}{Currency}\u00B0][\u0392\u0393\u039E\u039F]",
            @"\u0101\u20AC",
        ];
}
