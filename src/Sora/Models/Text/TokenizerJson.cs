using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sora.Models.Text;

/// <summary>
/// A <c>tokenizer.json</c>, run in this order: added tokens are cut out, the normalizer and the pre-tokenizer process
/// each remaining stretch separately, the Unigram model segments every part, the post-processor adds tokens around them.
/// </summary>
internal sealed class TokenizerJson
{
    private readonly Unigram unigram;
    private readonly int unknownId;
    private readonly int[]? bytePieces;
    private readonly AddedTokens raw,
        normalized;
    private readonly Func<string, string> normalize;
    private readonly Func<Stretch, IEnumerable<Stretch>> split;

    private TokenizerJson(TokenizerFile file)
    {
        var model = file.Model;
        if ((model.Type ?? "Unigram") != "Unigram")
            throw TokenizerSteps.Unsupported("model", model.Type);
        unknownId = model.UnkId ?? throw SoraException.Failed("the tokenizer has no unknown token (unk_id)");
        var lowest = model.Vocab.Select(piece => piece.Score).DefaultIfEmpty().Min();
        unigram = new Unigram(model.Vocab, unknownId, lowest, single: false);
        bytePieces = model.ByteFallback ? Unigram.BytePieces(unigram.Find) : null;
        // Added tokens match in the text as it is typed, unless they are marked to match after the normalizer.
        raw = new AddedTokens(file.AddedTokens.Where(token => !token.Normalized));
        normalized = new AddedTokens(file.AddedTokens.Where(token => token.Normalized));
        normalize = TokenizerSteps.Normalizer(file.Normalizer);
        split = TokenizerSteps.PreTokenizer(file.PreTokenizer);
    }

    public static TokenizerParts Read(string path)
    {
        try
        {
            return Parse(File.ReadAllBytes(path), PadToken(Path.Combine(Path.GetDirectoryName(path)!, "tokenizer_config.json")));
        }
        catch (Exception error)
            when (error
                    is JsonException
                        or InvalidOperationException
                        or KeyNotFoundException
                        or FormatException
                        or ArgumentException
                        or IOException
                        or UnauthorizedAccessException
            )
        {
            throw SoraException.Failed($"cannot read {path}: {error.Message}", "download the tokenizer again", error);
        }
    }

    public static TokenizerParts Parse(ReadOnlySpan<byte> json, string padToken = "<pad>")
    {
        var file =
            JsonSerializer.Deserialize(json, TokenizerFileContext.Default.TokenizerFile) ?? throw new JsonException("the file is null");
        var tokenizer = new TokenizerJson(file);
        var (before, after) = TokenizerSteps.Template(file.PostProcessor);
        var tokens = Tokens(file);
        return new TokenizerParts(
            tokenizer.Segment,
            before,
            after,
            tokens,
            Math.Max(0, Array.IndexOf(tokens, padToken)),
            tokenizer.unknownId
        );
    }

    private List<int> Segment(string text)
    {
        var ids = new List<int>();
        foreach (var stretch in raw.Cut(new Stretch(text, null, true)).SelectMany(Normalize))
        {
            if (stretch.Id is { } id)
                ids.Add(id);
            else
                foreach (var part in split(stretch))
                    Append(ids, part.Text);
        }
        return ids;
    }

    private IEnumerable<Stretch> Normalize(Stretch stretch) =>
        stretch.Id is null ? normalized.Cut(stretch with { Text = normalize(stretch.Text) }) : [stretch];

    /// <summary>The ids of one part; neighbouring unknown characters are one token, or their bytes.</summary>
    private void Append(List<int> ids, string part)
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
            while (i + 1 < segments.Count && segments[i + 1].Id == unknownId)
                i++;
            if (bytePieces is null)
                ids.Add(unknownId);
            else
                ids.AddRange(Unigram.SpellBytes(part.AsSpan()[span.Start..segments[i].Span.End], bytePieces));
        }
    }

    /// <summary>The readable form of every id: the vocabulary, then added tokens, which may lie beyond it.</summary>
    private static string[] Tokens(TokenizerFile file)
    {
        var count = file.AddedTokens.Select(token => token.Id + 1).Append(file.Model.Vocab.Length).Max();
        var tokens = new string[count];
        Array.Fill(tokens, "");
        foreach (var piece in file.Model.Vocab)
            tokens[piece.Id] = piece.Text;
        foreach (var token in file.AddedTokens)
            tokens[token.Id] = token.Content;
        return tokens;
    }

    /// <summary>tokenizer.json does not say what pads; the file beside it does, as a string or as an object.</summary>
    private static string PadToken(string path)
    {
        if (!File.Exists(path))
            return "<pad>";
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        if (!document.RootElement.TryGetProperty("pad_token", out var token))
            return "<pad>";
        return (token.ValueKind == JsonValueKind.Object ? token.GetProperty("content") : token).GetString() ?? "<pad>";
    }
}

/// <summary>The file itself.</summary>
internal sealed record TokenizerFile
{
    public AddedToken[] AddedTokens { get; set; } = [];
    public JsonElement? Normalizer { get; set; }
    public JsonElement? PreTokenizer { get; set; }
    public JsonElement? PostProcessor { get; set; }
    public required UnigramFile Model { get; set; }
}

/// <summary>Its Unigram model.</summary>
internal sealed record UnigramFile
{
    public string? Type { get; set; }
    public int? UnkId { get; set; }
    public bool ByteFallback { get; set; }

    [JsonConverter(typeof(VocabularyConverter))]
    public required Piece[] Vocab { get; set; }
}

/// <summary>A list of [piece, score]. Read by hand: umT5 has 256 thousand, and a tokenizer should load at once.</summary>
internal sealed class VocabularyConverter : JsonConverter<Piece[]>
{
    public override Piece[] Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        var pieces = new List<Piece>();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            // Another kind of model, which is refused by its name.
            reader.Skip();
            return [];
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.StartArray)
        {
            reader.Read();
            var text = reader.GetString() ?? throw new JsonException("a piece of the vocabulary is null");
            reader.Read();
            pieces.Add(new Piece(text, pieces.Count, reader.GetDouble()));
            reader.Read();
            if (reader.TokenType != JsonTokenType.EndArray)
                throw new JsonException($"the piece '{text}' is not [text, score]");
        }
        return [.. pieces];
    }

    public override void Write(Utf8JsonWriter writer, Piece[] value, JsonSerializerOptions options) =>
        throw new NotSupportedException("tokenizers are only read");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TokenizerFile))]
internal sealed partial class TokenizerFileContext : JsonSerializerContext;
