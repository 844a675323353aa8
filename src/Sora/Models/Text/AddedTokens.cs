using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sora.Models.Text;

/// <summary>A token of tokenizer.json's <c>added_tokens</c> with its matching rules.</summary>
/// <param name="Content">What is typed.</param>
/// <param name="Id">Its id.</param>
/// <param name="SingleWord">Only where no word character touches it.</param>
/// <param name="Lstrip">Swallows white space before it.</param>
/// <param name="Rstrip">Swallows white space after it.</param>
/// <param name="Normalized">Matched after the normalizer instead of before.</param>
internal sealed record AddedToken(string Content, int Id, bool SingleWord, bool Lstrip, bool Rstrip, bool Normalized);

/// <summary>A stretch of the input: an added token with its id, or text that is still to be segmented.</summary>
/// <param name="Text">The text.</param>
/// <param name="Id">The added token's id, or null.</param>
/// <param name="AtStart">Whether it begins where the whole input begins.</param>
internal readonly record struct Stretch(string Text, int? Id, bool AtStart);

/// <summary>Cuts added tokens out of a text: leftmost first, of those the longest, exact case.</summary>
internal sealed class AddedTokens(IEnumerable<AddedToken> tokens)
{
    private readonly Dictionary<char, AddedToken[]> byFirst = tokens
        .Where(token => token.Content.Length > 0)
        .GroupBy(token => token.Content[0])
        .ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());

    /// <summary>The stretches of a piece of text, in order; none is empty.</summary>
    public IEnumerable<Stretch> Cut(Stretch piece)
    {
        var text = piece.Text;
        var done = 0;
        for (var position = 0; position < text.Length; )
        {
            if (Match(text, position) is not { } token)
            {
                position++;
                continue;
            }
            var start = position;
            position += token.Content.Length;
            if (token.SingleWord && (EndsInWord(text.AsSpan(0, start)) || StartsInWord(text.AsSpan(position))))
                continue;
            if (token.Lstrip)
                while (start > done && char.IsWhiteSpace(text[start - 1]))
                    start--;
            if (token.Rstrip)
                while (position < text.Length && char.IsWhiteSpace(text[position]))
                    position++;
            if (start > done)
                yield return new Stretch(text[done..start], null, piece.AtStart && done == 0);
            yield return new Stretch(token.Content, token.Id, piece.AtStart && start == 0);
            done = position;
        }
        if (done < text.Length)
            yield return new Stretch(text[done..], null, piece.AtStart && done == 0);
    }

    private AddedToken? Match(string text, int position) =>
        byFirst.TryGetValue(text[position], out var candidates)
            ? candidates.FirstOrDefault(token => string.CompareOrdinal(text, position, token.Content, 0, token.Content.Length) == 0)
            : null;

    private static bool EndsInWord(ReadOnlySpan<char> before) =>
        Rune.DecodeLastFromUtf16(before, out var last, out _) == OperationStatus.Done && IsWord(last);

    private static bool StartsInWord(ReadOnlySpan<char> rest) =>
        Rune.DecodeFromUtf16(rest, out var first, out _) == OperationStatus.Done && IsWord(first);

    private static bool IsWord(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
