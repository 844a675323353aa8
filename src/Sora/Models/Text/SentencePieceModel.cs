using System.Text;
using Google.Protobuf;

namespace Sora.Models.Text;

/// <summary>
/// A <c>spiece.model</c>, run by SentencePiece's own rules
/// (github.com/google/sentencepiece: sentencepiece_model.proto, normalizer.cc, unigram_model.cc). They differ from
/// tokenizer.json's: special tokens that are typed in the text are ordinary text, the character map takes the longest
/// match at every place, blanks may be trimmed, and an unknown character may be spelled in bytes.
/// </summary>
internal sealed class SentencePieceModel
{
    private const char Blank = '\u2581';

    private readonly List<(string Text, float Score, PieceKind Kind)> entries = [];
    private readonly string[] userDefined;
    private readonly Unigram unigram;
    private readonly int unknownId;
    private readonly int[]? bytePieces;
    private CharacterMap? map;
    private bool byteFallback,
        suffixBlank;
    private bool dummyPrefix = true,
        trimBlanks = true,
        escapeBlanks = true;
    private int endId = 2,
        padId = -1;

    private SentencePieceModel(CodedInputStream input)
    {
        ReadModel(input);
        unknownId = entries.FindIndex(entry => entry.Kind == PieceKind.Unknown);
        if (unknownId < 0)
            throw SoraException.Failed("the SentencePiece model has no unknown piece");
        userDefined =
        [
            .. entries
                .Where(entry => entry.Kind == PieceKind.UserDefined)
                .Select(entry => entry.Text)
                .OrderByDescending(text => text.Length),
        ];
        var normal = entries.Where(entry => entry.Kind == PieceKind.Normal).Select(entry => entry.Score).ToArray();
        // The library starts its maximum at FLT_MIN, the smallest positive number, and scores are negative.
        var highest = Math.Max(1.17549435e-38f, normal.DefaultIfEmpty().Max());
        unigram = new Unigram([.. Matchable(highest)], unknownId, normal.DefaultIfEmpty().Min(), single: true);
        var ids = entries
            .Select((entry, id) => (entry, id))
            .Where(each => each.entry.Kind == PieceKind.Byte)
            .ToDictionary(each => each.entry.Text, each => each.id);
        bytePieces = byteFallback ? Unigram.BytePieces(text => ids.TryGetValue(text, out var id) ? id : null) : null;
    }

    private enum PieceKind
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    public static TokenizerParts Read(byte[] bytes, string origin)
    {
        try
        {
            var model = new SentencePieceModel(new CodedInputStream(bytes));
            var after = model.endId >= 0 ? new[] { model.endId } : [];
            return new TokenizerParts(
                model.Segment,
                [],
                after,
                [.. model.entries.Select(entry => entry.Text)],
                Math.Max(0, model.padId),
                model.unknownId
            );
        }
        catch (Exception error) when (error is InvalidProtocolBufferException)
        {
            throw SoraException.Failed($"cannot read {origin}: {error.Message}", "download the tokenizer again", error);
        }
    }

    /// <summary>What can match in a text. A user-defined piece gets a bonus by its length in bytes.</summary>
    private IEnumerable<Piece> Matchable(float highest) =>
        entries
            .Select(
                (entry, id) =>
                    entry.Kind switch
                    {
                        PieceKind.Normal => new Piece(entry.Text, id, entry.Score),
                        PieceKind.UserDefined => new Piece(entry.Text, id, Encoding.UTF8.GetByteCount(entry.Text) * highest - 0.1),
                        _ => default,
                    }
            )
            .Where(piece => piece.Text != null);

    private List<int> Segment(string text)
    {
        var normalized = Normalize(text);
        var ids = new List<int>();
        var afterUnknown = false;
        foreach (var (id, span) in unigram.Segment(normalized))
        {
            var unknown = id == unknownId;
            if (unknown && bytePieces != null)
                ids.AddRange(Unigram.SpellBytes(normalized.AsSpan()[span], bytePieces));
            else if (!unknown || !afterUnknown)
                ids.Add(id);
            afterUnknown = unknown;
        }
        return ids;
    }

    private string Normalize(string text)
    {
        var mapped = Map(text).ToList();
        var first = trimBlanks ? mapped.FindIndex(part => part != " ") : 0;
        if (first < 0 || mapped.Count == 0)
            return "";
        var blank = escapeBlanks ? Blank : ' ';
        var result = new StringBuilder();
        if (dummyPrefix && !suffixBlank)
            result.Append(blank);
        var afterBlank = trimBlanks;
        foreach (var part in mapped.Skip(first))
        {
            var rest = afterBlank ? part.TrimStart(' ') : part;
            result.Append(rest.Replace(' ', blank));
            if (rest.Length > 0)
                afterBlank = trimBlanks && rest[^1] == ' ';
        }
        if (trimBlanks)
            while (result.Length > 0 && result[^1] == blank)
                result.Length--;
        if (dummyPrefix && suffixBlank)
            result.Append(blank);
        return result.ToString();
    }

    /// <summary>The text in the smallest parts that the character map replaces; user-defined pieces are never mapped.</summary>
    private IEnumerable<string> Map(string text)
    {
        for (var start = 0; start < text.Length; )
        {
            var rest = text[start..];
            if (userDefined.FirstOrDefault(piece => rest.StartsWith(piece, StringComparison.Ordinal)) is { } whole)
            {
                yield return whole;
                start += whole.Length;
                continue;
            }
            var character = char.IsHighSurrogate(rest[0]) && rest.Length > 1 ? 2 : 1;
            var utf8 = Encoding.UTF8.GetBytes(rest);
            var (replacement, length) = map?.Longest(utf8) ?? ("", 0);
            yield return length == 0 ? rest[..character] : replacement;
            start += length == 0 ? character : Encoding.UTF8.GetCharCount(utf8, 0, length);
        }
    }

    private void ReadModel(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    ReadPiece(input.ReadBytes().CreateCodedInput());
                    break;
                case 2:
                    ReadTrainer(input.ReadBytes().CreateCodedInput());
                    break;
                case 3:
                    ReadNormalizer(input.ReadBytes().CreateCodedInput());
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
    }

    private void ReadPiece(CodedInputStream input)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        while (input.ReadTag() is var tag and not 0)
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    text = input.ReadString();
                    break;
                case 2:
                    score = input.ReadFloat();
                    break;
                case 3:
                    kind = (PieceKind)input.ReadEnum();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        entries.Add((text, score, kind));
    }

    private void ReadTrainer(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 3 when input.ReadEnum() is var type and not 1:
                    throw SoraException.Failed($"the SentencePiece model is of type {type}", "only type 1, Unigram, is supported");
                case 3:
                    break;
                case 24:
                    suffixBlank = input.ReadBool();
                    break;
                case 35:
                    byteFallback = input.ReadBool();
                    break;
                case 42:
                    endId = input.ReadInt32();
                    break;
                case 43:
                    padId = input.ReadInt32();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
    }

    private void ReadNormalizer(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 2 when input.ReadBytes() is { IsEmpty: false } data:
                    map = new CharacterMap(data.Span);
                    break;
                case 2:
                    break;
                case 3:
                    dummyPrefix = input.ReadBool();
                    break;
                case 4:
                    trimBlanks = input.ReadBool();
                    break;
                case 5:
                    escapeBlanks = input.ReadBool();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
    }
}
