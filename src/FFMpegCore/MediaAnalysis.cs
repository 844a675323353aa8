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
}

public class MediaFormat
{
    public TimeSpan Duration { get; set; }

    public string FormatName { get; set; } = null!;
}

public abstract class MediaStream
{
    protected MediaStream() { }

    public int Index { get; set; }

    public TimeSpan Duration { get; set; }

    public Dictionary<string, bool>? Disposition { get; set; }
}

public class VideoStream : MediaStream
{
    public double AvgFrameRate { get; set; }

    public double FrameRate { get; set; }

    public string PixelFormat { get; set; } = null!;

    public string ColorRange { get; set; } = null!;

    public string ColorSpace { get; set; } = null!;
}

/// <summary>What ffprobe printed.</summary>
internal sealed partial class MediaAnalysis : IMediaAnalysis
{
    internal MediaAnalysis(JsonElement analysis)
    {
        var format = analysis.GetProperty("format");
        Format = new MediaFormat { Duration = Time(format, "duration"), FormatName = Text(format, "format_name") };
        VideoStreams = [.. analysis.GetProperty("streams").EnumerateArray().Where(s => Text(s, "codec_type") == "video").Select(Video)];
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

    private static VideoStream Video(JsonElement stream) => new()
    {
        Index = stream.GetProperty("index").GetInt32(),
        Duration = Time(stream, "duration"),
        Disposition = stream.TryGetProperty("disposition", out var disposition)
            ? disposition.EnumerateObject().ToDictionary(flag => flag.Name, flag => flag.Value.GetInt32() == 1)
            : null,
        AvgFrameRate = Ratio(stream, "avg_frame_rate"),
        FrameRate = Ratio(stream, "r_frame_rate"),
        PixelFormat = Text(stream, "pix_fmt"),
        ColorRange = Text(stream, "color_range"),
        ColorSpace = Text(stream, "color_space"),
    };

    private static string Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) ? value.ToString() : null!;

    /// <summary>A fraction such as 30000/1001; 0/0, which is not a number, where ffprobe doesn't know it.</summary>
    private static double Ratio(JsonElement parent, string name)
    {
        var parts = (Text(parent, name) ?? "0/0").Split('/');
        return double.Parse(parts[0], CultureInfo.InvariantCulture) / double.Parse(parts[1], CultureInfo.InvariantCulture);
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
