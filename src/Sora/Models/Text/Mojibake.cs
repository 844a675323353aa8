using System.Text;
using System.Text.RegularExpressions;

namespace Sora.Models.Text;

/// <summary>
/// Repairs text that was UTF-8 and has been read in another encoding ("cafÃ©"). Method and rules are those of ftfy 6.3
/// (Robyn Speer, github.com/rspeer/python-ftfy), so that prompts come out as in the original pipelines.
/// </summary>
internal static class Mojibake
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Bytes that would be UTF-8 if a blank were the no-break space 0xA0 that it was made from.</summary>
    private static readonly Regex BlankForA0 = Bytes(
        @"[\xC2\xC3\xC5\xCE\xD0\xD9] |[\xE2\xE3] [\x80-\x84\x86-\x9F\xA1-\xBF]|[\xE0-\xE3][\x80-\x84\x86-\x9F\xA1-\xBF] "
            + @"|\xF0 [\x80-\xBF]{2}|\xF0[\x80-\xBF] [\x80-\xBF]|\xF0[\x80-\xBF]{2} "
    );

    /// <summary>"Ã " as a word is "à"; before these endings it is the beginning of a Portuguese one.</summary>
    private static readonly Regex AWithGrave = Bytes(@"\xC3 (?! |quele|quela|quilo|s )");

    /// <summary>UTF-8 sequences of which a byte was lost: 0x1A, or once a question mark.</summary>
    private static readonly Regex LostByte = Bytes(
        @"[\xC2-\xDF]\x1A|[\xC2\xC3]\?"
            + @"|\xED[\xA0-\xAF][\x1A?]\xED[\xB0-\xBF][\x1A?\x80-\xBF]|\xED[\xA0-\xAF][\x1A?\x80-\xBF]\xED[\xB0-\xBF][\x1A?]"
            + @"|[\xE0-\xEF][\x1A?][\x1A\x80-\xBF]|[\xE0-\xEF][\x1A\x80-\xBF][\x1A?]"
            + @"|[\xF0-\xF4][\x1A?][\x1A\x80-\xBF]{2}|[\xF0-\xF4][\x1A\x80-\xBF][\x1A?][\x1A\x80-\xBF]"
            + @"|[\xF0-\xF4][\x1A\x80-\xBF]{2}[\x1A?]|\x1A"
    );

    /// <summary>Surrogates written as UTF-8 (CESU-8), and Java's two-byte NUL.</summary>
    private static readonly Regex Utf8Variants = Bytes(@"\xC0\x80|\xED[\xA0-\xAF][\x80-\xBF]\xED[\xB0-\xBF][\x80-\xBF]");

    private static readonly Lazy<Regex> Embedded = new(FindEmbedded);

    /// <summary>The repaired line, or the line itself if nothing looks wrong or no repair fits.</summary>
    public static string Repair(string text)
    {
        while (true)
        {
            var repaired = RepairOnce(text);
            if (repaired == text)
                return text;
            text = repaired;
        }
    }

    /// <summary>C1 control characters are never meant; they are what Windows-1252 has at these numbers.</summary>
    public static string RepairControls(string text) =>
        text.AsSpan().IndexOfAnyInRange('\u0080', '\u009f') < 0
            ? text
            : string.Concat(
                text.Select(character =>
                    character is >= '\u0080' and <= '\u009f' ? CodePage.Windows1252.Decode([(byte)character])[0] : character
                )
            );

    private static string RepairOnce(string text)
    {
        if (Ascii.IsValid(text) || !MojibakeClues.LooksBad(text))
            return text;
        foreach (var page in CodePage.Likely)
            if (page.TryEncode(text, out var data) && DecodeAltered(data, page) is { } decoded)
                return decoded;
        var patched = Embedded.Value.Replace(
            text,
            match => match.Length < text.Length && MojibakeClues.LooksBad(match.Value) ? Repair(match.Value) : match.Value
        );
        return patched != text ? patched : RepairControls(text);
    }

    /// <summary>Bytes as UTF-8, after putting back what usually gets lost on the way; null if they are not.</summary>
    private static string? DecodeAltered(byte[] data, CodePage page)
    {
        var text = Encoding.Latin1.GetString(data);
        // In Mac Roman the first of these bytes is a dash, which a blank may follow.
        if (page != CodePage.MacRoman && BlankForA0.IsMatch(text))
            text = BlankForA0.Replace(AWithGrave.Replace(text, "\u00c3\u00a0 "), match => match.Value.Replace(' ', '\u00a0'));
        if (page.Sloppy)
            text = LostByte.Replace(text, "\u00ef\u00bf\u00bd");
        try
        {
            return DecodeUtf8(text);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>Bytes, given as Latin-1, read as UTF-8 with its known variants.</summary>
    private static string DecodeUtf8(string latin1)
    {
        var result = new StringBuilder();
        var done = 0;
        foreach (var match in Utf8Variants.EnumerateMatches(latin1))
        {
            result.Append(StrictUtf8.GetString(Encoding.Latin1.GetBytes(latin1[done..match.Index])));
            var found = latin1.AsSpan(match.Index, match.Length);
            if (match.Length == 2)
                result.Append('\0');
            else
                for (var i = 0; i < 6; i += 3)
                    result.Append((char)(0xD000 | (found[i + 1] & 0x3F) << 6 | found[i + 2] & 0x3F));
            done = match.Index + match.Length;
        }
        return result.Append(StrictUtf8.GetString(Encoding.Latin1.GetBytes(latin1[done..]))).ToString();
    }

    /// <summary>Runs of characters that stand for UTF-8 sequences in any of the Latin-1-like encodings.</summary>
    private static Regex FindEmbedded()
    {
        var pages = CodePage.Likely.Take(7).ToArray();
        string Standing(int first, int last) => Set(pages.SelectMany(page => page.Characters(first, last)));
        var alone = Set("\u2013\u2014\u2015\u2018\u2019\u201a\u201c\u201d\u201e\u2022\u2026");
        var continuation = Standing(0x80, 0xBF);
        var lead4 = Standing(0xF0, 0xF0) + Standing(0xF3, 0xF3);
        return new Regex(
            $"(?<![{continuation}-[{alone}]])(?:[{Standing(0xC2, 0xDF)}][{continuation} ]"
                + $"|[{Standing(0xE0, 0xEF)}][{continuation} ]{{2}}|[{lead4}][{continuation} ]{{3}})+",
            RegexOptions.CultureInvariant
        );
    }

    private static string Set(IEnumerable<char> characters) =>
        string.Concat(characters.Distinct().Select(character => $"\\u{(int)character:X4}"));

    /// <summary>An expression over bytes, each written as the Latin-1 character of its number.</summary>
    private static Regex Bytes(string pattern) => new(pattern, RegexOptions.CultureInvariant);
}
