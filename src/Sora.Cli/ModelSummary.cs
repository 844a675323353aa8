using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sora.Diffusion;
using Sora.Models;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>What <c>info</c> says about a model or a file of weights, as text and as JSON.</summary>
internal static class ModelSummary
{
    public static void WriteText(VideoModel model, TextWriter to)
    {
        to.WriteLine($"{model.Name}: {(model.PipelineClass == "" ? "single files" : model.PipelineClass)} in {model.Path}");
        if (model.Known is { } known)
            ClipSummary.Row(to, "checkpoint", known.Licence is null ? known.Name : $"{known.Name}; licence: {known.Licence}");
        ClipSummary.Row(to, "fingerprint", model.Fingerprint());
        ClipSummary.Row(to, "VAE", model.VaeFingerprint());
        foreach (var part in ModelFolder.AllParts.Where(model.Has))
        {
            var config = model.ReadConfig(part);
            ClipSummary.Row(
                to,
                part,
                $"{ClassOf(config)}{(ModelFolder.PartsWithWeights.Contains(part) ? $", {WeightsOf(model, part)}" : "")}"
            );
        }
        ClipSummary.Row(to, "sizes", model.Sizes);
        var defaults = ModelDefaults.Of(model).Settings;
        ClipSummary.Row(
            to,
            "schedule",
            $"shift {Text(defaults.Shift)}"
                + (model.BoundaryRatio is { } boundary ? $", the second expert below {Text(boundary)}" : "")
                + (model.ExpandTimesteps ? ", a timestep per token" : "")
        );
        ClipSummary.Row(
            to,
            "defaults",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{new FrameSize(defaults.Width, defaults.Height)}, {defaults.Frames} frames at {defaults.Fps} per second, "
                    + $"{defaults.Steps} steps, guidance {defaults.Guidance}{(defaults.Guidance2 is { } second ? $" and {second}" : "")}"
            )
        );
        if (defaults.Negative != "")
            ClipSummary.Row(to, "negative", defaults.Negative);
        foreach (var support in Enum.GetValues<Support>())
        {
            var able = Enum.GetValues<Ability>().Where(ability => model.Supports(ability) == support).ToList();
            if (able.Count > 0)
                ClipSummary.Row(to, Word(support), string.Join(", ", able.Select(ability => ability.Name())));
            foreach (var note in able.Select(ability => model.Note(ability)).OfType<string>().Distinct())
                ClipSummary.Row(to, "", note);
        }
        if (model.Card is not { } card)
            return;
        to.WriteLine();
        to.Write(File.ReadAllText(card));
    }

    public static void WriteJson(VideoModel model, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kind", "model");
        json.WriteString("name", model.Name);
        json.WriteString("path", model.Path);
        json.WriteString("pipeline", model.PipelineClass);
        json.WriteString("checkpoint", model.Known?.Name);
        json.WriteString("licence", model.Known?.Licence);
        json.WriteString("fingerprint", model.Fingerprint());
        json.WriteString("vae", model.VaeFingerprint());
        json.WriteNumber("flow_shift", ModelDefaults.Of(model).Scheduler.Shift);
        if (model.BoundaryRatio is { } boundary)
            json.WriteNumber("boundary_ratio", boundary);
        else
            json.WriteNull("boundary_ratio");
        json.WriteBoolean("expand_timesteps", model.ExpandTimesteps);
        json.WriteNumber("spatial_factor", model.Geometry.SpatialFactor);
        json.WriteNumber("temporal_factor", model.Geometry.TemporalFactor);
        WriteDefaults(ModelDefaults.Of(model).Settings, json);
        json.WriteStartObject("abilities");
        foreach (var ability in Enum.GetValues<Ability>())
        {
            json.WriteStartObject(ability.Key());
            json.WriteString("support", Word(model.Supports(ability)));
            json.WriteString("note", model.Note(ability));
            json.WriteEndObject();
        }
        json.WriteEndObject();
        if (model.Evaluation is { } evaluation)
        {
            json.WritePropertyName("evaluation");
            evaluation.WriteTo(json);
        }
        json.WriteStartObject("parts");
        foreach (var part in ModelFolder.AllParts.Where(model.Has))
            WritePart(model, part, json);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    public static void WriteText(TensorSource weights, TextWriter to)
    {
        to.WriteLine($"{weights.Origin}: weights, {Describe(weights)}");
        foreach (var tensor in weights.Tensors.Values)
            ClipSummary.Row(to, tensor.Name, ClipSummary.Describe(tensor));
    }

    public static void WriteJson(TensorSource weights, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kind", "weights");
        json.WriteString("file", weights.Origin);
        json.WriteNumber("parameters", weights.Elements);
        json.WriteStartArray("tensors");
        foreach (var tensor in weights.Tensors.Values)
            ClipSummary.Write(json, tensor);
        json.WriteEndArray();
        json.WriteStartObject("metadata");
        foreach (var (key, value) in weights.Metadata)
            json.WriteString(key, value);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteDefaults(SamplingSettings settings, Utf8JsonWriter json)
    {
        json.WriteStartObject("defaults");
        json.WriteString("size", $"{new FrameSize(settings.Width, settings.Height)}");
        json.WriteNumber("frames", settings.Frames);
        json.WriteNumber("fps", settings.Fps);
        json.WriteNumber("steps", settings.Steps);
        json.WriteNumber("guidance", settings.Guidance);
        if (settings.Guidance2 is { } second)
            json.WriteNumber("guidance_2", second);
        json.WriteNumber("shift", settings.Shift);
        json.WriteString("negative", settings.Negative);
        json.WriteEndObject();
    }

    private static void WritePart(VideoModel model, string part, Utf8JsonWriter json)
    {
        var config = model.ReadConfig(part);
        json.WriteStartObject(part);
        json.WriteString("class", ClassOf(config));
        if (ModelFolder.PartsWithWeights.Contains(part))
        {
            using var weights = model.OpenWeights(part);
            json.WriteNumber("parameters", weights.Elements);
            json.WriteNumber("bytes", weights.Tensors.Values.Sum(tensor => tensor.Bytes));
            json.WriteStartArray("dtypes");
            foreach (var type in Types(weights))
                json.WriteStringValue(type);
            json.WriteEndArray();
        }
        // A tokenizer's lists its whole vocabulary of special tokens.
        if (config is { } fields && part != "tokenizer")
        {
            json.WritePropertyName("config");
            fields.WriteTo(json);
        }
        json.WriteEndObject();
    }

    private static string WeightsOf(VideoModel model, string part)
    {
        using var weights = model.OpenWeights(part);
        return Describe(weights);
    }

    private static string Describe(TensorSource weights)
    {
        var bytes = weights.Tensors.Values.Sum(tensor => tensor.Bytes);
        return $"{Quantity(weights.Elements)} parameters, {Quantity(bytes)}B as {string.Join(", ", Types(weights))}";
    }

    private static IEnumerable<string> Types(TensorSource weights) =>
        weights.Tensors.Values.Select(tensor => tensor.DType.Name()).Distinct().Order(StringComparer.Ordinal);

    private static string ClassOf(JsonObject? config) =>
        ((string[])["_class_name", "tokenizer_class", "image_processor_type"])
            .Select(field => config?[field])
            .OfType<JsonNode>()
            .FirstOrDefault()
            ?.ToString()
        ?? (config?["architectures"] as JsonArray)?.FirstOrDefault()?.ToString()
        ?? config?["model_type"]?.ToString()
        ?? "";

    private static string Word(Support support) => support.ToString().ToLowerInvariant();

    /// <summary>Such as <c>1.42 G</c>.</summary>
    private static string Quantity(long number)
    {
        var (unit, size) = number switch
        {
            >= 1_000_000_000 => ("G", 1e9),
            >= 1_000_000 => ("M", 1e6),
            >= 1_000 => ("k", 1e3),
            _ => ("", 1.0),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{number / size:0.##} {unit}");
    }

    private static string Text(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
