using Sora.Eval;
using Sora.Media;
using Sora.Stereo;
using Sora.Tests.Media;
using Xunit;
using Xunit.Abstractions;

namespace Sora.Tests.Stereo;

/// <summary>Against a second camera in the synthetic world, and on pictures whose result is known.</summary>
public class StereoRendererTests(ITestOutputHelper output)
{
    private const int Columns = 40,
        Rows = 9;

    private static readonly StereoOptions LeftKept = new() { Eyes = StereoEyes.LeftKept, EdgeDilation = 0 };

    /// <summary>
    /// The eyes of an adult, two metres before the objects: 5 % of the width. With exact depth and baseline the right eye must
    /// come close to what a camera there sees, over all and where both eyes see the same.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void TheRightEyeIsNearToWhatACameraSeesThere(int dilation)
    {
        const int Scenes = 20;
        double all = 0,
            visible = 0,
            copied = 0;
        for (var number = 0ul; number < Scenes; number++)
        {
            var world = new EyeWorld(number, 128, 128, 0.063);
            var made = Render(world.Left, Disparities(world), LeftKept with { EdgeDilation = dilation }).Right;
            copied += Quality.Psnr([world.Left], [world.Right]) / Scenes;
            all += Quality.Psnr([made], [world.Right]) / Scenes;
            visible += Quality.Psnr([made], [world.Right], (_, y, x) => world.IsVisible(y, x)) / Scenes;
        }
        output.WriteLine($"dilation {dilation}: copy {copied:f1}, all {all:f1}, visible {visible:f1} dB");
        Assert.InRange(all, 38, 100);
        Assert.InRange(visible, 40, 100);
        Assert.InRange(all - copied, 12, 100);
    }

    /// <summary>The camera between them sees enough to make both, and each has narrower holes than one made from the other.</summary>
    [Fact]
    public void BothEyesAreMadeFromTheMiddle()
    {
        const int Scenes = 6;
        double left = 0,
            right = 0;
        for (var number = 0ul; number < Scenes; number++)
        {
            // The eyes stand half of the baseline to either side: mirrored scenes have the left one on the right.
            var (toRight, toLeft) = (new EyeWorld(number, 96, 96, 0.03), new EyeWorld(number, 96, 96, -0.03));
            var disparity = Array.ConvertAll(Disparities(toRight), d => 2 * d);
            var pair = Render(toRight.Left, disparity, LeftKept with { Eyes = StereoEyes.Symmetric });
            right += Quality.Psnr([pair.Right], [toRight.Right]) / Scenes;
            left += Quality.Psnr([pair.Left], [toLeft.Right]) / Scenes;
        }
        output.WriteLine($"left {left:f1}, right {right:f1} dB");
        Assert.InRange(left, 38, 100);
        Assert.InRange(right, 38, 100);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(-5)]
    public void APlaneMovesByWholePixels(int shift)
    {
        var frame = ResampleTests.Noise(Columns, Rows);
        var pair = Render(frame, Flat(shift), LeftKept);
        for (var y = 0; y < Rows; y++)
        for (var x = 0; x < Columns; x++)
        {
            var from = x + shift;
            Assert.Equal(from is >= 0 and < Columns ? 0 : 255, pair.RightHoles[y * Columns + x]);
            // What comes in at the side is the last that is known.
            Assert.Equal(ColourAt(frame, y, Math.Clamp(from, 0, Columns - 1)), ColourAt(pair.Right, y, x));
        }
    }

    [Theory]
    [InlineData(2.25f)]
    [InlineData(-0.75f)]
    public void APlaneBetweenPixelsIsTheirLinearMean(float shift)
    {
        var frame = ResampleTests.Noise(Columns, Rows);
        var pair = Render(frame, Flat(shift), LeftKept);
        for (var y = 0; y < Rows; y++)
        for (var x = 3; x < Columns - 3; x++)
        for (var c = 0; c < 3; c++)
        {
            var from = (int)Math.Floor(x + shift);
            var part = x + shift - from;
            var expected = (1 - part) * frame.Row(y)[from * 3 + c] + part * frame.Row(y)[(from + 1) * 3 + c];
            Assert.InRange(pair.Right.Row(y)[x * 3 + c], expected - 0.501, expected + 0.501);
        }
    }

    [Fact]
    public void TheKeptEyeIsTheFrame()
    {
        var frame = ResampleTests.Noise(Columns, Rows);
        var pair = Render(frame, Steps(), LeftKept with { EdgeDilation = 2 });
        Assert.Equal(frame.Pixels, pair.Left.Pixels);
        Assert.All(pair.LeftHoles, hole => Assert.Equal(0, hole));
        Assert.NotEqual(frame.Pixels, pair.Right.Pixels);
    }

    [Fact]
    public void SymmetricEyesAreEachOthersMirrorImages()
    {
        var options = new StereoOptions { EdgeDilation = 1 };
        var (frame, disparity) = (ResampleTests.Noise(Columns, Rows), Steps());
        var pair = Render(frame, disparity, options);
        var mirrored = Render(Mirror(frame), Mirror(disparity), options);
        AssertNear(Mirror(pair.Left), mirrored.Right, 1);
        AssertNear(Mirror(pair.Right), mirrored.Left, 1);
        Assert.Equal(Mirror(pair.LeftHoles), mirrored.RightHoles);
        Assert.Equal(Mirror(pair.RightHoles), mirrored.LeftHoles);
    }

    /// <summary>A red object before blue: the right eye sees more behind its right side, the left eye behind its left one.</summary>
    [Fact]
    public void HolesOpenBesideWhatIsNearAndTakeTheBackground()
    {
        var frame = Painted((x, _) => x is >= 15 and < 25 ? Red : Blue);
        var disparity = Map((x, _) => x is >= 15 and < 25 ? 6 : 0);
        var pair = Render(frame, disparity, LeftKept with { Eyes = StereoEyes.Symmetric });
        for (var x = 0; x < Columns; x++)
        {
            Assert.Equal(x is >= 12 and < 22 ? Red : Blue, ColourAt(pair.Right, 0, x));
            Assert.Equal(x is >= 18 and < 28 ? Red : Blue, ColourAt(pair.Left, 0, x));
            Assert.Equal(x is >= 22 and < 25 ? 255 : 0, pair.RightHoles[x]);
            Assert.Equal(x is >= 15 and < 18 ? 255 : 0, pair.LeftHoles[x]);
        }
    }

    [Fact]
    public void HolesAreBlackWhereTheyAreNotFilled()
    {
        var disparity = Map((x, _) => x is >= 15 and < 25 ? 6 : 0);
        var pair = Render(Painted((_, _) => Blue), disparity, LeftKept with { Fill = StereoFill.None });
        for (var x = 0; x < Columns; x++)
            Assert.Equal(x is >= 19 and < 25 ? Black : Blue, ColourAt(pair.Right, 0, x));
    }

    /// <summary>Also where one column is so far before all others that their weights would be 0 beside its own.</summary>
    [Fact]
    public void WhatIsNearHidesWhatIsFarAndWhatIsFarStays()
    {
        var frame = Painted((x, _) => x < 20 ? Red : Blue);
        var pair = Render(frame, Map((x, _) => x < 20 ? -4 : 4), LeftKept);
        for (var x = 0; x < 36; x++)
        {
            // Red moves four to the right and blue four to the left: between 16 and 24 they meet, and blue is nearer.
            var expected = x < 16 ? Red : Blue;
            var colour = ColourAt(pair.Right, 1, x);
            Assert.InRange(Math.Abs(colour.R - expected.R) + Math.Abs(colour.B - expected.B), 0, 1);
        }
        // e^-300 is 0 in single precision.
        var behind = Render(frame, Map((x, _) => x == 39 ? 300 : 0), LeftKept);
        for (var x = 0; x < 39; x++)
            Assert.Equal(ColourAt(frame, 2, x), ColourAt(behind.Right, 2, x));
    }

    [Fact]
    public void ARowThatAnEyeDoesNotSeeIsBlack()
    {
        var pair = Render(Painted((_, _) => Blue), Flat(2 * Columns), LeftKept);
        Assert.All(pair.Right.Pixels, value => Assert.Equal(0, value));
        Assert.All(pair.RightHoles, hole => Assert.Equal(255, hole));
    }

    [Fact]
    public void EdgesAreDilatedToEverySide()
    {
        var disparity = Map((x, y) => x is >= 15 and < 20 && y == 4 ? 8 : 0);
        var frame = ResampleTests.Noise(Columns, Rows);
        var wider = Map((x, y) => x is >= 13 and < 22 && y is >= 2 and <= 6 ? 8 : 0);
        Assert.Equal(
            Render(frame, wider, LeftKept).Right.Pixels,
            Render(frame, disparity, LeftKept with { EdgeDilation = 2 }).Right.Pixels
        );
    }

    /// <summary>Nothing of one frame is left in the next one, whichever thread takes which row.</summary>
    [Fact]
    public void BuffersAreUsedAgain()
    {
        var options = new StereoOptions();
        var renderer = new StereoRenderer(Columns, Rows, options);
        var pair = new StereoPair(Columns, Rows);
        foreach (var seed in (int[])[1, 2, 3])
        {
            var (frame, disparity) = (ResampleTests.Noise(Columns, Rows, seed), Array.ConvertAll(Steps(), d => d * seed / 2));
            renderer.Render(frame, disparity, pair);
            var fresh = Render(frame, disparity, options);
            Assert.Equal(fresh.Left.Pixels, pair.Left.Pixels);
            Assert.Equal(fresh.Right.Pixels, pair.Right.Pixels);
            Assert.Equal(fresh.LeftHoles, pair.LeftHoles);
            Assert.Equal(fresh.RightHoles, pair.RightHoles);
        }
    }

    [Fact]
    public void OtherSizesAreRefused()
    {
        var renderer = new StereoRenderer(Columns, Rows, LeftKept);
        var pair = new StereoPair(Columns, Rows);
        Assert.Throws<ArgumentException>(() => renderer.Render(new Image(Rows, Columns), Flat(0), pair));
        Assert.Throws<ArgumentException>(() => renderer.Render(new Image(Columns, Rows), new float[3], pair));
        Assert.Throws<ArgumentException>(() => renderer.Render(new Image(Columns, Rows), Flat(0), new StereoPair(Rows, Columns)));
        Assert.Throws<SoraException>(() => new StereoRenderer(8, 8, new StereoOptions { EdgeDilation = -1 }));
    }

    private static (byte R, byte G, byte B) Red => (200, 0, 0);

    private static (byte R, byte G, byte B) Blue => (0, 0, 200);

    private static (byte R, byte G, byte B) Black => (0, 0, 0);

    private static StereoPair Render(Image frame, float[] disparity, StereoOptions options)
    {
        var pair = new StereoPair(frame.Width, frame.Height);
        new StereoRenderer(frame.Width, frame.Height, options).Render(frame, disparity, pair);
        return pair;
    }

    /// <summary>Those of the world's own cameras, which are parallel.</summary>
    private static float[] Disparities(EyeWorld world)
    {
        var options = new StereoOptions
        {
            Baseline = world.Baseline,
            FieldOfView = world.FieldOfView,
            Convergence = double.PositiveInfinity,
            MaxDisparity = 100,
        };
        var disparity = new float[world.Depth.Length];
        new Disparity(world.Left.Width, world.Left.Height, DepthKind.Metric, options).Next(world.Depth, disparity);
        return disparity;
    }

    private static float[] Flat(float value) => Map((_, _) => value);

    /// <summary>Boxes before and behind the screen, and a slope, of fractions that binary numbers hold.</summary>
    private static float[] Steps() =>
        Map(
            (x, y) =>
                x is >= 8 and < 14 ? 2.5f
                : y > 4 && x is >= 22 and < 30 ? -3.25f
                : x * 0.03125f
        );

    private static float[] Map(Func<int, int, float> disparity) =>
        [.. Enumerable.Range(0, Columns * Rows).Select(i => disparity(i % Columns, i / Columns))];

    private static Image Painted(Func<int, int, (byte R, byte G, byte B)> colour)
    {
        var image = new Image(Columns, Rows);
        for (var i = 0; i < Columns * Rows; i++)
            (image.Pixels[3 * i], image.Pixels[3 * i + 1], image.Pixels[3 * i + 2]) = colour(i % Columns, i / Columns);
        return image;
    }

    private static (byte R, byte G, byte B) ColourAt(Image image, int y, int x) =>
        (image.Row(y)[3 * x], image.Row(y)[3 * x + 1], image.Row(y)[3 * x + 2]);

    private static T[] Mirror<T>(T[] map) => [.. map.Chunk(Columns).SelectMany(row => row.Reverse())];

    private static Image Mirror(Image image) => new(Columns, Rows, [.. Mirror(image.Pixels.Chunk(3).ToArray()).SelectMany(pixel => pixel)]);

    private static void AssertNear(Image expected, Image actual, int tolerance) =>
        Assert.All(expected.Pixels.Zip(actual.Pixels), pair => Assert.InRange(pair.First - pair.Second, -tolerance, tolerance));
}
