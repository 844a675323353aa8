using System.Text;
using System.Text.Json.Serialization;
using FFMpegCore.Enums;

namespace FFMpegCore;

public class FFOptions : ICloneable
{
    public string WorkingDirectory { get; set; } = string.Empty;

    /// <summary>Folder of ffmpeg and ffprobe; empty when they are on PATH.</summary>
    public string BinaryFolder { get; set; } = string.Empty;

    public string EncodingWebName { get; set; } = Encoding.Default.WebName;

    [JsonIgnore]
    public Encoding Encoding
    {
        get => Encoding.GetEncoding(EncodingWebName);
        set => EncodingWebName = value?.WebName ?? Encoding.Default.WebName;
    }

    public FFMpegLogLevel? LogLevel { get; set; }

    object ICloneable.Clone() => Clone();

    public FFOptions Clone() => (FFOptions)MemberwiseClone();
}
