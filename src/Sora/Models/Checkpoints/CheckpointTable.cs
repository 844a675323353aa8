using System.Text.Json;
using System.Text.Json.Nodes;
using Sora.Models.Wan;

namespace Sora.Models.Checkpoints;

/// <summary>What the table of checkpoints says about one.</summary>
/// <param name="Name">Its published name.</param>
/// <param name="Licence">One line.</param>
/// <param name="Defaults">As under <c>_sora</c> in model_index.json; see <see cref="Origin"/> for where they are written.</param>
/// <param name="Origin">The table, for messages.</param>
public sealed record KnownCheckpoint(string Name, string? Licence, JsonObject Defaults, string Origin)
{
    /// <summary>Timesteps from this part of 1000 on belong to the expert for high noise; null: not said.</summary>
    public double? Boundary { get; init; }

    /// <summary>Whether a user's table says so, which then takes precedence over the model's own files.</summary>
    public bool IsUsers { get; init; }
}

/// <summary>
/// The table of known checkpoints: <c>checkpoints.json</c> of this program, and before it the user's
/// <c>$XDG_CONFIG_HOME/sora/models.json</c> (<c>~/.config/sora/models.json</c>) in the same form:
/// <code>{"checkpoints": [{"name": "My model", "licence": "…", "match": {"fingerprint": "…"}, "defaults": {"steps": 8}}]}</code>
/// An entry applies to a model if everything under <c>match</c> holds: <c>fingerprint</c> of its transformer,
/// <c>named</c> (a part of its name, whatever the case), <c>experts</c>, <c>builtin</c>, and any fields of its
/// transformer's config. The first match counts; <c>common</c> beside <c>checkpoints</c> holds what every entry has
/// unless it says otherwise.
/// </summary>
public static class CheckpointTable
{
    private const string Resource = "Sora.Models.checkpoints.json";

    /// <summary>The user's own table, which may not exist.</summary>
    public static string UserFile =>
        Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { Length: > 0 } config
                ? config
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config"),
            "sora",
            "models.json"
        );

    /// <summary>What is known of a model; null: nothing.</summary>
    /// <exception cref="SoraException">The user's table can't be read.</exception>
    internal static KnownCheckpoint? Find(ModelTraits model)
    {
        if (File.Exists(UserFile) && Find(UserFile, File.ReadAllText(UserFile), model) is { } own)
            return own with { IsUsers = true };
        using var stream = typeof(CheckpointTable).Assembly.GetManifestResourceStream(Resource)!;
        using var reader = new StreamReader(stream);
        return Find("checkpoints.json", reader.ReadToEnd(), model);
    }

    private static KnownCheckpoint? Find(string origin, string text, ModelTraits model)
    {
        try
        {
            var table = ConfigFile.ParseNode(text)!.AsObject();
            var common = table["common"] as JsonObject ?? [];
            return table["checkpoints"]!
                .AsArray()
                .Select(node => node!.AsObject())
                .Where(entry => entry["match"]!.AsObject().All(field => Holds(field.Key, field.Value, model)))
                .Select(entry => Read(entry, common, origin))
                .FirstOrDefault();
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or NullReferenceException or FormatException)
        {
            throw SoraException.Failed(
                $"{origin}: not a table of checkpoints: {fault.Message.ReplaceLineEndings(" ")}",
                "the format is {\"checkpoints\": [{\"name\": …, \"match\": {…}, \"defaults\": {…}}]}",
                fault
            );
        }
    }

    private static bool Holds(string field, JsonNode? value, ModelTraits model) =>
        field switch
        {
            "fingerprint" => value!.GetValue<string>() == model.Fingerprint.Value,
            "named" => model.Name.Contains(value!.GetValue<string>(), StringComparison.OrdinalIgnoreCase),
            "experts" => value!.GetValue<int>() == model.Experts,
            "builtin" => value!.GetValue<bool>() == model.IsBuiltin,
            _ => JsonNode.DeepEquals(value, JsonNode.Parse(model.Transformer.ToJson()[field]?.ToJsonString() ?? "null")),
        };

    private static KnownCheckpoint Read(JsonObject entry, JsonObject common, string origin)
    {
        var defaults = (common["defaults"] as JsonObject)?.DeepClone().AsObject() ?? [];
        foreach (var (key, value) in entry["defaults"] as JsonObject ?? [])
            defaults[key] = value?.DeepClone();
        return new KnownCheckpoint(
            entry["name"]!.GetValue<string>(),
            (entry["licence"] ?? common["licence"])?.GetValue<string>(),
            defaults,
            origin
        )
        {
            Boundary = entry["boundary"]?.GetValue<double>(),
        };
    }
}

/// <summary>What identifies a model.</summary>
/// <param name="Name">What a user calls it.</param>
/// <param name="Transformer">Its sizes.</param>
/// <param name="Experts">How many transformers it has.</param>
/// <param name="IsBuiltin">Whether it came with the program.</param>
/// <param name="Fingerprint">Of its transformer.</param>
internal sealed record ModelTraits(string Name, WanTransformerConfig Transformer, int Experts, bool IsBuiltin, Lazy<string> Fingerprint);
