using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace FFMpegCore;

public interface IMediaAnalysis
{
    TimeSpan Duration { get; }

    MediaFormat Format { get; }

    VideoStream? PrimaryVideoStream { get; }

    List<VideoStream> VideoStreams { get; }

    IReadOnlyList<string> ErrorData { get; }
}

public class MediaFormat
{
    public TimeSpan Duration { get; set; }

    public TimeSpan StartTime { get; set; }

    public string FormatName { get; set; } = null!;
}

public abstract class MediaStream
{
    protected MediaStream() { }

    public int Index { get; set; }

    public string CodecName { get; set; } = null!;

    public TimeSpan StartTime { get; set; }

    public TimeSpan Duration { get; set; }

    public Dictionary<string, bool>? Disposition { get; set; }
}

public class VideoStream : MediaStream
{
    public double AvgFrameRate { get; set; }

    public double FrameRate { get; set; }

    public (int Width, int Height) SampleAspectRatio { get; set; }

    public int Width { get; set; }

    public int Height { get; set; }

    public int Rotation { get; set; }

    public string PixelFormat { get; set; } = null!;

    public string ColorRange { get; set; } = null!;

    public string ColorSpace { get; set; } = null!;

    public string ColorTransfer { get; set; } = null!;

    public string ColorPrimaries { get; set; } = null!;
}

/// <summary>What ffprobe printed.</summary>
internal sealed partial class MediaAnalysis : IMediaAnalysis
{
    internal MediaAnalysis(JsonElement analysis, IReadOnlyList<string> errors)
    {
        var format = analysis.GetProperty("format");
        Format = new MediaFormat
        {
            Duration = Time(format, "duration"),
            StartTime = Time(format, "start_time"),
            FormatName = Text(format, "format_name"),
        };
        VideoStreams = [.. analysis.GetProperty("streams").EnumerateArray().Where(s => Text(s, "codec_type") == "video").Select(Video)];
        ErrorData = errors;
    }

    public TimeSpan Duration
    {
        get
        {
            var stream = PrimaryVideoStream?.Duration ?? TimeSpan.Zero;
            return Format.Duration > stream ? Format.Duration : stream;
        }
    }

    public MediaFormat Format { get; }

    public VideoStream? PrimaryVideoStream => VideoStreams.OrderBy(stream => stream.Index).FirstOrDefault();

    public List<VideoStream> VideoStreams { get; }

    public IReadOnlyList<string> ErrorData { get; }

    private static VideoStream Video(JsonElement stream) => new()
    {
        Index = Integer(stream, "index"),
        CodecName = Text(stream, "codec_name"),
        StartTime = Time(stream, "start_time"),
        Duration = Time(stream, "duration"),
        Disposition = stream.TryGetProperty("disposition", out var disposition)
            ? disposition.EnumerateObject().ToDictionary(flag => flag.Name, flag => flag.Value.GetInt32() == 1)
            : null,
        AvgFrameRate = Ratio(stream, "avg_frame_rate", '/') is var (frames, seconds) ? frames / seconds : 0,
        FrameRate = Ratio(stream, "r_frame_rate", '/') is var (ticks, time) ? ticks / time : 0,
        SampleAspectRatio = Ratio(stream, "sample_aspect_ratio", ':') is var (x, y) ? ((int)x, (int)y) : (0, 0),
        Width = Integer(stream, "width"),
        Height = Integer(stream, "height"),
        Rotation = Turn(stream),
        PixelFormat = Text(stream, "pix_fmt"),
        ColorRange = Text(stream, "color_range"),
        ColorSpace = Text(stream, "color_space"),
        ColorTransfer = Text(stream, "color_transfer"),
        ColorPrimaries = Text(stream, "color_primaries"),
    };

    /// <summary>Degrees of the display matrix, or else of the tag of older files.</summary>
    private static int Turn(JsonElement stream)
    {
        if (stream.TryGetProperty("side_data_list", out var list))
        {
            foreach (var item in list.EnumerateArray())
            {
                if (Text(item, "side_data_type") == "Display Matrix" && item.TryGetProperty("rotation", out var rotation))
                    return (int)float.Parse(rotation.ToString(), CultureInfo.InvariantCulture);
            }
        }
        return stream.TryGetProperty("tags", out var tags) && tags.TryGetProperty("rotate", out var tag)
            ? (int)float.Parse(tag.ToString(), CultureInfo.InvariantCulture)
            : 0;
    }

    private static string Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) ? value.ToString() : null!;

    private static int Integer(JsonElement parent, string name) => parent.TryGetProperty(name, out var value) ? value.GetInt32() : 0;

    private static (double, double)? Ratio(JsonElement parent, string name, char separator)
    {
        if (Text(parent, name) is not { Length: > 0 } text) return null;
        var parts = text.Split(separator);
        return (double.Parse(parts[0], CultureInfo.InvariantCulture),
            parts.Length > 1 ? double.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
    }

    private static TimeSpan Time(JsonElement parent, string name)
    {
        var match = Clock().Match(Text(parent, name) ?? string.Empty);
        if (!match.Success) return TimeSpan.Zero;
        var parts = match.Groups.Values.Skip(1).Select(group => int.Parse(group.Value, CultureInfo.InvariantCulture)).ToArray();
        return new TimeSpan(0, parts[0], parts[1], parts[2], int.Parse(match.Groups[4].Value.PadRight(3, '0'), CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^(\d+):(\d{1,2}):(\d{1,2})\.(\d{1,3})")]
    private static partial Regex Clock();
}
