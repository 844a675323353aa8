using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Threading.Channels;
using FFMpegCore.Pipes;

namespace Sora.Media;

/// <summary>
/// Frames on their way to ffmpeg, a few at most: as plain pixels, or, with times, as netpbm pictures in IVF
/// (https://wiki.multimedia.cx/index.php/Duck_IVF), the simplest container that holds a time for each frame.
/// </summary>
internal sealed class FrameSource(int width, int height, VideoWriterOptions options) : IPipeSource
{
    /// <summary>What times are counted in.</summary>
    public const int TicksPerSecond = 1_000_000;

    private readonly Channel<byte[][]> channel = Channel.CreateBounded<byte[][]>(2);

    /// <summary>Bytes of a pixel.</summary>
    public static int BytesOf(PixelKind kind) =>
        kind switch
        {
            PixelKind.Rgb => Image.Channels,
            PixelKind.Grey16 => sizeof(ushort),
            _ => sizeof(float),
        };

    public string GetStreamArguments() =>
        options.KeepTimes
            ? $"-f ivf -c:v {(options.Pixels == PixelKind.Rgb ? "ppm" : "pgm")}"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"-f rawvideo -pix_fmt {Format(options.Pixels)} -s {width}x{height} -r {options.Fps:R}"
            );

    public async Task WriteAsync(Stream outputStream, CancellationToken cancellationToken)
    {
        if (options.KeepTimes)
            await outputStream.WriteAsync(FileHeader(), cancellationToken).ConfigureAwait(false);
        await foreach (var frame in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        foreach (var piece in frame)
            await outputStream.WriteAsync(piece, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for room; false once ffmpeg has ended.</summary>
    public bool Add(byte[] pixels, TimeSpan time, Task ended, CancellationToken cancel)
    {
        byte[][] frame = options.KeepTimes ? Timed(pixels, time) : [pixels];
        while (!ended.IsCompleted)
        {
            if (channel.Writer.TryWrite(frame))
                return true;
            Task.WaitAny([channel.Writer.WaitToWriteAsync(cancel).AsTask(), ended], CancellationToken.None);
        }
        return false;
    }

    public void End() => channel.Writer.Complete();

    private static string Format(PixelKind kind) =>
        kind switch
        {
            PixelKind.Rgb => "rgb24",
            PixelKind.Grey16 => "gray16le",
            _ => "grayf32le",
        };

    private byte[] FileHeader()
    {
        const int length = 32;
        var header = new byte[length];
        "DKIF"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), length);
        "PNM "u8.CopyTo(header.AsSpan(8));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(12), (ushort)width);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(14), (ushort)height);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(16), TicksPerSecond);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), 1);
        return header;
    }

    /// <summary>The frame's length and time, the picture's own header, and its pixels, 16-bit ones with the high byte first.</summary>
    private byte[][] Timed(byte[] pixels, TimeSpan time)
    {
        var isGrey = options.Pixels == PixelKind.Grey16;
        if (isGrey)
        {
            for (var i = 0; i < pixels.Length; i += sizeof(ushort))
                (pixels[i], pixels[i + 1]) = (pixels[i + 1], pixels[i]);
        }
        var picture = Encoding.ASCII.GetBytes($"{(isGrey ? "P5" : "P6")} {width} {height} {(isGrey ? 65535 : 255)}\n");
        var header = new byte[12];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(picture.Length + pixels.Length));
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(4), time.Ticks / TimeSpan.TicksPerMicrosecond);
        return [header, picture, pixels];
    }
}
