using System.Globalization;

namespace Sora.Media.Spatial;

/// <summary>
/// Writes frames for two eyes as a spatial video (MV-HEVC in MOV), which headsets show in depth and other players show as
/// the left eye's video. ffmpeg encodes each eye to a file of its own beside the output, and both are joined in the end, so
/// that the disk needs room for twice the video. Frames pass one at a time, and memory doesn't grow with the duration.
/// Nothing appears under the file's name before <see cref="Complete"/> has written, flushed and renamed it.
/// H.265 wants even sizes: an odd one gets its last column or row twice, as with <see cref="VideoWriter"/>.
/// The second view isn't predicted from the first, so the file is as large as two videos. ffmpeg 7.1 decodes both views
/// exactly; it hasn't been tried with Apple's own players.
/// </summary>
public sealed class SpatialVideoWriter : IDisposable
{
    /// <summary>How far apart in seconds the pictures are that a player can start at.</summary>
    private const double KeyframeDistance = 2;

    private readonly string path;
    private readonly SpatialVideoOptions options;
    private readonly CancellationToken cancel;
    private readonly AtomicFile.PendingFile output;
    private readonly List<Eye> eyes = [];

    private SpatialVideoWriter(string path, SpatialVideoOptions options, CancellationToken cancel)
    {
        (this.path, this.options, this.cancel) = (path, options, cancel);
        options.Validate();
        if (!Path.GetExtension(path).Equals(".mov", StringComparison.OrdinalIgnoreCase))
            throw SoraException.Usage($"{path}: a spatial video is a MOV file", "end the name in .mov");
        output = AtomicFile.Begin(path);
        try
        {
            foreach (var name in new[] { "left", "right" })
                eyes.Add(new Eye(path, Path.ChangeExtension(output.TemporaryPath, $".{name}.mov"), options, cancel));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Begins a file, whose name ends in <c>.mov</c>.</summary>
    /// <exception cref="SoraException">A number is outside its range, the folder isn't there, or ffmpeg is missing.</exception>
    public static SpatialVideoWriter Create(string path, SpatialVideoOptions options, CancellationToken cancel = default) =>
        new(path, options, cancel);

    /// <summary>Adds a frame; the pictures may be changed afterwards.</summary>
    /// <exception cref="ArgumentException">A picture has another size.</exception>
    /// <exception cref="SoraException">ffmpeg failed.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Write(Image left, Image right)
    {
        eyes[0].Writer.Write(left);
        eyes[1].Writer.Write(right);
    }

    /// <summary>Ends both eyes' videos, joins them, and gives the file its name.</summary>
    /// <exception cref="SoraException">No frame came, ffmpeg failed, or the file can't be written.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Complete()
    {
        foreach (var eye in eyes)
            eye.Writer.Complete();
        try
        {
            using var left = File.OpenRead(eyes[0].Path);
            using var right = File.OpenRead(eyes[1].Path);
            using var file = new FileStream(output.TemporaryPath, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            new StereoMuxer(left, right, options).Write(file, cancel);
        }
        catch (InvalidDataException fault)
        {
            throw SoraException.Failed(
                $"{path} can't be written: {fault.Message}",
                "libx265 3.5, as ffmpeg 5.1 has it, is known to work",
                fault
            );
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, fault);
        }
        output.Commit();
    }

    /// <summary>Stops writing; what wasn't completed leaves no file.</summary>
    public void Dispose()
    {
        foreach (var eye in eyes)
            eye.Dispose();
        output.Dispose();
    }

    /// <summary>
    /// H.265 whose slices can be moved into a second layer: no B frames and no weighted prediction, whose fields aren't read
    /// here, and both eyes' key frames at the same places, whatever is in the pictures.
    /// </summary>
    internal static FormatRecipe Recipe(double fps)
    {
        var distance = Math.Max(1, (int)Math.Round(fps * KeyframeDistance));
        var coding = string.Create(
            CultureInfo.InvariantCulture,
            $"bframes=0:weightp=0:keyint={distance}:min-keyint={distance}:scenecut=0:open-gop=0:info=0:log-level=error"
        );
        return FormatRecipe.Of(VideoFormat.Mp4) with
        {
            Muxer = "mov",
            Codec = "libx265",
            Crf = 20,
            Options = $"-tag:v hvc1 -x265-params {coding} {FormatRecipe.Of(VideoFormat.Mp4).Options}",
        };
    }

    /// <summary>The video of one eye, until both are joined.</summary>
    private sealed class Eye(string name, string path, SpatialVideoOptions options, CancellationToken cancel) : IDisposable
    {
        public string Path => path;

        public VideoWriter Writer { get; } =
            VideoWriter.Create(
                path,
                name,
                Recipe(options.Fps),
                new VideoWriterOptions
                {
                    Width = options.Width,
                    Height = options.Height,
                    Fps = options.Fps,
                    Crf = options.Crf,
                },
                cancel
            );

        public void Dispose()
        {
            Writer.Dispose();
            File.Delete(path);
        }
    }
}
