using System.Text;

namespace Sora.Models.Text;

/// <summary>One piece that may be matched in a text, with its id and log probability.</summary>
internal readonly record struct Piece(string Text, int Id, double Score);

/// <summary>
/// Unigram segmentation (Kudo 2018, "Subword Regularization"): of all ways to cut a text into pieces, the one whose
/// scores have the largest sum, by Viterbi. Exact rules matter, since equal sums are common: positions go from left to
/// right, at each the shorter pieces first, and a later candidate replaces an earlier one only if strictly better.
/// </summary>
internal sealed class Unigram
{
    /// <summary>A character without a piece of its own costs this much more than the rarest piece.</summary>
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, int> indices;
    private readonly Piece[] pieces;
    private readonly int longest;
    private readonly int unknownId;
    private readonly double unknownScore;
    private readonly bool single;

    /// <param name="pieces">What can match; where a text occurs twice, the last one holds.</param>
    /// <param name="unknownId">The id of a character that no piece covers.</param>
    /// <param name="lowest">The lowest score, from which that of an unknown character follows.</param>
    /// <param name="single">Whether sums are kept in float32, as in SentencePiece, or in float64, as in tokenizer.json.</param>
    public Unigram(Piece[] pieces, int unknownId, double lowest, bool single)
    {
        this.pieces = pieces;
        this.unknownId = unknownId;
        this.single = single;
        unknownScore = lowest - UnknownPenalty;
        indices = new Dictionary<string, int>(pieces.Length);
        for (var i = 0; i < pieces.Length; i++)
        {
            indices[pieces[i].Text] = i;
            longest = Math.Max(longest, pieces[i].Text.Length);
        }
    }

    /// <summary>The id of a piece, or null.</summary>
    public int? Find(string text) => indices.TryGetValue(text, out var index) ? pieces[index].Id : null;

    /// <summary>
    /// The best segmentation of <paramref name="text"/> (well-formed UTF-16): ids with the text that each covers.
    /// Every unknown character is one segment with the unknown id.
    /// </summary>
    public List<(int Id, Range Span)> Segment(ReadOnlySpan<char> text)
    {
        var best = new Step[text.Length + 1];
        Array.Fill(best, new Step(-1, 0, -1));
        var lookup = indices.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var start = 0; start < text.Length; )
        {
            var here = best[start].Score;
            var character = char.IsHighSurrogate(text[start]) && start + 1 < text.Length ? 2 : 1;
            var hasCharacter = false;
            for (var length = 1; length <= Math.Min(longest, text.Length - start); length++)
            {
                if (!lookup.TryGetValue(text.Slice(start, length), out var index))
                    continue;
                Offer(ref best[start + length], new Step(pieces[index].Id, here + pieces[index].Score, start));
                hasCharacter |= length == character;
            }
            if (!hasCharacter)
                Offer(ref best[start + character], new Step(unknownId, Round(here + unknownScore), start));
            start += character;
        }
        return Trace(best);
    }

    private void Offer(ref Step current, Step candidate)
    {
        if (current.Start < 0 || candidate.Score > current.Score)
            current = candidate with { Score = Round(candidate.Score) };
    }

    private double Round(double score) => single ? (float)score : score;

    private static List<(int Id, Range Span)> Trace(Step[] best)
    {
        var found = new List<(int, Range)>();
        for (var end = best.Length - 1; end > 0; end = best[end].Start)
            found.Add((best[end].Id, best[end].Start..end));
        found.Reverse();
        return found;
    }

    /// <summary>The best path that ends at some place: its last piece, its sum, and where that piece begins.</summary>
    private readonly record struct Step(int Id, double Score, int Start);

    /// <summary>The ids of the byte pieces <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>, or null if any is missing.</summary>
    public static int[]? BytePieces(Func<string, int?> find)
    {
        var ids = new int[256];
        for (var value = 0; value < 256; value++)
        {
            if (find($"<0x{value:X2}>") is not { } id)
                return null;
            ids[value] = id;
        }
        return ids;
    }

    /// <summary>The byte pieces of a text.</summary>
    public static IEnumerable<int> SpellBytes(ReadOnlySpan<char> text, int[] bytePieces) =>
        Encoding.UTF8.GetBytes(text.ToArray()).Select(value => bytePieces[value]);
}
