using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Sora.Models.Text;

/// <summary>
/// SentencePiece's precompiled character map: a double array trie (Darts-clone units) from UTF-8 keys to offsets into
/// a block of NUL-terminated replacements.
/// </summary>
internal sealed class CharacterMap
{
    private readonly uint[] units;
    private readonly byte[] replacements;

    /// <param name="data">4 bytes little-endian size of the trie, the trie, then the replacement strings.</param>
    public CharacterMap(ReadOnlySpan<byte> data)
    {
        var size = data.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(data);
        if (size == 0 || size % 4 != 0 || size > data.Length - 4)
            throw SoraException.Failed("the tokenizer's character map is damaged", "download the tokenizer again");
        units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++)
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(data[(4 + i * 4)..]);
        replacements = data[(4 + (int)size)..].ToArray();
    }

    /// <summary>
    /// What tokenizer.json's Precompiled normalizer does: a grapheme cluster shorter than 6 bytes is looked up whole,
    /// and the shortest key that begins it replaces all of it; any other cluster goes character by character.
    /// </summary>
    public string MapClusters(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var start = 0; start < text.Length; )
        {
            var cluster = text.AsSpan(start, StringInfo.GetNextTextElementLength(text.AsSpan(start)));
            if (Encoding.UTF8.GetByteCount(cluster) < 6 && Shortest(cluster) is { } whole)
                result.Append(whole);
            else
                foreach (var rune in cluster.EnumerateRunes())
                    result.Append(Shortest(rune.ToString()) ?? rune.ToString());
            start += cluster.Length;
        }
        return result.ToString();
    }

    /// <summary>
    /// What SentencePiece does: the longest key at the beginning of <paramref name="utf8"/>. Gives its replacement and
    /// its length in bytes, or length 0 if no key fits.
    /// </summary>
    public (string Replacement, int Length) Longest(ReadOnlySpan<byte> utf8)
    {
        var last = Matches(utf8).LastOrDefault();
        return last.Length == 0 ? ("", 0) : (Replacement(last.Value), last.Length);
    }

    private string? Shortest(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        var matches = Matches(bytes);
        return matches.Count == 0 ? null : Replacement(matches[0].Value);
    }

    /// <summary>All keys that begin <paramref name="key"/>, shortest first.</summary>
    private List<(int Value, int Length)> Matches(ReadOnlySpan<byte> key)
    {
        var matches = new List<(int, int)>();
        var node = Offset(units[0]);
        for (var i = 0; i < key.Length && key[i] != 0; i++)
        {
            node ^= key[i];
            if (node >= units.Length || (units[node] & 0x800000FF) != key[i])
                break;
            var unit = units[node];
            node ^= Offset(unit);
            if (node >= units.Length)
                break;
            if ((unit >> 8 & 1) == 1)
                matches.Add(((int)(units[node] & 0x7FFFFFFF), i + 1));
        }
        return matches;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1 << 9) >> 6);

    private string Replacement(int start)
    {
        var tail = replacements.AsSpan(Math.Min(start, replacements.Length));
        var end = tail.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? tail : tail[..end]);
    }
}
