using System.Diagnostics;
using Sora.Media;
using Sora.Stereo;
using Sora.Tests.Media;
using Xunit;

namespace Sora.Tests.Stereo;

/// <summary>Against values computed by hand, and against ffmpeg's stereo3d.</summary>
public sealed class StereoLayoutTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-stereo-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2; 0.299 * 10 + 0.587 * 60 + 0.114 * 210 = 62.15.
    [InlineData(StereoLayout.AnaglyphGrey, 124, 62, 62)]
    [InlineData(StereoLayout.AnaglyphColour, 200, 60, 210)]
    // Red: 0.4561 * 200 + 0.500484 * 100 + 0.176381 * 50 - 0.0434706 * 10 - 0.0879388 * 60 - 0.00155529 * 210 = 144.05;
    // green: -8.0164 - 3.7825 - 0.7879 + 3.7848 + 44.0184 - 3.8746 = 31.34;
    // blue: -3.0432 - 2.0597 - 0.2734 - 0.7215 - 6.7777 + 257.5440 = 244.67.
    [InlineData(StereoLayout.AnaglyphDubois, 144, 31, 245)]
    public void AnaglyphsMixBothEyes(StereoLayout layout, byte red, byte green, byte blue)
    {
        var mixed = layout.Pack(new Image(1, 1, [200, 100, 50]), new Image(1, 1, [10, 60, 210]));
        Assert.Equal([red, green, blue], mixed.Pixels);
        // Greys stay what they are, black and white among them.
        foreach (var grey in (byte[])[0, 77, 255])
        {
            var flat = new Image(1, 1, [grey, grey, grey]);
            Assert.Equal(flat.Pixels, layout.Pack(flat, flat).Pixels);
        }
    }

    [Fact]
    public void SumsBeyondAByteAreClipped()
    {
        // Red 1.133 * 255 is too much, green -0.094 * 255 too little.
        var mixed = StereoLayout.AnaglyphDubois.Pack(new Image(1, 1, [255, 255, 255]), new Image(1, 1));
        Assert.Equal([255, 0, 0], mixed.Pixels);
    }

    [Fact]
    public void FullLayoutsKeepEveryPixel()
    {
        var (left, right) = (new Image(2, 1, [1, 2, 3, 4, 5, 6]), new Image(2, 1, [11, 12, 13, 14, 15, 16]));
        foreach (var layout in (StereoLayout[])[StereoLayout.SideBySide, StereoLayout.TopBottom])
        {
            var both = layout.Pack(left, right);
            Assert.Equal([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], both.Pixels);
            Assert.Equal(layout == StereoLayout.SideBySide ? (4, 1) : (2, 2), (both.Width, both.Height));
            Assert.Equal((both.Width, both.Height), layout.SizeOf(2, 1));
        }
    }

    [Fact]
    public void HalfLayoutsResizeEachEye()
    {
        var (left, right) = (ResampleTests.Noise(12, 8, 1), ResampleTests.Noise(12, 8, 2));
        var beside = StereoLayout.HalfSideBySide.Pack(left, right);
        Assert.Equal((12, 8), (beside.Width, beside.Height));
        Assert.Equal(Resample.Lanczos(left, 6, 8).Pixels, beside.Crop(0, 0, 6, 8).Pixels);
        Assert.Equal(Resample.Lanczos(right, 6, 8).Pixels, beside.Crop(6, 0, 6, 8).Pixels);
        var below = StereoLayout.HalfTopBottom.Pack(left, right);
        Assert.Equal((12, 8), (below.Width, below.Height));
        Assert.Equal(Resample.Lanczos(left, 12, 4).Pixels, below.Crop(0, 0, 12, 4).Pixels);
        Assert.Equal(Resample.Lanczos(right, 12, 4).Pixels, below.Crop(0, 4, 12, 4).Pixels);
    }

    [Fact]
    public void OddSidesAreNotHalved()
    {
        var (odd, even) = (new Image(3, 4), new Image(4, 3));
        var columns = Assert.Throws<SoraException>(() => StereoLayout.HalfSideBySide.Pack(odd, odd));
        Assert.Equal((ErrorKind.Usage, "half side by side needs an even width, not 3"), (columns.Kind, columns.Message));
        var rows = Assert.Throws<SoraException>(() => StereoLayout.HalfTopBottom.SizeOf(4, 3));
        Assert.Equal((ErrorKind.Usage, "half top-bottom needs an even height, not 3"), (rows.Kind, rows.Message));
        // The other side may be odd, and so may both of full layouts.
        Assert.Equal((4, 3), StereoLayout.HalfSideBySide.SizeOf(4, 3));
        Assert.Equal((3, 4), StereoLayout.HalfTopBottom.SizeOf(3, 4));
        Assert.Equal((6, 3), StereoLayout.SideBySide.SizeOf(3, 3));
        Assert.Throws<ArgumentException>(() => StereoLayout.SideBySide.Pack(odd, even));
    }

    /// <summary>Neither is an eye cut in the middle of a column or row, nor of what shares its colour.</summary>
    [Theory]
    [InlineData(StereoLayout.SideBySide, false, 33, 17)]
    [InlineData(StereoLayout.SideBySide, true, 34, 17)]
    [InlineData(StereoLayout.HalfSideBySide, false, 34, 17)]
    [InlineData(StereoLayout.HalfSideBySide, true, 36, 17)]
    [InlineData(StereoLayout.TopBottom, false, 33, 17)]
    [InlineData(StereoLayout.TopBottom, true, 33, 18)]
    [InlineData(StereoLayout.HalfTopBottom, false, 33, 18)]
    [InlineData(StereoLayout.HalfTopBottom, true, 33, 20)]
    [InlineData(StereoLayout.AnaglyphDubois, true, 33, 17)]
    public void OddPicturesAreExtendedBeforeTheyArePacked(StereoLayout layout, bool halvesChroma, int width, int height)
    {
        Assert.Equal((width, height), layout.EyeSize(33, 17, halvesChroma));
        Assert.Equal((64, 32), layout.EyeSize(64, 32, halvesChroma));
        var eye = ResampleTests.Noise(33, 17).Extended(width, height);
        Assert.Equal(eye.Row(0)[(32 * 3)..(33 * 3)], eye.Row(0)[^3..]);
        Assert.Equal(eye.Row(16), eye.Row(height - 1));
        var both = layout.Pack(eye, eye);
        Assert.Equal(layout.SizeOf(width, height), (both.Width, both.Height));
        Assert.Throws<ArgumentOutOfRangeException>(() => eye.Extended(32, 17));
    }

    [Fact]
    public void APictureIsWrittenToAgain()
    {
        var (left, right) = (ResampleTests.Noise(6, 4, 1), ResampleTests.Noise(6, 4, 2));
        foreach (var layout in Enum.GetValues<StereoLayout>())
        {
            var (width, height) = layout.SizeOf(6, 4);
            var into = ResampleTests.Noise(width, height, 3);
            Assert.Same(into, layout.Pack(left, right, into));
            Assert.Equal(layout.Pack(left, right).Pixels, into.Pixels);
            Assert.Throws<ArgumentException>(() => layout.Pack(left, right, new Image(5, 4)));
        }
    }

    [Theory]
    [InlineData(StereoLayout.SideBySide, "sbsl", 0)]
    [InlineData(StereoLayout.TopBottom, "abl", 0)]
    // It rounds down, and takes Dubois' numbers with fewer digits.
    [InlineData(StereoLayout.AnaglyphGrey, "arcg", 1)]
    [InlineData(StereoLayout.AnaglyphColour, "arcc", 0)]
    [InlineData(StereoLayout.AnaglyphDubois, "arcd", 1)]
    public void LayoutsAreThoseOfFfmpeg(StereoLayout layout, string name, int tolerance)
    {
        var (left, right) = (ResampleTests.Noise(32, 16, 1), ResampleTests.Noise(32, 16, 2));
        var (from, to) = (Path.Combine(folder, "from.raw"), Path.Combine(folder, "to.raw"));
        // Frame by frame left and right, so that ffmpeg's input doesn't depend on a layout of ours.
        File.WriteAllBytes(from, [.. left.Pixels, .. right.Pixels]);
        using var process = Process.Start(
            "ffmpeg",
            $"-v error -f rawvideo -pix_fmt rgb24 -s 32x16 -i {from} -vf stereo3d=al:{name} -f rawvideo -pix_fmt rgb24 {to}"
        );
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        var (expected, actual) = (File.ReadAllBytes(to), layout.Pack(left, right).Pixels);
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.InRange(pair.Second - pair.First, -tolerance, tolerance));
    }
}
