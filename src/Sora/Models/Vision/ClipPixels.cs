using static TorchSharp.torch;

namespace Sora.Models.Vision;

/// <summary>
/// What CLIP's image processor does to a picture (<c>preprocessor_config.json</c>): the shorter side is resized to
/// <see cref="ShortestEdge"/> by an 8-bit bicubic filter, the middle is cut out, and the values are normalised. The
/// resizing itself is up to whoever has the picture.
/// </summary>
public sealed record ClipPixels
{
    /// <summary>The shorter side after resizing, in pixels.</summary>
    public int ShortestEdge { get; init; } = 224;

    /// <summary>Height of the part that is cut out.</summary>
    public int CropHeight { get; init; } = 224;

    /// <summary>Width of the part that is cut out.</summary>
    public int CropWidth { get; init; } = 224;

    /// <summary>What its values become.</summary>
    public ChannelNorm Norm { get; init; } = new([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]);

    /// <summary>Reads a <c>preprocessor_config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read, or asks for something unsupported.</exception>
    public static ClipPixels Read(string path)
    {
        var file = ConfigFile.Read(path);
        var fallback = new ClipPixels();
        var (size, crop) = (file.Inner("size"), file.Inner("crop_size"));
        var pixels = fallback with
        {
            ShortestEdge = size.Size("shortest_edge", fallback.ShortestEdge),
            CropHeight = crop.Size("height", fallback.CropHeight),
            CropWidth = crop.Size("width", fallback.CropWidth),
            Norm = ChannelNorm.Read(file, fallback.Norm),
        };
        if (pixels.ShortestEdge < Math.Max(pixels.CropWidth, pixels.CropHeight))
            throw SoraException.Damaged(
                $"{path}: a crop of {pixels.CropWidth}x{pixels.CropHeight} doesn't fit "
                    + $"in pictures whose shortest_edge is {pixels.ShortestEdge}"
            );
        return pixels;
    }

    /// <summary>
    /// What a model does to the pictures that its encoder sees; CLIP's own
    /// numbers without a file, as single files come without one.
    /// </summary>
    /// <exception cref="SoraException">Its file can't be read, or makes pictures of another size than the encoder takes.</exception>
    internal static ClipPixels Of(ModelFolder model, ClipVisionConfig encoder)
    {
        var side = encoder.ImageSize;
        if (!model.Has("image_processor"))
            return new ClipPixels
            {
                ShortestEdge = side,
                CropHeight = side,
                CropWidth = side,
            };
        var path = Path.Combine(model.Part("image_processor"), "preprocessor_config.json");
        var pixels = Read(path);
        return pixels.CropWidth == side && pixels.CropHeight == side
            ? pixels
            : throw SoraException.Failed(
                $"{path} crops to {pixels.CropWidth}x{pixels.CropHeight} pixels, but the image encoder takes {side}x{side}",
                "they belong to different models"
            );
    }

    /// <summary>The size to resize a picture to (bicubic); the longer side is rounded down.</summary>
    public (int Width, int Height) ResizedTo(int width, int height) =>
        width < height
            ? (ShortestEdge, (int)((long)ShortestEdge * height / width))
            : ((int)((long)ShortestEdge * width / height), ShortestEdge);

    /// <summary>The encoder's input <c>[1, 3, CropHeight, CropWidth]</c>, float32.</summary>
    /// <param name="rgb">The resized picture <c>[H, W, 3]</c>.</param>
    /// <param name="width">Its width, at least <see cref="CropWidth"/>.</param>
    /// <param name="height">Its height, at least <see cref="CropHeight"/>.</param>
    public Tensor Normalise(ReadOnlySpan<byte> rgb, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, CropWidth);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, CropHeight);
        ArgumentOutOfRangeException.ThrowIfNotEqual(rgb.Length, width * height * 3, nameof(rgb));
        var (left, top) = ((width - CropWidth) / 2, (height - CropHeight) / 2);
        return Norm.Apply(rgb[((top * width + left) * 3)..], CropWidth, CropHeight, width * 3);
    }
}
