using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using AngleSharp.Html;

namespace Sora.Models.Text;

/// <summary>
/// HTML character references, by two sets of rules: those of browsers (and Python's <c>html.unescape</c>), and ftfy's,
/// which require the semicolon and know all-capitals names. The names are AngleSharp's; its parser has other rules for
/// numbers, and <see cref="System.Net.WebUtility"/> only a tenth of the names.
/// </summary>
internal static partial class HtmlEntities
{
    /// <summary>What the numbers 128 to 159 mean: Windows-1252.</summary>
    private static readonly string Windows1252 = CodePage.Windows1252.Decode([.. Enumerable.Range(0x80, 0x20).Select(code => (byte)code)]);

    /// <summary>As browsers do: the semicolon may be missing, and the longest known beginning of a name counts.</summary>
    public static string Unescape(string text) =>
        text.Contains('&') ? Reference().Replace(text, match => Resolve(match.Groups[1].Value)) : text;

    /// <summary>As ftfy does: only whole references with semicolon, but also <c>&amp;EACUTE;</c>.</summary>
    public static string UnescapeStrict(string text) =>
        text.Contains('&') ? StrictReference().Replace(text, match => ResolveStrict(match.Value)) : text;

    [GeneratedRegex(@"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)", RegexOptions.CultureInvariant)]
    private static partial Regex Reference();

    [GeneratedRegex("&#?[0-9A-Za-z]{1,24};", RegexOptions.CultureInvariant)]
    private static partial Regex StrictReference();

    private static string Resolve(string reference)
    {
        if (reference[0] == '#')
            return Number(reference[1..].TrimEnd(';'));
        for (var length = reference.Length; length > 1; length--)
            if (Named(reference[..length]) is { } beginning)
                return beginning + reference[length..];
        return "&" + reference;
    }

    private static string ResolveStrict(string reference)
    {
        var name = reference[1..];
        if (Named(name) is { } text)
            return text;
        if (name[0] != '#')
            return Capital(name) ?? reference;
        // A reference that is only partly a number keeps its semicolon, and is left alone.
        var resolved = Unescape(reference);
        return resolved.Contains(';') ? reference : resolved;
    }

    private static string Number(string digits)
    {
        var hex = digits[0] is 'x' or 'X';
        var significant = digits.TrimStart('x', 'X').TrimStart('0');
        if (significant.Length > 8)
            return "\ufffd";
        var code =
            significant.Length == 0
                ? 0
                : long.Parse(significant, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture);
        return code switch
        {
            0 or > 0x10FFFF or >= 0xD800 and <= 0xDFFF => "\ufffd",
            '\r' => "\r",
            >= 0x80 and <= 0x9F => Windows1252[(int)code - 0x80].ToString(),
            < ' ' and not ('\t' or '\n' or '\f') or 0x7F => "",
            >= 0xFDD0 and <= 0xFDEF => "",
            _ when (code & 0xFFFE) == 0xFFFE => "",
            _ => new Rune((int)code).ToString(),
        };
    }

    /// <summary>A lower-case name in capitals, where HTML gives these no meaning: the character in upper case.</summary>
    private static string? Capital(string name) =>
        !name.Any(char.IsLower) && Named(name.ToLowerInvariant()) is { } text && Resolve(name) == "&" + name ? UpperCase(text) : null;

    /// <summary>The character with this HTML name, given with its semicolon if it has one.</summary>
    private static string? Named(string name) => HtmlEntityProvider.Resolver.GetSymbol(name);

    /// <summary>Upper case, including the characters that become several (those that have a name).</summary>
    private static string UpperCase(string text) =>
        text switch
        {
            "\u00df" => "SS",
            "\u0149" => "\u02bcN",
            "\ufb00" or "\ufb01" or "\ufb02" or "\ufb03" or "\ufb04" => UnicodeNormalization
                .Decompose(text, compatible: true)
                .ToUpperInvariant(),
            _ => text.ToUpperInvariant(),
        };
}
