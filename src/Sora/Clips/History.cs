using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Sora.Clips;

/// <summary>One verb that was applied to a clip.</summary>
/// <param name="Verb">Such as <c>generate</c>.</param>
/// <param name="Arguments">The words that matter, as on the command line, without the clip from the previous stage.</param>
/// <param name="Version">The version of the tool.</param>
public sealed record HistoryEntry(string Verb, IReadOnlyList<string> Arguments, string Version)
{
    /// <summary>Other clips that took part: a word of <see cref="Arguments"/>, and the history of the clip that it names.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<HistoryEntry>> Clips { get; init; } =
        new Dictionary<string, IReadOnlyList<HistoryEntry>>();

    /// <summary>An entry of this version of the tool.</summary>
    public static HistoryEntry Of(string verb, params IEnumerable<string> arguments) =>
        new(verb, [.. arguments], typeof(HistoryEntry).Assembly.GetName().Version!.ToString(3));
}

/// <summary>How a clip was made: an entry for each verb, as JSON in the clip's metadata and as the command that remakes it.</summary>
public static class History
{
    /// <summary>The metadata entry <c>history</c>: a JSON array of objects with verb, arguments and version.</summary>
    public static string ToJson(IReadOnlyList<HistoryEntry> history)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            Write(json, history);
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    /// <summary>Writes the JSON array.</summary>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<HistoryEntry> history)
    {
        json.WriteStartArray();
        foreach (var entry in history)
        {
            json.WriteStartObject();
            json.WriteString("verb", entry.Verb);
            json.WriteStartArray("arguments");
            foreach (var argument in entry.Arguments)
                json.WriteStringValue(argument);
            json.WriteEndArray();
            json.WriteString("version", entry.Version);
            if (entry.Clips.Count > 0)
            {
                json.WriteStartObject("clips");
                foreach (var (name, clip) in entry.Clips)
                {
                    json.WritePropertyName(name);
                    Write(json, clip);
                }
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>Reads the metadata entry.</summary>
    /// <exception cref="JsonException">It is not such an array.</exception>
    public static IReadOnlyList<HistoryEntry> Parse(string text)
    {
        using var document = JsonDocument.Parse(text);
        return Parse(document.RootElement);
    }

    private static IReadOnlyList<HistoryEntry> Parse(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
            throw new JsonException("it is not an array");
        return [.. array.EnumerateArray().Select(ParseEntry)];
    }

    private static HistoryEntry ParseEntry(JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Object)
            throw new JsonException("an entry is not an object");
        var arguments = Field(entry, "arguments", JsonValueKind.Array)
            .EnumerateArray()
            .Select(word =>
                word.ValueKind == JsonValueKind.String ? word.GetString()! : throw new JsonException("an argument is not text")
            );
        var parsed = new HistoryEntry(
            Field(entry, "verb", JsonValueKind.String).GetString()!,
            [.. arguments],
            Field(entry, "version", JsonValueKind.String).GetString()!
        );
        return entry.TryGetProperty("clips", out var clips) && clips.ValueKind == JsonValueKind.Object
            ? parsed with
            {
                Clips = clips.EnumerateObject().ToDictionary(clip => clip.Name, clip => Parse(clip.Value)),
            }
            : parsed;
    }

    private static JsonElement Field(JsonElement entry, string name, JsonValueKind kind) =>
        entry.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : throw new JsonException($"an entry has no {name}");

    /// <summary>
    /// The pipeline that makes the clip again, for a POSIX shell; where other clips took part, for bash, with
    /// <c>&lt;(…)</c>. Empty for a clip without history.
    /// </summary>
    public static string Command(IReadOnlyList<HistoryEntry> history) =>
        string.Join(
            " | ",
            history.Select(entry => string.Join(' ', entry.Arguments.Select(word => Word(entry, word)).Prepend(entry.Verb).Prepend("sora")))
        );

    private static string Word(HistoryEntry entry, string word) =>
        entry.Clips.TryGetValue(word, out var clip) && clip.Count > 0 ? $"<({Command(clip)})" : ShellWords.Quote(word);
}
