using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Models.Depth;

/// <summary>
/// What DPT's image processor does to a picture (<c>preprocessor_config.json</c>): it is resized to whole patches by an 8-bit
/// bicubic filter, its aspect ratio nearly kept, and the values are normalised. The defaults are those of Depth Anything.
/// </summary>
public sealed record DepthPixels
{
    private const double Bicubic = 3;

    /// <summary>The height that is aimed at, in pixels.</summary>
    public int Height { get; init; } = 518;

    /// <summary>The width that is aimed at, in pixels.</summary>
    public int Width { get; init; } = 518;

    /// <summary>Sides are multiples of it.</summary>
    public int Multiple { get; init; } = 14;

    /// <summary>What the values become.</summary>
    public ChannelNorm Norm { get; init; } = new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

    /// <summary>Reads a <c>preprocessor_config.json</c>.</summary>
    /// <exception cref="SoraException">It can't be read, or what it says can't be done.</exception>
    public static DepthPixels Read(string path)
    {
        var file = ConfigFile.Read(path);
        if (!IsOurs(file))
            throw SoraException.Failed(
                $"{path}: unknown image processor {file.Text("image_processor_type", null)}",
                "DPTImageProcessor is supported"
            );
        foreach (var (step, wanted) in ((string, bool)[])[("resize", true), ("rescale", true), ("normalize", true), ("pad", false)])
            if (file.Flag($"do_{step}", wanted) != wanted)
                throw SoraException.Failed($"{path}: do_{step} must be {(wanted ? "true" : "false")}");
        if (!file.Flag("keep_aspect_ratio", true))
            throw SoraException.Failed($"{path}: keep_aspect_ratio must be true");
        if (file.Number("resample", Bicubic) != Bicubic)
            throw SoraException.Failed($"{path}: unknown resample {file.Number("resample", Bicubic)}", "3 (bicubic) is supported");
        var fallback = new DepthPixels();
        var size = file.Inner("size");
        return fallback with
        {
            Height = size.Size("height", fallback.Height),
            Width = size.Size("width", fallback.Width),
            Multiple = file.Size("ensure_multiple_of", fallback.Multiple),
            Norm = ChannelNorm.Read(file, fallback.Norm),
        };
    }

    /// <summary>What a model's own file says; Depth Anything's own numbers where there is none.</summary>
    /// <param name="model">The model's folder or file.</param>
    /// <param name="patch">Side of the backbone's patches, in pixels.</param>
    /// <exception cref="SoraException">The file can't be read, or makes pictures that aren't whole patches.</exception>
    internal static DepthPixels Of(string model, int patch)
    {
        var folder = Directory.Exists(model) ? model : Path.GetDirectoryName(Path.GetFullPath(model))!;
        var path = Path.Combine(folder, "preprocessor_config.json");
        // What lies beside a single file may belong to another one.
        var isGiven = File.Exists(path) && (folder == model || IsOurs(ConfigFile.Read(path)));
        var pixels = isGiven ? Read(path) : new DepthPixels { Multiple = patch };
        return pixels.Multiple % patch == 0
            ? pixels
            : throw SoraException.Failed(
                $"{path} makes multiples of {pixels.Multiple} pixels, but the backbone takes patches of {patch}",
                "they belong to different models"
            );
    }

    /// <summary>
    /// The size to which a picture is resized: the scale of that axis which changes less goes for both, then each side is
    /// rounded to a multiple, ties to even. So one side can be smaller than what is aimed at, or larger. Very thin pictures,
    /// on which transformers fails, get one multiple.
    /// </summary>
    public (int Width, int Height) ResizedTo(int width, int height)
    {
        var (scaleHeight, scaleWidth) = ((double)Height / height, (double)Width / width);
        var scale = Math.Abs(1 - scaleWidth) < Math.Abs(1 - scaleHeight) ? scaleWidth : scaleHeight;
        int Rounded(int length) => Multiple * Math.Max(1, (int)Math.Round(scale * length / Multiple, MidpointRounding.ToEven));
        return (Rounded(width), Rounded(height));
    }

    /// <summary>The picture as the network sees it, still in bytes.</summary>
    public Image Resized(Image image)
    {
        var (width, height) = ResizedTo(image.Width, image.Height);
        return Resample.Bicubic(image, width, height);
    }

    /// <summary>The network's input <c>[1, 3, H, W]</c>, float32, of a picture that is <see cref="Resized"/>.</summary>
    public Tensor Normalise(Image resized) => Norm.Apply(resized.Pixels, resized.Width, resized.Height, resized.Width * Image.Channels);

    private static bool IsOurs(ConfigFile file) =>
        file.Text("image_processor_type", "DPTImageProcessor")!.StartsWith("DPTImageProcessor", StringComparison.Ordinal);
}
