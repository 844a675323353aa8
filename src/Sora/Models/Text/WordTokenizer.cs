using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sora.Models.Text;

/// <summary>
/// Writes a tokenizer for a small closed vocabulary of whole words, in the format that Hugging Face's tokenizers library
/// reads. Case doesn't matter; punctuation stands alone, so a hyphenated word is its words and their hyphen. A word that
/// isn't in the vocabulary becomes the longest word that it begins with, then <c>&lt;unk&gt;</c>.
/// </summary>
public static class WordTokenizer
{
    private static readonly string[] Special = ["<pad>", "</s>", "<s>", "<unk>"];

    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>
    /// Writes <c>tokenizer.json</c>, <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c>. Ids: <c>&lt;pad&gt;</c>
    /// 0, <c>&lt;/s&gt;</c> 1, <c>&lt;s&gt;</c> 2, <c>&lt;unk&gt;</c> 3, then the words in the given order.
    /// </summary>
    /// <param name="folder">Where to write; it is created.</param>
    /// <param name="words">Words and punctuation marks; repeated ones count once, whatever their case.</param>
    /// <param name="marks">Tokens before every text; their ids follow those of the words.</param>
    /// <returns>The number of ids.</returns>
    public static int Write(string folder, IEnumerable<string> words, IReadOnlyList<string>? marks = null)
    {
        marks ??= [];
        string[] pieces = [.. words.Select(word => word.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
        if (pieces.FirstOrDefault(piece => piece.Length == 0 || piece.Any(char.IsWhiteSpace)) is { } bad)
            throw new ArgumentException($"'{bad}' is not a single word", nameof(words));
        Directory.CreateDirectory(folder);
        Save("tokenizer.json", Tokenizer(pieces, marks));
        Save("tokenizer_config.json", Configuration());
        Save("special_tokens_map.json", Roles());
        return Special.Length + pieces.Length + marks.Count;

        void Save(string name, JsonObject content) => File.WriteAllText(Path.Combine(folder, name), content.ToJsonString(Format) + "\n");
    }

    private static JsonObject Tokenizer(string[] pieces, IReadOnlyList<string> marks) =>
        new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([
                .. Special.Select(AddedToken),
                .. marks.Select((token, i) => AddedToken(token, Special.Length + pieces.Length + i)),
            ]),
            ["normalizer"] = new JsonObject { ["type"] = "Lowercase" },
            // White space is dropped and every word and punctuation mark gets U+2581 in front, so that a word has one
            // piece, whether it follows a blank, a bracket or a hyphen.
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "WhitespaceSplit" },
                    new JsonObject { ["type"] = "Punctuation", ["behavior"] = "Isolated" },
                    Metaspace()
                ),
            },
            ["post_processor"] = Template(marks, Special.Length + pieces.Length),
            ["decoder"] = Metaspace(),
            ["model"] = new JsonObject
            {
                ["type"] = "Unigram",
                ["unk_id"] = Array.IndexOf(Special, "<unk>"),
                ["vocab"] = new JsonArray([
                    .. Special.Select(token => Entry(token, 0)),
                    .. pieces.Select((piece, index) => Entry("\u2581" + piece, -1 - Math.Log(1 + index))),
                    .. marks.Select(token => Entry(token, 0)),
                ]),
                ["byte_fallback"] = false,
            },
        };

    private static JsonArray Entry(string piece, double score) => [piece, score];

    private static JsonObject AddedToken(string token, int id) =>
        new()
        {
            ["id"] = id,
            ["content"] = token,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
            ["normalized"] = false,
            ["special"] = true,
        };

    private static JsonObject Metaspace() =>
        new()
        {
            ["type"] = "Metaspace",
            ["replacement"] = "\u2581",
            ["prepend_scheme"] = "always",
            ["split"] = true,
        };

    private static JsonObject Template(IReadOnlyList<string> marks, int firstMark)
    {
        static JsonObject Sequence(string id) =>
            new()
            {
                ["Sequence"] = new JsonObject { ["id"] = id, ["type_id"] = 0 },
            };
        static JsonObject Token(string token) =>
            new()
            {
                ["SpecialToken"] = new JsonObject { ["id"] = token, ["type_id"] = 0 },
            };
        static JsonObject Known(string token, int id) =>
            new()
            {
                ["id"] = token,
                ["ids"] = new JsonArray(id),
                ["tokens"] = new JsonArray(token),
            };
        const string End = "</s>";
        JsonNode[] lead = [.. marks.Select(Token)],
            second = [.. marks.Select(Token)];
        var known = new JsonObject { [End] = Known(End, Array.IndexOf(Special, End)) };
        for (var i = 0; i < marks.Count; i++)
            known[marks[i]] = Known(marks[i], firstMark + i);
        return new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray([.. lead, Sequence("A"), Token(End)]),
            ["pair"] = new JsonArray([.. second, Sequence("A"), Token(End), Sequence("B"), Token(End)]),
            ["special_tokens"] = known,
        };
    }

    private static JsonObject Configuration()
    {
        var configuration = Roles();
        configuration["extra_ids"] = 0;
        configuration["additional_special_tokens"] = new JsonArray();
        configuration["clean_up_tokenization_spaces"] = false;
        configuration["model_max_length"] = 512;
        configuration["tokenizer_class"] = "PreTrainedTokenizerFast";
        return configuration;
    }

    private static JsonObject Roles() =>
        new()
        {
            ["bos_token"] = "<s>",
            ["eos_token"] = "</s>",
            ["pad_token"] = "<pad>",
            ["unk_token"] = "<unk>",
        };
}
