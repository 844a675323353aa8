using FFMpegCore;

namespace Sora.Media;

/// <summary>What a <see cref="VideoWriter"/> writes.</summary>
public enum VideoFormat
{
    /// <summary>H.264 in MP4 (4:2:0, BT.709, index in front): plays everywhere.</summary>
    Mp4,

    /// <summary>The same in MOV, for programs that edit video.</summary>
    Mov,

    /// <summary>H.265 in MP4 (4:2:0, BT.709, index in front): for pictures beyond what decoders of H.264 take.</summary>
    Hevc,

    /// <summary>VP9 in WebM (4:2:0, BT.709).</summary>
    Webm,

    /// <summary>FFV1 in Matroska: every bit of RGB or 16-bit grey is kept.</summary>
    Mkv,

    /// <summary>Animated GIF, a palette for each frame.</summary>
    Gif,

    /// <summary>Animated WebP.</summary>
    Webp,

    /// <summary>YUV4MPEG2, for pipes: 4:4:4, BT.601 in video range, which is what readers assume of it.</summary>
    Y4m,

    /// <summary>PNG: a still, or a numbered sequence; every bit of RGB or 16-bit grey is kept.</summary>
    Png,

    /// <summary>JPEG: a still, or a numbered sequence.</summary>
    Jpeg,

    /// <summary>OpenEXR of one channel, Y, in float32: a still, or a numbered sequence; every bit is kept.</summary>
    Exr,
}

/// <summary>What the pixels of frames are.</summary>
public enum PixelKind
{
    /// <summary>8-bit RGB.</summary>
    Rgb,

    /// <summary>16-bit grey, for <see cref="VideoFormat.Mkv"/> and <see cref="VideoFormat.Png"/>.</summary>
    Grey16,

    /// <summary>Grey of float32, for <see cref="VideoFormat.Exr"/>.</summary>
    GreyFloat,
}

/// <summary>What ffmpeg is told for each format.</summary>
internal sealed record FormatRecipe(string Muxer, string Codec, string Filter, string PixelFormat)
{
    /// <summary>For the filters' RGB conversions; without these flags chroma is rounded coarsely.</summary>
    private const string Exact = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";

    private const string ToBt709 = $"scale=out_color_matrix=bt709:out_range=tv:{Exact}";

    /// <summary>Tags that tell players the matrix and range.</summary>
    private const string Bt709Tags = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv";

    /// <summary>Options beyond codec, filter and pixel format.</summary>
    public string Options { get; init; } = "";

    /// <summary>The constant rate factor that is used when none is given; null if the codec has none.</summary>
    public int? Crf { get; init; }

    /// <summary>The largest constant rate factor.</summary>
    public int MaximumCrf { get; init; }

    /// <summary>Whether the encoder takes only even sizes.</summary>
    public bool EvenSizes { get; init; }

    /// <summary>Whether two pixels in a row, and two in a column, share their colour difference.</summary>
    public bool HalvesChroma => PixelFormat == "yuv420p";

    /// <summary>Whether one file holds one frame.</summary>
    public bool Stills { get; init; }

    /// <summary>Whether the file can be written without seeking back.</summary>
    public bool Streams { get; init; }

    /// <summary>Whether each frame can have a time of its own.</summary>
    public bool Times { get; init; }

    /// <summary>The recipe for frames of some kind.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The format doesn't hold such pixels.</exception>
    public static FormatRecipe Of(VideoFormat format, PixelKind pixels) =>
        (pixels, format) switch
        {
            (PixelKind.Rgb, not VideoFormat.Exr) => Of(format),
            (PixelKind.Grey16, VideoFormat.Mkv) => Of(format) with { PixelFormat = "gray16le" },
            (PixelKind.Grey16, VideoFormat.Png) => Of(format) with { PixelFormat = "gray16be" },
            (PixelKind.GreyFloat, VideoFormat.Exr) => Of(format),
            _ => throw new ArgumentOutOfRangeException(nameof(pixels), $"{format} doesn't hold {pixels}"),
        };

    public static FormatRecipe Of(VideoFormat format) =>
        format switch
        {
            VideoFormat.Mp4 => new("mp4", "libx264", ToBt709, "yuv420p")
            {
                Options = $"-preset medium {Bt709Tags}",
                Crf = 18,
                MaximumCrf = 51,
                EvenSizes = true,
                Times = true,
            },
            VideoFormat.Mov => Of(VideoFormat.Mp4) with { Muxer = "mov" },
            VideoFormat.Hevc => new("mp4", "libx265", ToBt709, "yuv420p")
            {
                Options = $"-preset medium -tag:v hvc1 -x265-params log-level=error {Bt709Tags}",
                Crf = 20,
                MaximumCrf = 51,
                EvenSizes = true,
            },
            VideoFormat.Webm => new("webm", "libvpx-vp9", ToBt709, "yuv420p")
            {
                Options = $"-b:v 0 -deadline good -cpu-used 4 -row-mt 1 {Bt709Tags}",
                Crf = 24,
                MaximumCrf = 63,
                Streams = true,
                Times = true,
            },
            VideoFormat.Mkv => new("matroska", "ffv1", "null", "bgr0")
            {
                Options = "-level 3 -slicecrc 1",
                Streams = true,
                Times = true,
            },
            // One palette for all frames would need all of them in memory first.
            VideoFormat.Gif => new("gif", "gif", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1", "pal8")
            {
                Options = "-loop 0",
                Streams = true,
            },
            // From RGB libwebp makes its own 4:2:0, as its format defines it.
            VideoFormat.Webp => new("webp", "libwebp_anim", "null", "bgra") { Options = "-loop 0 -quality 90" },
            VideoFormat.Y4m => new("yuv4mpegpipe", "wrapped_avframe", $"scale=out_color_matrix=bt601:out_range=tv:{Exact}", "yuv444p")
            {
                Streams = true,
            },
            VideoFormat.Png => new("image2", "png", "null", "rgb24") { Stills = true },
            VideoFormat.Jpeg => new("image2", "mjpeg", $"scale=out_color_matrix=bt601:out_range=pc:{Exact}", "yuvj444p")
            {
                Options = "-q:v 2",
                Stills = true,
            },
            // Lossless; ffmpeg's own default is none.
            VideoFormat.Exr => new("image2", "exr", "null", "grayf32le") { Options = "-compression zip16", Stills = true },
            _ => throw new ArgumentOutOfRangeException(nameof(format)),
        };

    /// <summary>The format that a name after <c>--format</c> or a file's extension means.</summary>
    /// <exception cref="SoraException">No format has that name.</exception>
    public static VideoFormat Named(string name) =>
        name.ToLowerInvariant() switch
        {
            "mp4" or "m4v" => VideoFormat.Mp4,
            "mov" => VideoFormat.Mov,
            "webm" => VideoFormat.Webm,
            "mkv" => VideoFormat.Mkv,
            "gif" => VideoFormat.Gif,
            "webp" => VideoFormat.Webp,
            "y4m" => VideoFormat.Y4m,
            "png" => VideoFormat.Png,
            "jpg" or "jpeg" => VideoFormat.Jpeg,
            _ => throw SoraException.Usage(
                $"'{name}' is not a video format",
                "formats are mp4, mov, webm, mkv, gif, webp, y4m, png and jpg"
            ),
        };

    /// <summary>The same, which tells players how each frame holds two eyes, as far as the format can say it.</summary>
    public FormatRecipe For(FramePacking packing)
    {
        if (Codec == "libx264")
            return this with { Options = $"{Options} -x264-params frame-packing={packing.ArrangementType()}" };
        if (Muxer is not ("matroska" or "webm"))
            return this;
        return this with
        {
            Filter = packing.PixelAspect() is { } aspect ? $"{Filter},setsar={aspect}" : Filter,
            Options = $"{Options} -metadata:s:v:0 stereo_mode={packing.StereoMode()}",
        };
    }

    /// <summary>Adds everything between the input and the output's name.</summary>
    public void AddTo(FFMpegOutputOptions options, int? crf)
    {
        options.WithCustomArgument($"-vf \"{Filter}\"").WithVideoCodec(Codec).WithPixelFormat(PixelFormat).WithCustomArgument(Options);
        if ((crf ?? Crf) is { } quality)
            options.WithConstantRateFactor(quality);
        if (Muxer is "mp4" or "mov")
            options.WithFastStart();
        options.ForceFormat(Muxer);
    }
}
