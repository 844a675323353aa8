using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Sora.Models.Text;

/// <summary>
/// A one-byte encoding as a table. The "sloppy" ones are as in browsers: a byte without a meaning is the control
/// character of its number. U+FFFD, which stands for a character already lost, takes the place of byte 0x1A there.
/// </summary>
internal sealed class CodePage
{
    public const byte Lost = 0x1A;

    public static readonly CodePage Latin1 = new(28591, sloppy: false);
    public static readonly CodePage Windows1252 = new(1252, sloppy: true);
    public static readonly CodePage MacRoman = new(10000, sloppy: false);

    /// <summary>The encodings that text has probably gone through by mistake, the likeliest first.</summary>
    public static readonly CodePage[] Likely =
    [
        Latin1,
        Windows1252,
        new(1251, sloppy: true),
        new(1250, sloppy: true),
        new(1253, sloppy: true),
        new(1254, sloppy: true),
        new(1257, sloppy: true),
        new(28592, sloppy: false),
        MacRoman,
        new(437, sloppy: false),
    ];

    private readonly char[] characters = new char[256];
    private readonly Dictionary<char, byte> bytes = [];

    private CodePage(int number, bool sloppy)
    {
        Sloppy = sloppy;
        var encoding = CodePagesEncodingProvider.Instance.GetEncoding(number) ?? Encoding.Latin1;
        for (var code = 0; code < 256; code++)
        {
            var character = encoding.GetString([(byte)code])[0];
            characters[code] = character switch
            {
                // .NET puts bytes without a meaning into the private use area.
                >= '\uf8f0' and < '\uf8ff' => (char)code,
                // Everybody else maps the ohm sign to the Greek letter.
                '\u2126' => '\u03a9',
                _ when sloppy && code == Lost => '\ufffd',
                _ => character,
            };
            bytes[characters[code]] = (byte)code;
        }
    }

    public bool Sloppy { get; }

    /// <summary>The characters of the bytes <paramref name="first"/> to <paramref name="last"/>.</summary>
    public IEnumerable<char> Characters(int first, int last) => characters.Skip(first).Take(last - first + 1);

    public string Decode(ReadOnlySpan<byte> data)
    {
        var text = new char[data.Length];
        for (var i = 0; i < text.Length; i++)
            text[i] = characters[data[i]];
        return new string(text);
    }

    /// <summary>The bytes that this encoding turns into <paramref name="text"/>, if it can.</summary>
    public bool TryEncode(string text, [NotNullWhen(true)] out byte[]? data)
    {
        data = new byte[text.Length];
        for (var i = 0; i < text.Length; i++)
            if (!bytes.TryGetValue(text[i], out data[i]))
            {
                data = null;
                return false;
            }
        return true;
    }
}
