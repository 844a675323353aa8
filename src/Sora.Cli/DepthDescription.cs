using System.Text.Encodings.Web;
using System.Text.Json;
using Sora.Models.Depth;

namespace Sora.Cli;

/// <summary>What pictures of depth can't say themselves, in a JSON file beside them.</summary>
internal static class DepthDescription
{
    /// <param name="stream">Where to write.</param>
    /// <param name="track">What the pictures hold; all its maps have been taken.</param>
    /// <param name="shots">The range of each shot, or one for all; none where pixels are the depths themselves.</param>
    public static void Write(Stream stream, DepthTrack track, IReadOnlyList<DepthShot> shots)
    {
        using var json = new Utf8JsonWriter(
            stream,
            new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
        );
        json.WriteStartObject();
        json.WriteString("kind", track.Info.Kind);
        json.WriteString("values", track.Info.IsMetric ? "linear" : "inverse");
        json.WriteString("near", track.Info.IsMetric ? "low" : "high");
        json.WriteString("units", track.Info.IsMetric ? "m" : "arbitrary");
        json.WriteString("model", track.Info.Model);
        json.WriteNumber("width", track.Size.Width);
        json.WriteNumber("height", track.Size.Height);
        json.WriteNumber("fps", track.Fps);
        json.WriteString("type", shots.Count == 0 ? "float32" : "uint16");
        if (shots.Count > 0)
            json.WriteString("depth", "low + (high - low) * value / 65535");
        WriteShots(json, shots);
        if (track.Times is { } times)
        {
            json.WriteStartArray("timestamps");
            foreach (var time in times)
                json.WriteNumberValue(decimal.Divide(time.Ticks, TimeSpan.TicksPerSecond));
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void WriteShots(Utf8JsonWriter json, IReadOnlyList<DepthShot> shots)
    {
        if (shots.Count == 0)
            return;
        json.WriteStartArray("shots");
        foreach (var shot in shots)
        {
            json.WriteStartObject();
            json.WriteNumber("first_frame", shot.First);
            json.WriteNumber("low", shot.Low);
            json.WriteNumber("high", shot.High);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
