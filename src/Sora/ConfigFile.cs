using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sora;

/// <summary>
/// A model part's <c>config.json</c>: typed fields by name. A field that is missing or null takes its default,
/// as in diffusers; one of another type is an error that names the file and the field.
/// </summary>
internal sealed partial class ConfigFile
{
    private const int MostSize = 1_000_000;

    private readonly JsonObject fields;

    private ConfigFile(string path, JsonObject fields) => (Path, this.fields) = (path, fields);

    public string Path { get; }

    /// <summary>The class that diffusers or transformers would build from it, or null.</summary>
    public string? ClassName => Text("_class_name", null) ?? (Texts("architectures", []) is [var first, ..] ? first : null);

    public static ConfigFile Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw SoraException.Failed(
                $"{path} is missing",
                "a model folder needs this file; download it again or give another --model",
                e
            );
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw SoraException.Failed(
                $"{path} can't be read: {e.Message}",
                "a model folder needs this file; download it again or give another --model",
                e
            );
        }
        return Parse(path, text);
    }

    public static ConfigFile Parse(string path, string text)
    {
        try
        {
            if (ParseNode(WithoutPythonsWords(text)) is JsonObject fields)
                return new ConfigFile(path, fields);
            throw SoraException.Failed($"{path} isn't a JSON object");
        }
        catch (JsonException e)
        {
            throw SoraException.Damaged($"{path} isn't JSON: {e.Message}", e);
        }
    }

    /// <summary>JSON in which no field occurs twice: of two, nobody could say which one is meant.</summary>
    /// <exception cref="JsonException">It isn't.</exception>
    internal static JsonNode? ParseNode(string text) =>
        JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });

    public JsonObject ToJson() => fields.DeepClone().AsObject();

    public bool Has(string name) => fields[name] is not null;

    /// <summary>A size or a count: at least one, and no more than could be looked up in the weights.</summary>
    public int Size(string name, int fallback) =>
        Value(
            name,
            $"a whole number from 1 to {MostSize}",
            node => node.GetValue<int>() is > 0 and <= MostSize and var size ? size : throw new FormatException(),
            fallback
        );

    public int? Size(string name) => fields[name] is null ? null : Size(name, 1);

    public double Number(string name, double fallback) => Value(name, "a number", node => node.GetValue<double>(), fallback);

    public bool Flag(string name, bool fallback) => Value(name, "true or false", node => node.GetValue<bool>(), fallback);

    public string? Text(string name, string? fallback) => Value(name, "a string", node => node.GetValue<string>(), fallback);

    public IReadOnlyList<int> Ints(string name, IReadOnlyList<int> fallback) => List(name, "whole numbers", fallback);

    public IReadOnlyList<double> Numbers(string name, IReadOnlyList<double> fallback) => List(name, "numbers", fallback);

    public IReadOnlyList<bool> Flags(string name, IReadOnlyList<bool> fallback) => List(name, "true or false", fallback);

    public IReadOnlyList<string?> Texts(string name, IReadOnlyList<string?> fallback) => List(name, "strings", fallback);

    public JsonObject? Object(string name) => Value(name, "an object", node => node.AsObject(), null);

    /// <summary>The fields of an object among these; none where there is no such object.</summary>
    public ConfigFile Inner(string name) => new(Path, Object(name) ?? []);

    /// <summary>Python writes numbers that aren't finite as bare words, which JSON doesn't have: as a string.</summary>
    private static string WithoutPythonsWords(string text) =>
        StringOrWord().Replace(text, found => found.Value[0] == '"' ? found.Value : $"\"{found.Value}\"");

    [GeneratedRegex(
        """
            "(?:[^"\\]|\\.)*"|-?Infinity|NaN
            """,
        RegexOptions.NonBacktracking
    )]
    private static partial Regex StringOrWord();

    private IReadOnlyList<T> List<T>(string name, string what, IReadOnlyList<T> fallback) =>
        Value(
            name,
            $"a list of {what}",
            node => node.AsArray().Select(item => item is null ? default! : item.GetValue<T>()).ToArray(),
            fallback
        );

    private T Value<T>(string name, string what, Func<JsonNode, T> read, T fallback)
    {
        if (fields[name] is not { } node)
            return fallback;
        try
        {
            return read(node);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw SoraException.Failed($"{Path}: {name} must be {what}, found {node.ToJsonString()}", null, e);
        }
    }
}
