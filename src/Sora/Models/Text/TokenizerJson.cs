using System.Text.Json;

namespace Sora.Models.Text;

/// <summary>
/// A <c>tokenizer.json</c>, run in this order: added tokens are cut out, the normalizer and the pre-tokenizer go over
/// each remaining stretch of its own, the Unigram model segments every part, the post-processor puts tokens around.
/// </summary>
internal static class TokenizerJson
{
    public static TokenizerParts Read(string path)
    {
        try
        {
            var folder = Path.GetDirectoryName(path)!;
            return Parse(File.ReadAllBytes(path), PadToken(Path.Combine(folder, "tokenizer_config.json")));
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException
            or FormatException or IndexOutOfRangeException or IOException or UnauthorizedAccessException)
        {
            throw SoraException.Failed($"cannot read {path}: {error.Message}", "download the tokenizer again", error);
        }
    }

    public static TokenizerParts Parse(ReadOnlyMemory<byte> json, string padToken = "<pad>")
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var model = root.GetProperty("model");
        var type = Optional(model, "type")?.GetString() ?? "Unigram";
        if (type != "Unigram") throw TokenizerSteps.Unsupported("model", type);

        var vocabulary = model.GetProperty("vocab");
        var pieces = new Piece[vocabulary.GetArrayLength()];
        var lowest = double.PositiveInfinity;
        var count = 0;
        foreach (var entry in vocabulary.EnumerateArray())
        {
            var piece = new Piece(entry[0].GetString()!, count, entry[1].GetDouble());
            lowest = Math.Min(lowest, piece.Score);
            pieces[count++] = piece;
        }
        var unknownId = Optional(model, "unk_id")?.GetInt32()
            ?? throw SoraException.Failed("the tokenizer has no unknown token (unk_id)");
        var unigram = new Unigram(pieces, unknownId, lowest, single: false);
        var bytePieces = Optional(model, "byte_fallback")?.GetBoolean() == true ? Unigram.BytePieces(unigram.Find) : null;

        var added = Optional(root, "added_tokens")?.EnumerateArray().ToArray() ?? [];
        var tokens = Tokens(pieces, added);
        int FindToken(string text) => unigram.Find(text) ?? Array.IndexOf(tokens, text);
        var raw = new AddedTokens(added.Where(token => !Flag(token, "normalized")).Select(ReadAdded));
        var normalized = new AddedTokens(added.Where(token => Flag(token, "normalized")).Select(ReadAdded));
        var normalize = TokenizerSteps.Normalizer(Optional(root, "normalizer"));
        var split = TokenizerSteps.PreTokenizer(Optional(root, "pre_tokenizer"));
        var (before, after) = TokenizerSteps.Template(Optional(root, "post_processor"));

        List<int> Segment(string text)
        {
            var ids = new List<int>();
            foreach (var stretch in raw.Cut(new Stretch(text, null, true)).SelectMany(Normalized))
            {
                if (stretch.Id is { } id) ids.Add(id);
                else
                    foreach (var part in split(stretch))
                        Append(ids, part.Text);
            }
            return ids;
        }

        IEnumerable<Stretch> Normalized(Stretch stretch) =>
            stretch.Id is null ? normalized.Cut(stretch with { Text = normalize(stretch.Text) }) : [stretch];

        // Neighbouring unknown characters are one token.
        void Append(List<int> ids, string part)
        {
            var segments = unigram.Segment(part);
            for (var i = 0; i < segments.Count; i++)
            {
                var (id, span) = segments[i];
                if (id != unknownId)
                {
                    ids.Add(id);
                    continue;
                }
                while (i + 1 < segments.Count && segments[i + 1].Id == unknownId) i++;
                var run = part.AsSpan()[span.Start..segments[i].Span.End];
                if (bytePieces is null) ids.Add(unknownId);
                else ids.AddRange(Unigram.SpellBytes(run, bytePieces));
            }
        }

        return new TokenizerParts(Segment, before, after, tokens, Math.Max(0, FindToken(padToken)), unknownId);
    }

    /// <summary>The readable form of every id: the vocabulary, then added tokens, which may lie beyond it.</summary>
    private static string[] Tokens(Piece[] pieces, JsonElement[] added)
    {
        var count = added.Select(token => token.GetProperty("id").GetInt32() + 1).Append(pieces.Length).Max();
        var tokens = new string[count];
        Array.Fill(tokens, "");
        foreach (var piece in pieces) tokens[piece.Id] = piece.Text;
        foreach (var token in added) tokens[token.GetProperty("id").GetInt32()] = token.GetProperty("content").GetString()!;
        return tokens;
    }

    private static AddedToken ReadAdded(JsonElement token) => new(
        token.GetProperty("content").GetString()!,
        token.GetProperty("id").GetInt32(),
        Flag(token, "single_word"),
        Flag(token, "lstrip"),
        Flag(token, "rstrip"));

    /// <summary>tokenizer.json does not say what pads; the file beside it does, as a string or as an object.</summary>
    private static string PadToken(string path)
    {
        if (!File.Exists(path)) return "<pad>";
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var token = Optional(document.RootElement, "pad_token");
        return (token is { ValueKind: JsonValueKind.Object } ? token.Value.GetProperty("content") : token)?.GetString() ?? "<pad>";
    }

    private static bool Flag(JsonElement element, string name) => Optional(element, name)?.GetBoolean() ?? false;

    /// <summary>A property, or null where it is absent or null.</summary>
    internal static JsonElement? Optional(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
