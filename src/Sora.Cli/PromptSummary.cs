using System.Text.Json;
using Sora.Models;
using Sora.Models.Text;

namespace Sora.Cli;

/// <summary>A prompt as a model sees it.</summary>
/// <param name="Cleaned">The text that the tokenizer is given.</param>
/// <param name="Ids">Its ids, without padding.</param>
/// <param name="Tokens">Their readable form.</param>
/// <param name="Unknown">Words that the vocabulary cannot spell.</param>
internal sealed record PromptSummary(string Cleaned, int[] Ids, string[] Tokens, IReadOnlyList<string> Unknown)
{
    /// <summary>Runs a model's tokenizer; no other part of the model is needed.</summary>
    public static PromptSummary Of(string text, string? model)
    {
        var found = ModelLocator.Find(model);
        var inside = Path.Combine(found, "tokenizer");
        var isWhole = File.Exists(found) || ModelLocator.IsModel(found);
        var tokenizer =
            Directory.Exists(inside) ? Tokenizer.Load(inside)
            : isWhole ? VideoModel.Open(model).OpenTokenizer()
            : Tokenizer.Load(found);
        var ids = tokenizer.Encode(text);
        return new PromptSummary(text, ids, tokenizer.Tokens(ids), tokenizer.UnknownWords(text));
    }

    public void WriteText(TextWriter to)
    {
        ClipSummary.Row(to, "cleaned", Cleaned);
        ClipSummary.Row(to, "tokens", string.Join(' ', Tokens));
        ClipSummary.Row(to, "ids", string.Join(' ', Ids));
        ClipSummary.Row(to, "unknown", Unknown.Count == 0 ? "none" : string.Join(' ', Unknown));
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("cleaned", Cleaned);
        json.WriteStartArray("ids");
        foreach (var id in Ids)
            json.WriteNumberValue(id);
        json.WriteEndArray();
        WriteStrings(json, "tokens", Tokens);
        WriteStrings(json, "unknown", Unknown);
        json.WriteEndObject();
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
