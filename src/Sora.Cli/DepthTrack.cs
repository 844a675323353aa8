using Sora.Models.Depth;

namespace Sora.Cli;

/// <summary>What the numbers of a depth are.</summary>
/// <param name="IsMetric">Whether they are metres, larger ones farther away, or relative inverse depth, larger ones nearer.</param>
/// <param name="Farthest">The largest depth that the model gives, in metres; null: unknown.</param>
/// <param name="Model">What made them.</param>
internal sealed record DepthInfo(bool IsMetric, double? Farthest, string Model)
{
    /// <summary>The word for it in files.</summary>
    public string Kind => ClipDepth.KindOf(IsMetric);
}

/// <summary>The depth of the frames of a video or clip, or of a picture, one after another: what every output is made from.</summary>
/// <param name="Info">What the numbers are.</param>
/// <param name="Size">Of every map.</param>
/// <param name="Fps">Frames a second; about so many if there are times.</param>
/// <param name="Expected">About how many maps will come; null if that isn't known.</param>
/// <param name="Maps">The maps, once, and whether each is the first of a shot. Within a shot they have one scale.</param>
internal sealed record DepthTrack(DepthInfo Info, FrameSize Size, double Fps, int? Expected, IEnumerable<(DepthMap Map, bool IsCut)> Maps)
{
    /// <summary>The times of the maps that were taken so far; null if frames come at a constant rate.</summary>
    public IReadOnlyList<TimeSpan>? Times { get; init; }
}
