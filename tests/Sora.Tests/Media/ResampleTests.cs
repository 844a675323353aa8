using Sora.Media;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Media;

public class ResampleTests
{
    // Of the image processor that the references were made with.
    private static readonly float[] Mean = [0.48145466f, 0.4578275f, 0.40821073f];
    private static readonly float[] Deviation = [0.26862954f, 0.26130258f, 0.27577711f];

    /// <summary>Lanczos as the conditioning image of the VAE is resized: out = v / 255 * 2 - 1 of Pillow's bytes.</summary>
    [Theory]
    [InlineData("resize-lanczos-20x30-48x32")]
    [InlineData("resize-lanczos-37x61-32x48")]
    [InlineData("resize-lanczos-64x96-32x48")]
    public void LanczosEqualsPillow(string name)
    {
        using var file = SafeTensorsFile.Open(Golden.Path("cases", "wan", $"{name}.safetensors"));
        var expected = file.Floats("out.pixels");
        var shape = file.Tensors["out.pixels"].Shape;
        var (height, width) = ((int)shape[^2], (int)shape[^1]);
        var resized = Resample.Lanczos(ImageOf(file, "in.image"), width, height);
        for (var i = 0; i < width * height * 3; i++)
        {
            // Planes in the reference, pixels here.
            var (c, pixel) = (i / (width * height), i % (width * height));
            Assert.Equal(expected[i], resized.Pixels[pixel * 3 + c] / 255f * 2 - 1, 1e-6f);
        }
    }

    /// <summary>Bicubic to the shorter side, then the middle, as for the image encoder: out = (v / 255 - mean) / std.</summary>
    [Theory]
    [InlineData("clip-20x31")]
    [InlineData("clip-28x28")]
    [InlineData("clip-33x29")]
    [InlineData("clip-45x60")]
    [InlineData("clip-63x40")]
    public void BicubicEqualsPillow(string name)
    {
        using var file = SafeTensorsFile.Open(Golden.Path("cases", "wan", $"{name}.safetensors"));
        var expected = file.Floats("out.pixel_values");
        var side = (int)file.Tensors["out.pixel_values"].Shape[^1];
        var image = ImageOf(file, "in.image");
        var (width, height) =
            image.Width < image.Height ? (side, side * image.Height / image.Width) : (side * image.Width / image.Height, side);
        var resized = Resample.Bicubic(image, width, height).Crop((width - side) / 2, (height - side) / 2, side, side);
        for (var c = 0; c < 3; c++)
        {
            for (var i = 0; i < side * side; i++)
                Assert.Equal(expected[c * side * side + i], (resized.Pixels[i * 3 + c] / 255f - Mean[c]) / Deviation[c], 1e-5f);
        }
    }

    [Fact]
    public void SameSizeKeepsThePicture()
    {
        var image = Noise(13, 7);
        Assert.Equal(image.Pixels, Resample.Lanczos(image, 13, 7).Pixels);
    }

    /// <summary>Against the definition in plain integers, at sizes whose rows don't fill whole vectors.</summary>
    [Theory]
    [InlineData(13, 7, 29, 5)]
    [InlineData(100, 3, 7, 40)]
    [InlineData(5, 5, 1, 1)]
    public void LanczosEqualsPlainArithmetic(int width, int height, int newWidth, int newHeight)
    {
        var image = Noise(width, height);
        var rows = new Image(newWidth, height);
        for (var i = 0; i < newWidth; i++)
        for (var y = 0; y < height; y++)
        for (var c = 0; c < 3; c++)
            rows.Pixels[(y * newWidth + i) * 3 + c] = Tap(i, width, newWidth, x => image.Pixels[(y * width + x) * 3 + c]);
        var expected = new Image(newWidth, newHeight);
        for (var i = 0; i < newHeight; i++)
        for (var x = 0; x < newWidth; x++)
        for (var c = 0; c < 3; c++)
            expected.Pixels[(i * newWidth + x) * 3 + c] = Tap(i, height, newHeight, y => rows.Pixels[(y * newWidth + x) * 3 + c]);
        Assert.Equal(expected.Pixels, Resample.Lanczos(image, newWidth, newHeight).Pixels);

        static byte Tap(int place, int from, int to, Func<int, byte> at)
        {
            var scale = (double)from / to;
            var stretch = Math.Max(scale, 1);
            var center = (place + 0.5) * scale;
            var (first, end) = (Math.Max(0, (int)(center - 3 * stretch + 0.5)), Math.Min(from, (int)(center + 3 * stretch + 0.5)));
            var weights = Enumerable.Range(first, end - first).Select(x => Kernel((x - center + 0.5) / stretch)).ToArray();
            var sum = 1L << 21;
            for (var x = first; x < end; x++)
                sum += at(x) * (long)Math.Round(weights[x - first] / weights.Sum() * (1 << 22), MidpointRounding.AwayFromZero);
            return (byte)Math.Clamp(sum >> 22, 0, 255);
        }

        static double Kernel(double x) =>
            Math.Abs(x) >= 3 ? 0
            : x == 0 ? 1
            : Math.Sin(Math.PI * x) / (Math.PI * x) * Math.Sin(Math.PI * x / 3) / (Math.PI * x / 3);
    }

    [Fact]
    public void CropTakesTheMiddle()
    {
        var image = new Image(40, 10);
        for (var x = 15; x < 25; x++)
        for (var y = 0; y < 10; y++)
            image.Row(y)[x * 3] = 200;
        var square = Resample.ToSize(image, 5, 5, Fit.Crop);
        Assert.All(Enumerable.Range(0, 25), pixel => Assert.Equal(200, square.Pixels[pixel * 3]));
    }

    [Fact]
    public void PadKeepsTheWholePictureAndFillsBlack()
    {
        var image = new Image(40, 10, [.. Enumerable.Repeat((byte)90, 40 * 10 * 3)]);
        var square = Resample.ToSize(image, 20, 20, Fit.Pad);
        for (var y = 0; y < 20; y++)
            Assert.All(square.Row(y).ToArray(), value => Assert.Equal(y is >= 7 and < 12 ? 90 : 0, value));
    }

    internal static Image Noise(int width, int height, int seed = 1)
    {
        var image = new Image(width, height);
        new Random(seed).NextBytes(image.Pixels);
        return image;
    }

    private static Image ImageOf(SafeTensorsFile file, string name)
    {
        var shape = file.Tensors[name].Shape;
        return new Image((int)shape[1], (int)shape[0], file.Data(name).ToArray());
    }
}
