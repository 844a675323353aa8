using System.Runtime.InteropServices;
using FFMpegCore;

namespace Sora.Media;

/// <summary>What a <see cref="VideoWriter"/> writes.</summary>
public sealed record VideoWriterOptions
{
    /// <summary>Columns of every frame.</summary>
    public required int Width { get; init; }

    /// <summary>Rows of every frame.</summary>
    public required int Height { get; init; }

    /// <summary>Frames a second; a sequence of stills doesn't keep it.</summary>
    public double Fps { get; init; } = 24;

    /// <summary>What the pixels of the frames are.</summary>
    public PixelKind Pixels { get; init; } = PixelKind.Rgb;

    /// <summary>
    /// Whether each frame is written with a time of its own, for which <see cref="Fps"/> is not looked at. Only formats for which
    /// <see cref="VideoWriter.HoldsTimes"/> is true can do it: MP4 to the microsecond, Matroska and WebM to the millisecond.
    /// </summary>
    public bool KeepTimes { get; init; }

    /// <summary>
    /// How many frames will come, or about so many, if that is known: then what can't hold them is refused before the first.
    /// </summary>
    public int? Frames { get; init; }

    /// <summary>The number of the first still in a sequence.</summary>
    public int FirstNumber { get; init; } = 1;

    /// <summary>The format; null takes it from the file's extension, and YUV4MPEG2 for a stream.</summary>
    public VideoFormat? Format { get; init; }

    /// <summary>Constant rate factor: smaller is better and larger (H.264: 0 to 51, 18 by default; VP9: 0 to 63, 24 by default).</summary>
    public int? Crf { get; init; }

    /// <summary>How each frame holds the pictures of two eyes, which players are told where the format can; null: it holds one.</summary>
    public FramePacking? Packing { get; init; }
}

/// <summary>
/// Writes frames, of RGB or grey, as a video, a still, or a numbered sequence of stills (<c>frames/%04d.png</c>, from number 1 on).
/// Nothing appears under the file's name before <see cref="Complete"/> has written, flushed and renamed it; of a
/// sequence, the frames appear then, one after another. H.264 wants even sizes: an odd one gets its last column or row
/// twice, so that every pixel keeps its place and value and nothing is resampled. Frames pass one at a time: memory
/// doesn't grow with the duration.
/// </summary>
public sealed class VideoWriter : IDisposable
{
    private readonly VideoWriterOptions options;
    private readonly FormatRecipe recipe;
    private readonly string name;
    private readonly AtomicFile.PendingFile? file;
    private readonly PendingSequence? sequence;
    private readonly Stream? device;
    private readonly OutputSocket? socket;
    private readonly FfmpegRun run;
    private readonly Task copy = Task.CompletedTask;
    private readonly FrameSource frames;
    private readonly bool single;
    private readonly CancellationToken cancel;
    private int written;

    private VideoWriter(string name, Target target, VideoWriterOptions options, CancellationToken cancel)
    {
        (this.name, this.options, this.cancel) = (name, options, cancel);
        recipe = target.Recipe ?? FormatRecipe.Of(target.Format, options.Pixels);
        if (options.Packing is { } packing)
            recipe = recipe.For(packing);
        Validate(target);
        single = recipe.Stills && !target.Numbered;
        var (width, height) = EncodedSize;
        frames = new FrameSource(width, height, options);
        var input = FFMpegArguments.FromPipeInput(frames);
        try
        {
            if (target.Stream is { } stream)
            {
                device = target.IsDevice ? stream : null;
                socket = new OutputSocket();
                run = Start(input.OutputToUrl(socket.Url, Encoding));
                copy = Task.Run(() => CopyTo(stream), CancellationToken.None);
                return;
            }
            if (target.Numbered)
                sequence = new PendingSequence(name);
            else
                file = AtomicFile.Begin(target.Path ?? name);
            var path = sequence?.TemporaryPath ?? file!.TemporaryPath;
            run = Start(input.OutputToFile(FfmpegRun.Quotable(path), true, Encoding));
        }
        catch
        {
            Release();
            throw;
        }

        FfmpegRun Start(FFMpegArgumentProcessor processor) => new(processor, $"{name} can't be written", cancel);
    }

    private (int Width, int Height) EncodedSize =>
        recipe.EvenSizes ? (options.Width + options.Width % 2, options.Height + options.Height % 2) : (options.Width, options.Height);

    /// <summary>Begins a file, or a sequence if the name holds a pattern such as <c>%04d</c>; its folder is made then.</summary>
    /// <exception cref="SoraException">The format isn't known or can't hold the frames, or ffmpeg is missing.</exception>
    public static VideoWriter Create(string path, VideoWriterOptions options, CancellationToken cancel = default)
    {
        if (FileType.IsDevice(path))
        {
            var device = new FileStream(path, FileMode.Open, FileAccess.Write);
            return new VideoWriter(
                path,
                new Target(options.Format ?? VideoFormat.Y4m) { Stream = device, IsDevice = true },
                options,
                cancel
            );
        }
        var target = new Target(options.Format ?? FormatOf(path)) { Numbered = HasNumber(path) };
        return new VideoWriter(path, target, options, cancel);
    }

    /// <summary>Begins a video on a stream, such as standard output; the stream isn't closed.</summary>
    /// <exception cref="SoraException">The format can't be written to a stream, or ffmpeg is missing.</exception>
    public static VideoWriter Create(Stream stream, VideoWriterOptions options, CancellationToken cancel = default) =>
        new("standard output", new Target(options.Format ?? VideoFormat.Y4m) { Stream = stream }, options, cancel);

    /// <summary>Begins a file from which another one is made: messages have that one's name.</summary>
    internal static VideoWriter Create(
        string path,
        string name,
        FormatRecipe recipe,
        VideoWriterOptions options,
        CancellationToken cancel
    ) => new(name, new Target(VideoFormat.Mp4) { Recipe = recipe, Path = path }, options, cancel);

    /// <summary>The format that a name after <c>--format</c> means.</summary>
    /// <exception cref="SoraException">No format has that name.</exception>
    public static VideoFormat ParseFormat(string name) => FormatRecipe.Named(name);

    /// <summary>The format that a file's extension means; for a device, YUV4MPEG2.</summary>
    /// <exception cref="SoraException">There is no extension, or no format has it.</exception>
    public static VideoFormat FormatOf(string path) =>
        FileType.IsDevice(path) ? VideoFormat.Y4m
        : Path.GetExtension(path) is { Length: > 1 } extension ? FormatRecipe.Named(extension[1..])
        : throw SoraException.Usage($"{path}: the name doesn't say which format to write", "add an extension such as .mp4, or --format");

    /// <summary>Whether each file of a format holds one frame, so that a video becomes numbered files.</summary>
    public static bool HoldsStills(VideoFormat format) => FormatRecipe.Of(format).Stills;

    /// <summary>Whether frames of a format can have times of their own.</summary>
    public static bool HoldsTimes(VideoFormat format) => FormatRecipe.Of(format).Times;

    /// <summary>Whether two pixels in a row, and two in a column, share their colour difference in a format.</summary>
    public static bool HalvesChroma(VideoFormat format) => FormatRecipe.Of(format).HalvesChroma;

    /// <summary>Whether a name stands for pictures of a format that are numbered by frame.</summary>
    public static bool NumbersFrames(string path, VideoFormat format) => HoldsStills(format) && HasNumber(path);

    private static bool HasNumber(string path) => MediaInput.NumberPattern().IsMatch(Path.GetFileName(path));

    /// <summary>Adds a frame of RGB; it may be changed afterwards.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="time">When it is shown, later than the frame before it; with <see cref="VideoWriterOptions.KeepTimes"/> only.</param>
    /// <exception cref="ArgumentException">The frame has another size.</exception>
    /// <exception cref="SoraException">ffmpeg failed, or a still got a second frame.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Write(Image frame, TimeSpan time = default)
    {
        if (frame.Width != options.Width || frame.Height != options.Height)
            throw new ArgumentException(
                $"a frame of {frame.Width}x{frame.Height} in a video of {options.Width}x{options.Height}",
                nameof(frame)
            );
        var (width, height) = EncodedSize;
        var extended = frame.Extended(width, height);
        // The frame may be changed afterwards.
        Add(PixelKind.Rgb, extended == frame ? [.. frame.Pixels] : extended.Pixels, time);
    }

    /// <summary>Adds a frame of 16-bit grey, <c>[H, W]</c>, as <see cref="Write(Image, TimeSpan)"/> does one of RGB.</summary>
    public void Write(ReadOnlySpan<ushort> frame, TimeSpan time = default) =>
        Add(PixelKind.Grey16, MemoryMarshal.AsBytes(frame).ToArray(), time);

    /// <summary>Adds a frame of float32 grey, <c>[H, W]</c>, as <see cref="Write(Image, TimeSpan)"/> does one of RGB.</summary>
    public void Write(ReadOnlySpan<float> frame) => Add(PixelKind.GreyFloat, MemoryMarshal.AsBytes(frame).ToArray(), default);

    private void Add(PixelKind kind, byte[] pixels, TimeSpan time)
    {
        var (width, height) = EncodedSize;
        if (kind != options.Pixels || pixels.Length != (long)width * height * FrameSource.BytesOf(kind))
            throw new ArgumentException($"{pixels.Length} bytes of {kind} in a video of {width}x{height} {options.Pixels}", nameof(pixels));
        if (single && written == 1)
            throw OneFrameOnly();
        written++;
        if (!frames.Add(pixels, time, run.Ended, cancel))
            throw Ended();
    }

    /// <summary>Ends the video and gives it its name.</summary>
    /// <exception cref="SoraException">No frame came, ffmpeg failed, or the file can't be written.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Complete()
    {
        if (written == 0)
            throw SoraException.Failed($"{name} can't be written: there are no frames");
        frames.End();
        WaitForEnd();
        if (recipe.Muxer == "mp4" && options.Packing is { } packing)
            StereoBox.AddTo(file!.TemporaryPath, packing.St3dMode());
        file?.Commit();
        sequence?.Commit();
    }

    /// <summary>Stops writing; what wasn't completed leaves no file.</summary>
    public void Dispose()
    {
        run.Dispose();
        Release();
    }

    private void Release()
    {
        socket?.Dispose();
        device?.Dispose();
        file?.Dispose();
        sequence?.Dispose();
    }

    private void Validate(Target target)
    {
        if (options.Crf is { } crf)
        {
            if (recipe.Crf == null)
                throw SoraException.Usage($"{name}: --crf does not apply to this format");
            if (crf < 0 || crf > recipe.MaximumCrf)
                throw SoraException.Usage($"--crf {crf}: not from 0 to {recipe.MaximumCrf}");
        }
        if (target.Stream != null && !recipe.Streams)
        {
            throw SoraException.Usage(
                $"{target.Format.ToString().ToLowerInvariant()} can't be written to a pipe",
                "give a file (-o), or --format y4m, webm, mkv or gif"
            );
        }
        if (options.KeepTimes && !recipe.Times)
            throw new ArgumentException($"{target.Format} holds no times", nameof(target));
        if (target.Numbered && !recipe.Stills)
            throw SoraException.Usage($"{name}: a number pattern is only for pictures", "end the name in .png or .jpg");
        if (recipe.Stills && !target.Numbered && options.Frames > 1)
            throw OneFrameOnly();
    }

    private SoraException OneFrameOnly() =>
        SoraException.Usage(
            $"{name} holds one frame, but there are more",
            $"number the pictures: {Path.Combine(Path.GetDirectoryName(name) ?? "", $"%04d{Path.GetExtension(name)}")}"
        );

    private void Encoding(FFMpegOutputOptions options)
    {
        recipe.AddTo(options, this.options.Crf);
        if (this.options.KeepTimes)
        {
            options.WithCustomArgument($"-copyts -fps_mode passthrough -enc_time_base 1:{FrameSource.TicksPerSecond}");
            // By default MP4 says in milliseconds when the first frame is shown.
            if (recipe.Muxer == "mp4")
                options.WithCustomArgument($"-movie_timescale {FrameSource.TicksPerSecond}");
        }
        if (single)
            options.WithCustomArgument("-update 1");
        else if (recipe.Stills)
            options.WithStartNumber(this.options.FirstNumber);
    }

    /// <summary>Why no frame is taken any more.</summary>
    private SoraException Ended()
    {
        WaitForEnd();
        return run.Failure();
    }

    /// <summary>Waits for ffmpeg to end, and throws if something failed.</summary>
    private void WaitForEnd()
    {
        Task.WaitAny(run.Ended);
        cancel.ThrowIfCancellationRequested();
        // If the reader of the stream went away, that ffmpeg ended is only the consequence.
        copy.GetAwaiter().GetResult();
        run.Wait();
    }

    private void CopyTo(Stream stream)
    {
        using var pipe = socket!.Accept(run.Ended);
        pipe?.CopyTo(stream);
        stream.Flush();
    }

    private sealed record Target(VideoFormat Format)
    {
        /// <summary>How to write it, if not as the format says.</summary>
        public FormatRecipe? Recipe { get; init; }

        /// <summary>Where to write, if not under the name that messages have.</summary>
        public string? Path { get; init; }

        public bool Numbered { get; init; }

        public Stream? Stream { get; init; }

        /// <summary>Whether the stream was opened here, and is to be closed here.</summary>
        public bool IsDevice { get; init; }
    }
}
