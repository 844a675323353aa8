using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>
/// What the image processors of transformers make of the bytes of a picture (<c>preprocessor_config.json</c>):
/// (v <see cref="RescaleFactor"/> - <paramref name="Mean"/>) / <paramref name="Std"/> for each channel.
/// </summary>
/// <param name="Mean">Mean of red, green and blue.</param>
/// <param name="Std">Their standard deviations, above 0.</param>
public sealed record ChannelNorm(IReadOnlyList<double> Mean, IReadOnlyList<double> Std)
{
    private const int Channels = 3;

    /// <summary>What a byte is multiplied by.</summary>
    public double RescaleFactor { get; init; } = 1 / 255.0;

    /// <summary>Reads the fields of an image processor's config; those that are missing are as in <paramref name="fallback"/>.</summary>
    /// <exception cref="SoraException">They are no such numbers.</exception>
    internal static ChannelNorm Read(ConfigFile file, ChannelNorm fallback)
    {
        var norm = new ChannelNorm(file.Numbers("image_mean", fallback.Mean), file.Numbers("image_std", fallback.Std))
        {
            RescaleFactor = file.Number("rescale_factor", fallback.RescaleFactor),
        };
        if (norm.Mean.Count != Channels || norm.Std.Count != Channels || norm.Std.Any(deviation => deviation <= 0))
            throw SoraException.Damaged($"{file.Path}: image_mean and image_std need three numbers, those of image_std above 0");
        return norm;
    }

    /// <summary>The values of a picture or of a part of it, <c>[1, 3, height, width]</c>, float32.</summary>
    /// <param name="rgb">From its first pixel on, three bytes each.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="stride">Bytes from a row to the next.</param>
    internal Tensor Apply(ReadOnlySpan<byte> rgb, int width, int height, int stride)
    {
        var values = new float[Channels * height * width];
        var numbers = new float[byte.MaxValue + 1];
        for (var channel = 0; channel < Channels; channel++)
        {
            // In double first and in float then, as NumPy does it: the last bit counts.
            var (mean, std) = ((float)Mean[channel], (float)Std[channel]);
            for (var v = 0; v < numbers.Length; v++)
                numbers[v] = ((float)(v * RescaleFactor) - mean) / std;
            for (var y = 0; y < height; y++)
            {
                var row = values.AsSpan((channel * height + y) * width, width);
                for (int x = 0, place = y * stride + channel; x < width; x++, place += Channels)
                    row[x] = numbers[rgb[place]];
            }
        }
        return tensor(values, [1, Channels, height, width], float32);
    }
}
