namespace Sora.Media;

/// <summary>
/// A picture of 8-bit RGB, bytes <c>[H, W, 3]</c>, rows from the top, full range, sRGB as it comes from a PNG.
/// </summary>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
/// <param name="Pixels">The <c>Height * Width * 3</c> bytes themselves: not copied.</param>
public sealed record Image(int Width, int Height, byte[] Pixels)
{
    /// <summary>Bytes per pixel.</summary>
    public const int Channels = 3;

    /// <summary>The bytes; their number always fits the size.</summary>
    public byte[] Pixels { get; } =
        Pixels.Length == (long)Width * Height * Channels
            ? Pixels
            : throw new ArgumentException($"{Pixels.Length} bytes are not {Width}x{Height} RGB pixels", nameof(Pixels));

    /// <summary>A black picture.</summary>
    public Image(int width, int height)
        : this(width, height, new byte[(long)width * height * Channels]) { }

    /// <summary>Row <paramref name="y"/>, <c>[W, 3]</c>.</summary>
    public Span<byte> Row(int y) => Pixels.AsSpan(y * Width * Channels, Width * Channels);

    /// <summary>A copy of the part that starts at column <paramref name="left"/>, row <paramref name="top"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part isn't inside the picture.</exception>
    public Image Crop(int left, int top, int width, int height)
    {
        if (left < 0 || top < 0 || width < 1 || height < 1 || left > Width - width || top > Height - height)
            throw new ArgumentOutOfRangeException(nameof(width), $"{width}x{height}+{left}+{top} isn't inside {Width}x{Height}");
        if (width == Width && height == Height)
            return this;
        var part = new Image(width, height);
        for (var y = 0; y < height; y++)
            Row(top + y).Slice(left * Channels, width * Channels).CopyTo(part.Row(y));
        return part;
    }

    /// <summary>
    /// Copies <paramref name="part"/> into this picture, its corner at column <paramref name="left"/>, row
    /// <paramref name="top"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It doesn't fit there.</exception>
    public void Paste(Image part, int left, int top)
    {
        if (left < 0 || top < 0 || left > Width - part.Width || top > Height - part.Height)
            throw new ArgumentOutOfRangeException(nameof(part), $"{part.Width}x{part.Height}+{left}+{top} isn't inside {Width}x{Height}");
        for (var y = 0; y < part.Height; y++)
            part.Row(y).CopyTo(Row(top + y)[(left * Channels)..]);
    }

    /// <summary>A picture of a larger size, in which the last column and row are repeated; itself if it has that size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The size is smaller.</exception>
    public Image Extended(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, Width);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, Height);
        if (width == Width && height == Height)
            return this;
        var larger = new Image(width, height);
        for (var y = 0; y < height; y++)
        {
            var source = Row(Math.Min(y, Height - 1));
            var target = larger.Row(y);
            source.CopyTo(target);
            for (var x = source.Length; x < target.Length; x++)
                target[x] = target[x - Channels];
        }
        return larger;
    }

    /// <summary>Reads a picture, or the first frame of a video. Transparency is dropped, not blended.</summary>
    /// <param name="path">Any file that ffmpeg reads.</param>
    /// <param name="cancel">Stops the reading.</param>
    /// <exception cref="SoraException">There is no such file, or ffmpeg can't read it.</exception>
    public static Image Load(string path, CancellationToken cancel = default)
    {
        using var reader = VideoReader.Open(path, new VideoReaderOptions { Frames = 1 }, cancel);
        return reader.Frames().First();
    }

    /// <summary>Writes the picture, whole or not at all; PNG keeps every bit.</summary>
    /// <param name="path">A name whose extension is that of a format for stills.</param>
    /// <param name="cancel">Stops the writing; no file is left then.</param>
    /// <exception cref="SoraException">The format isn't one for stills, or the file can't be written.</exception>
    public void Save(string path, CancellationToken cancel = default)
    {
        using var writer = VideoWriter.Create(
            path,
            new VideoWriterOptions
            {
                Width = Width,
                Height = Height,
                Frames = 1,
            },
            cancel
        );
        writer.Write(this);
        writer.Complete();
    }
}
