using System.Globalization;
using System.Text;
using FFMpegCore;

namespace Sora.Media;

/// <summary>Which part of a video to read, and at which rate.</summary>
public sealed record VideoReaderOptions
{
    /// <summary>Skips what comes before this time; frames are counted at the rate that is read.</summary>
    public ClipTime? Start { get; init; }

    /// <summary>Reads no more than this much.</summary>
    public ClipTime? Duration { get; init; }

    /// <summary>Reads no more than this many frames.</summary>
    public int? Frames { get; init; }

    /// <summary>
    /// The frames a second to resample a video to, by dropping and repeating
    /// frames; null keeps its own rate, or its average if it varies.
    /// </summary>
    public double? Fps { get; init; }

    /// <summary>
    /// Gives each frame of the file once, with its own time (<see cref="VideoReader.TimedFrames"/>), instead of making the rate
    /// constant. <see cref="Fps"/> must be null.
    /// </summary>
    public bool KeepTimes { get; init; }

    /// <summary>The frames a second that numbered pictures stand for, which have no times of their own.</summary>
    public double PicturesPerSecond { get; init; } = 25;
}

/// <summary>
/// Reads anything that ffmpeg reads as a stream of RGB frames of one size: videos, single pictures, numbered sequences of
/// pictures, and streams. Rotation and sample aspect ratio are applied (frames come upright, with square pixels); colours
/// are converted from the matrix and range that the file states, or from ffmpeg's assumption, BT.601 in video range,
/// where it states none. A varying frame rate becomes a constant one, unless times are asked for. Transparency is dropped. Frames
/// pass one at a time: memory doesn't grow with the duration.
/// </summary>
public sealed class VideoReader : IDisposable
{
    /// <summary>
    /// Square pixels, then RGB. Without these flags the scaler rounds chroma coarsely, several levels off.
    /// A frame passes untouched when it is square RGB already.
    /// </summary>
    private const string ToRgb =
        "scale=w='round(iw*max(sar,1))':h='round(ih/min(sar,1))'"
        + ":flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,setsar=1,format=rgb24";

    private readonly MediaInput input;
    private readonly OutputSocket socket;
    private readonly FfmpegRun run;
    private readonly FrameTimes? times;
    private readonly Stream frames;
    private Image? next;

    private VideoReader(MediaInput input, VideoReaderOptions options, CancellationToken cancel)
    {
        this.input = input;
        Fps = input.HasTimes ? options.Fps ?? input.Fps : input.Fps;
        var limits = new[] { options.Frames, options.Duration?.FrameCount(Fps) };
        ExpectedFrames = limits.Append(input.FramesAt(Fps, options.Start)).Min();
        socket = new OutputSocket();
        times = options.KeepTimes && input.HasTimes ? new FrameTimes() : null;
        try
        {
            run = new FfmpegRun(Command(input, options.Start?.FrameCount(Fps) ?? 0, limits.Min()), $"{input.Name} can't be read", cancel);
            times?.Start(run.Ended);
            frames = Connect(socket, run);
            next = ReadFrame() ?? throw Empty(options);
        }
        catch
        {
            Dispose();
            throw;
        }
        (Width, Height) = (next.Width, next.Height);
    }

    /// <summary>Columns of every frame.</summary>
    public int Width { get; }

    /// <summary>Rows of every frame.</summary>
    public int Height { get; }

    /// <summary>Frames a second; with <see cref="VideoReaderOptions.KeepTimes"/> about so many.</summary>
    public double Fps { get; }

    /// <summary>Whether frames come with times: they were asked for, and the medium has some, unlike single pictures.</summary>
    public bool HasTimes => times is not null;

    /// <summary>How both eyes share a frame of stereo video, such as <c>side by side</c>; null if the file says nothing of it.</summary>
    public string? Stereo => input.Stereo;

    /// <summary>About how many frames will come; null if the file doesn't say.</summary>
    public int? ExpectedFrames { get; }

    /// <summary>The last thing that ffmpeg complained about, such as a damaged frame that it left out; or null.</summary>
    public string? Complaint => run.Complaint;

    /// <summary>Opens a file, a numbered sequence of pictures such as <c>frames/%04d.png</c> (the first number found is
    /// the start, the first number missing the end).</summary>
    /// <param name="path">The file or pattern.</param>
    /// <param name="options">Which part to read; null means all.</param>
    /// <param name="cancel">Stops the reading.</param>
    /// <exception cref="SoraException">There is no such file, it has no pictures, or ffmpeg is missing or can't read it.</exception>
    public static VideoReader Open(string path, VideoReaderOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new VideoReaderOptions();
        return Open(MediaInput.Open(path, options.PicturesPerSecond, cancel), options, cancel);
    }

    /// <summary>Opens a stream such as standard input. YUV4MPEG2 is read as it comes; any other format, since most need
    /// seeking, is copied to a temporary file first.</summary>
    /// <param name="stream">Read to the end of the requested part; not closed.</param>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="options">Which part to read; null means all.</param>
    /// <param name="cancel">Stops the reading.</param>
    /// <exception cref="SoraException">It is empty, it has no pictures, or ffmpeg is missing or can't read it.</exception>
    public static VideoReader Open(Stream stream, string name, VideoReaderOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new VideoReaderOptions();
        return Open(MediaInput.FromStream(stream, name, options.PicturesPerSecond, cancel), options, cancel);
    }

    /// <summary>The frames, each a picture of its own, once.</summary>
    /// <exception cref="SoraException">ffmpeg failed in the middle.</exception>
    /// <exception cref="OperationCanceledException">The reading was cancelled.</exception>
    public IEnumerable<Image> Frames()
    {
        while (next is { } frame)
        {
            next = null;
            yield return frame;
            next = ReadFrame();
        }
    }

    /// <summary>The frames, as <see cref="Frames"/> gives them, each with the time that the file says, if it says one.</summary>
    public IEnumerable<(Image Frame, TimeSpan? Time)> TimedFrames() => Frames().Select(frame => (frame, times?.Next()));

    /// <summary>Stops reading; remaining frames are dropped.</summary>
    public void Dispose()
    {
        // Each may be missing after a failed start.
        run?.Dispose();
        times?.Dispose();
        frames?.Dispose();
        socket?.Dispose();
        input.Dispose();
    }

    private static VideoReader Open(MediaInput input, VideoReaderOptions options, CancellationToken cancel)
    {
        try
        {
            return new VideoReader(input, options, cancel);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    private FFMpegArgumentProcessor Command(MediaInput input, int firstFrame, int? frames)
    {
        // Half a frame early, so that rounded times don't decide.
        TimeSpan? start = firstFrame > 0 ? TimeSpan.FromSeconds((firstFrame - 0.5) / Fps) : null;
        var rate =
            times is not null ? times.Filter
            : input.HasTimes ? string.Create(CultureInfo.InvariantCulture, $"fps={Fps:R},")
            : "";
        return input
            .Arguments(o => o.WithStartTime(start))
            .OutputToUrl(
                socket.Url,
                o =>
                {
                    o.WithCustomArgument($"-map 0:{input.Stream} -vf \"{rate}{ToRgb}\"");
                    if (times is not null)
                        o.WithCustomArgument($"-copyts -fps_mode passthrough -enc_time_base 1:{FrameSource.TicksPerSecond}");
                    if (frames is { } limit)
                        o.WithFrameCount(limit);
                    // A stream of PPM pictures states its own size, after rotation and so on.
                    o.WithVideoCodec("ppm").ForceFormat("image2pipe");
                }
            );
    }

    private static Stream Connect(OutputSocket socket, FfmpegRun run)
    {
        if (socket.Accept(run.Ended) is { } stream)
            return stream;
        run.Wait();
        throw run.Failure();
    }

    private SoraException Empty(VideoReaderOptions options)
    {
        var isPart = options.Start is not null || options.Duration is not null;
        return SoraException.Failed(
            $"{input.Name} has no frames{(isPart ? " in that range" : "")}{(run.Complaint is { } line ? $": {line}" : "")}",
            isPart ? "check --start and --duration" : null
        );
    }

    /// <summary>Reads <c>P6 WIDTH HEIGHT 255</c> and the pixels; null at the end.</summary>
    private Image? ReadFrame()
    {
        try
        {
            if (ReadToken() is not { } magic)
            {
                run.Wait();
                return null;
            }
            if (magic != "P6")
                throw new InvalidDataException($"'{magic}' is not the start of a frame");
            var (width, height) = (
                int.Parse(ReadToken()!, CultureInfo.InvariantCulture),
                int.Parse(ReadToken()!, CultureInfo.InvariantCulture)
            );
            ReadToken();
            var frame = new Image(width, height);
            frames.ReadExactly(frame.Pixels);
            return frame;
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            run.Wait();
            throw run.Failure(error);
        }
    }

    /// <summary>The bytes up to the next white space, which is taken too; null at the end.</summary>
    private string? ReadToken()
    {
        var token = new StringBuilder();
        while (frames.ReadByte() is >= 0 and var next)
        {
            if (char.IsWhiteSpace((char)next))
                return token.ToString();
            token.Append((char)next);
        }
        return token.Length == 0 ? null : throw new EndOfStreamException();
    }
}
