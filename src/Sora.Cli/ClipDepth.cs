using System.Globalization;
using Sora.Clips;

namespace Sora.Cli;

/// <summary>What a clip's metadata say of its depth.</summary>
/// <param name="Kind">Such as <c>relative</c>; null if the clip doesn't say it.</param>
/// <param name="Low">The smallest depth.</param>
/// <param name="High">The largest one.</param>
/// <param name="Model">What made it.</param>
internal sealed record ClipDepth(string? Kind, double? Low, double? High, string? Model)
{
    /// <summary>The words for kinds.</summary>
    public const string Metric = "metric",
        Relative = "relative";

    private const string KindKey = "depth_kind",
        RangeKey = "depth_range",
        ModelKey = "depth_model";

    /// <summary>Whether it is metres; if not, it is relative inverse depth.</summary>
    public bool IsMetric => Kind == Metric;

    /// <summary>The word for a kind.</summary>
    public static string KindOf(bool isMetric) => isMetric ? Metric : Relative;

    /// <summary>Whether an entry of the metadata is about depth.</summary>
    public static bool IsKey(string key) => key is KindKey or RangeKey or ModelKey;

    public static ClipDepth Of(Clip clip) => Of(clip.Metadata);

    public static ClipDepth Of(ClipHeader clip) => Of(clip.Metadata);

    /// <summary>The clip with metadata that say this.</summary>
    public Clip Mark(Clip clip) =>
        clip.WithMetadata(KindKey, Kind!)
            .WithMetadata(RangeKey, string.Create(CultureInfo.InvariantCulture, $"{Low:0.###} {High:0.###}"))
            .WithMetadata(ModelKey, Model!);

    /// <summary>Such as <c>metric, 0.9 to 12.5 m, by depth-anything-tiny-metric</c>; empty if nothing is known.</summary>
    public override string ToString()
    {
        var range = string.Create(CultureInfo.InvariantCulture, $"{Low:0.###} to {High:0.###}");
        string?[] parts =
        [
            IsMetric ? Kind
            : Kind == Relative ? "relative inverse"
            : Kind,
            Low is null || High is null ? null
            : IsMetric ? $"{range} m"
            : $"{range} (near)",
            Model is null ? null : $"by {Model}",
        ];
        return string.Join(", ", parts.OfType<string>());
    }

    private static ClipDepth Of(IReadOnlyDictionary<string, string> metadata)
    {
        var ends = (metadata.GetValueOrDefault(RangeKey) ?? "")
            .Split(' ')
            .Select(word => double.TryParse(word, CultureInfo.InvariantCulture, out var value) ? value : (double?)null)
            .ToList();
        var (low, high) = ends.Count == 2 ? (ends[0], ends[1]) : (null, null);
        return new ClipDepth(metadata.GetValueOrDefault(KindKey), low, high, metadata.GetValueOrDefault(ModelKey));
    }
}
