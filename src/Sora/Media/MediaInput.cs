using System.Text;
using System.Text.RegularExpressions;
using FFMpegCore;
using FFMpegCore.Exceptions;
using FFMpegCore.Pipes;

namespace Sora.Media;

/// <summary>Where pictures come from, as ffmpeg takes it: a file, a numbered sequence of stills, or a stream.</summary>
internal sealed partial class MediaInput : IDisposable
{
    /// <summary>The rate of videos that don't say theirs; ffmpeg's own assumption.</summary>
    private const double UnknownRate = 25;

    private readonly string? temporary;
    private readonly Func<Action<FFMpegInputOptions>, FFMpegArguments> arguments;

    private TimeSpan? duration;

    private MediaInput(string name, double fps, Func<Action<FFMpegInputOptions>, FFMpegArguments> arguments, string? temporary)
    {
        (Name, Fps, this.arguments, this.temporary) = (name, fps, arguments, temporary);
    }

    /// <summary>What to call it in messages.</summary>
    public string Name { get; }

    /// <summary>Its frame rate; for stills, which have none, the requested one.</summary>
    public double Fps { get; }

    /// <summary>Whether its frames have times of their own, so that it can be resampled to another rate.</summary>
    public bool HasTimes { get; private init; }

    /// <summary>ffmpeg's number of the stream to read.</summary>
    public int Stream { get; private init; }

    /// <summary>How both eyes share a frame of stereo video, such as <c>side by side</c>; null if the file says nothing of it.</summary>
    public string? Stereo { get; private init; }

    /// <summary>About how many frames follow a time; null if that isn't known.</summary>
    public int? FramesAt(double fps, ClipTime? start) =>
        duration is { } length ? Math.Max(0, (int)Math.Round(length.TotalSeconds * fps) - (start?.FrameCount(fps) ?? 0)) : null;

    /// <summary>Begins ffmpeg's command line with this input and the options before it.</summary>
    public FFMpegArguments Arguments(Action<FFMpegInputOptions> options) => arguments(options);

    public void Dispose()
    {
        if (temporary != null)
            File.Delete(temporary);
    }

    /// <summary>Opens a file, a numbered sequence (<c>frames/%04d.png</c>), or a named pipe.</summary>
    public static MediaInput Open(string path, double stillsRate, CancellationToken cancel)
    {
        FfmpegRun.Require();
        if (FileType.IsPipe(path))
            return FromStream(File.OpenRead(path), path, stillsRate, cancel);
        if (NumberPattern().IsMatch(Path.GetFileName(path)))
            return FromSequence(path, stillsRate);
        if (Directory.Exists(path))
            throw SoraException.Failed($"{path} is a folder", $"give a pattern for its pictures: {Path.Combine(path, "%04d.png")}");
        if (!File.Exists(path))
            throw SoraException.Failed($"{path}: no such file");
        return path.Contains('"')
            ? FromTemporary(path, link => File.CreateSymbolicLink(link, Path.GetFullPath(path)), stillsRate, cancel)
            : FromFile(path, path, null, stillsRate, cancel);
    }

    private static MediaInput FromSequence(string path, double stillsRate)
    {
        var (folder, pattern) = (Path.GetDirectoryName(Path.GetFullPath(path))!, Path.GetFileName(path));
        var number = NumberPattern().Match(pattern);
        var names = new Regex($"^{Regex.Escape(pattern[..number.Index])}(\\d+){Regex.Escape(pattern[(number.Index + number.Length)..])}$");
        var found = Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Select(Path.GetFileName) : [];
        var numbers = found
            .Select(name => names.Match(name!))
            .Where(match => match.Success && int.TryParse(match.Groups[1].Value, out _))
            .Select(match => int.Parse(match.Groups[1].Value))
            .ToList();
        if (numbers.Count == 0)
            throw SoraException.Failed($"{path}: no such files", "the pattern matches numbers: %04d is 0001, 0002, …");

        // Elsewhere in the path a percent sign is only a character, which ffmpeg wants doubled.
        var file = FfmpegRun.Quotable(Path.Combine(folder.Replace("%", "%%"), pattern));
        return new MediaInput(
            path,
            stillsRate,
            options =>
                FFMpegArguments.FromFileInput(
                    file,
                    false,
                    o =>
                    {
                        options(o.ForceFormat("image2").WithCustomArgument($"-framerate {stillsRate:R}").WithStartNumber(numbers.Min()));
                    }
                ),
            null
        )
        {
            duration = TimeSpan.FromSeconds(numbers.Count / stillsRate),
        };
    }

    private static MediaInput FromFile(string name, string path, string? temporary, double stillsRate, CancellationToken cancel)
    {
        var analysis = Analyse(name, path, cancel);
        var video =
            analysis
                .VideoStreams.OrderBy(stream => stream.Index)
                .FirstOrDefault(stream => stream.Disposition?.GetValueOrDefault("attached_pic") != true)
            ?? throw SoraException.Failed($"{name} has no video stream");
        // ffmpeg's demuxers of stills; a still has no rate.
        var still = analysis.Format.FormatName is var format && (format == "image2" || format.EndsWith("_pipe", StringComparison.Ordinal));
        var file = FfmpegRun.Quotable(path);
        return new MediaInput(
            name,
            still ? stillsRate : Rate(video),
            options => FFMpegArguments.FromFileInput(file, false, options),
            temporary
        )
        {
            HasTimes = !still,
            Stream = video.Index,
            Stereo = video
                .SideData?.Where(data => data.TryGetValue("side_data_type", out var type) && type.ToString() == "Stereo 3D")
                .Select(data => data.GetValueOrDefault("type")?.ToString())
                .FirstOrDefault(type => type != "2D"),
            duration = !still && analysis.Duration > TimeSpan.Zero ? analysis.Duration : null,
        };
    }

    private static IMediaAnalysis Analyse(string name, string path, CancellationToken cancel)
    {
        try
        {
            return FFProbe.AnalyseAsync(path, cancellationToken: cancel).GetAwaiter().GetResult();
        }
        catch (FFProbeProcessException error)
        {
            // ffprobe's last line is "PATH: reason".
            var reason = error.StandardError.LastOrDefault(line => line.Length > 0) ?? "ffprobe failed";
            throw SoraException.Failed($"{name} can't be read: {reason.Replace($"{path}: ", "")}", inner: error);
        }
        catch (FormatNullException error)
        {
            throw SoraException.Failed($"{name} can't be read: ffprobe doesn't know its format", inner: error);
        }
    }

    /// <summary>
    /// The nominal rate, unless the average differs: then the frames come at varying times, or the nominal rate counts fields.
    /// </summary>
    private static double Rate(VideoStream video)
    {
        var (nominal, average) = (video.RealFrameRate, video.AverageFrameRate);
        var rate = !(average > 0) || (nominal > 0 && Math.Abs(nominal / average - 1) < 0.05) ? nominal : average;
        return rate > 0 && double.IsFinite(rate) ? rate : UnknownRate;
    }

    /// <summary>
    /// YUV4MPEG2 is read as it comes. Most containers can't be read without seeking, so anything else is copied to a
    /// temporary file first.
    /// </summary>
    public static MediaInput FromStream(Stream stream, string name, double stillsRate, CancellationToken cancel)
    {
        FfmpegRun.Require();
        var head = new byte[256];
        var count = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        if (count == 0)
            throw SoraException.Failed($"{name} is empty");
        if (head.AsSpan(0, count).StartsWith("YUV4MPEG2 "u8))
        {
            var source = new StreamSource(head[..count], stream);
            return new MediaInput(name, HeaderRate(head.AsSpan(0, count)), options => FFMpegArguments.FromPipeInput(source, options), null)
            {
                HasTimes = true,
            };
        }

        return FromTemporary(
            name,
            file =>
            {
                using var copy = new FileStream(file, FileMode.CreateNew, FileAccess.Write);
                copy.Write(head, 0, count);
                stream.CopyTo(copy);
            },
            stillsRate,
            cancel
        );
    }

    /// <summary>Reads through a temporary file, also where the name has a double quote, which FFMpegCore can't pass on.</summary>
    private static MediaInput FromTemporary(string name, Action<string> make, double stillsRate, CancellationToken cancel)
    {
        var temporary = Path.Combine(Path.GetTempPath(), $"sora-{Guid.NewGuid():N}{Path.GetExtension(name).Replace("\"", "")}");
        try
        {
            make(temporary);
            return FromFile(name, temporary, temporary, stillsRate, cancel);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>The rate in a YUV4MPEG2 header, such as <c>F30000:1001</c>.</summary>
    private static double HeaderRate(ReadOnlySpan<byte> head)
    {
        var match = HeaderRatePattern().Match(Encoding.ASCII.GetString(head));
        var rate = match.Success ? double.Parse(match.Groups[1].Value) / double.Parse(match.Groups[2].Value) : 0;
        return rate > 0 && double.IsFinite(rate) ? rate : UnknownRate;
    }

    [GeneratedRegex(@"^YUV4MPEG2 [^\n]*\bF(\d+):(\d+)")]
    private static partial Regex HeaderRatePattern();

    [GeneratedRegex(@"%(0\d+)?d")]
    internal static partial Regex NumberPattern();

    /// <summary>Bytes already read, followed by the rest of their stream.</summary>
    private sealed class StreamSource(byte[] head, Stream rest) : IPipeSource
    {
        public string GetStreamArguments() => "-f yuv4mpegpipe";

        public async Task WriteAsync(Stream outputStream, CancellationToken cancellationToken)
        {
            var buffer = new byte[1 << 16];
            for (var piece = head.AsMemory(); piece.Length > 0; )
            {
                try
                {
                    await outputStream.WriteAsync(piece, cancellationToken).ConfigureAwait(false);
                }
                catch (IOException)
                {
                    // ffmpeg has enough frames, or failed: its exit status says which.
                    return;
                }
                // A read that nothing answers is abandoned when ffmpeg has ended.
                var read = rest.ReadAsync(buffer, CancellationToken.None).AsTask();
                piece = buffer.AsMemory(0, await read.WaitAsync(cancellationToken).ConfigureAwait(false));
            }
        }
    }
}
