using System.Globalization;
using System.Text;
using FFMpegCore;
using Sora.Media;
using Sora.Media.Spatial;
using Xunit;

namespace Sora.Tests.Media.Spatial;

/// <summary>Through real encoders and decoders: Debian's ffmpeg always, others where they are installed.</summary>
public sealed class SpatialVideoWriterTests : IDisposable
{
    private static readonly SpatialVideoOptions Small = new()
    {
        Width = 64,
        Height = 64,
        Baseline = 0.0635,
        HorizontalFieldOfView = 63.4,
        DisparityAdjustment = -200,
        Hero = HeroEye.Left,
    };

    private readonly string folder = Directory.CreateTempSubdirectory("sora-spatial-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string Video => At("spatial.mov");

    /// <summary>Sizes (even and odd, of one row of blocks and of several), lengths around key frames, rates.</summary>
    public static TheoryData<int, int, int, double> Videos =>
        new()
        {
            { 64, 64, 1, 24 },
            { 160, 90, 2, 30000d / 1001 },
            { 160, 90, 40, 12 },
            { 161, 91, 40, 15 },
            { 320, 256, 12, 60 },
        };

    [ReaderTheory]
    [MemberData(nameof(Videos))]
    public void AnotherReaderDecodesBothViewsExactly(int width, int height, int count, double fps)
    {
        Write(Small with { Width = width, Height = height, Fps = fps }, count);
        foreach (var eye in Enum.GetValues<Eye>())
        {
            var plain = WritePlain(eye, width, height, fps, count);
            var expected = IndependentReaders.Run71("ffmpeg", "-i", plain, "-c:v", "rawvideo", "-f", "image2pipe", "-");
            Assert.Equal(count * (width + width % 2) * (height + height % 2) * 3 / 2, expected.Length);
            string[] view = ["-i", Video, "-map", $"0:v:view:{(int)eye}", "-c:v", "rawvideo", "-f", "image2pipe", "-"];
            AssertSame(expected, IndependentReaders.Run71("ffmpeg", view));
            string[] side =
            [
                "-i",
                Video,
                "-map",
                $"0:v:vpos:{eye.ToString().ToLowerInvariant()}",
                "-c:v",
                "rawvideo",
                "-f",
                "image2pipe",
                "-",
            ];
            AssertSame(expected, IndependentReaders.Run71("ffmpeg", side));
        }
    }

    [Theory]
    [MemberData(nameof(Videos))]
    public async Task OldReadersDecodeTheLeftEyeExactly(int width, int height, int count, double fps)
    {
        Write(Small with { Width = width, Height = height, Fps = fps }, count);
        var plain = WritePlain(Eye.Left, width, height, fps, count);
        AssertSame(Md5(plain), Md5(Video));
        var stream = (await FFProbe.AnalyseAsync(Video)).PrimaryVideoStream!;
        Assert.Equal(("hevc", "hvc1"), (stream.CodecName, stream.CodecTagString));
        Assert.Equal((width + width % 2, height + height % 2), (stream.Width, stream.Height));
        Assert.Equal(fps, stream.AverageFrameRate, 1e-3);
        Assert.Equal(count / fps, stream.Duration.TotalSeconds, 1e-3);
        Assert.Equal(
            ("bt709", "bt709", "bt709", "tv"),
            (stream.ColorSpace, stream.ColorTransfer, stream.ColorPrimaries, stream.ColorRange)
        );

        byte[] Md5(string path) => IndependentReaders.RunFfmpeg("ffmpeg", "-i", path, "-fps_mode", "passthrough", "-f", "framemd5", "-");
    }

    /// <summary>Every frame lasts as long as any other, and a player can start at one in each two seconds.</summary>
    [Theory]
    [InlineData(12, 50, new[] { 0, 24, 48 })]
    [InlineData(30000d / 1001, 62, new[] { 0, 60 })]
    [InlineData(0.5, 3, new[] { 0, 1, 2 })]
    public void FramesAreEvenlySpacedAndKeyFramesRegular(double fps, int count, int[] keys)
    {
        Write(Small with { Fps = fps }, count);
        var packets = IndependentReaders.RunFfmpeg(
            "ffprobe",
            "-show_entries",
            "packet=pts_time,duration_time,flags",
            "-of",
            "csv=p=0",
            Video
        );
        var lines = Encoding.ASCII.GetString(packets).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(count, lines.Length);
        for (var frame = 0; frame < count; frame++)
        {
            var fields = lines[frame].Split(',');
            Assert.Equal(frame / fps, double.Parse(fields[0], CultureInfo.InvariantCulture), 2e-5);
            Assert.Equal(1 / fps, double.Parse(fields[1], CultureInfo.InvariantCulture), 2e-5);
            Assert.Equal(keys.Contains(frame), fields[2].StartsWith('K'));
        }
    }

    [ReaderFact]
    public void AnotherReaderFindsTheStereoData()
    {
        Write(Small with { Hero = HeroEye.Right }, 2);
        var said = Encoding.UTF8.GetString(IndependentReaders.Run71("ffprobe", "-show_streams", Video));
        foreach (
            var line in new[]
            {
                "view_ids_available=0,1",
                "view_pos_available=1,2",
                "view=packed",
                "inverted=0",
                "primary_eye=right",
                "baseline=63500",
                "horizontal_disparity_adjustment=-200/10000",
                "horizontal_field_of_view=63400/1000",
                "projection=rectilinear",
            }
        )
            Assert.Contains($"\n{line}\n", said);
        var boxes = IndependentReaders.Boxes(Video);
        Assert.Equal(["ftyp", "moov", "mvhd"], boxes[..3]);
        Assert.Equal("mdat", boxes[^1]);
        foreach (var box in new[] { "hvc1", "hvcC", "lhvC", "vexu", "hfov", "colr", "stts", "stss", "stsc", "stsz", "co64" })
            Assert.Single(boxes, box);
    }

    /// <summary>The boxes as their own description has them, whatever another reader makes of them.</summary>
    [Fact]
    public void BoxesSayHowTheEyesWereRecorded()
    {
        var usage = StereoBoxes.Usage(Small);
        Assert.Equal([0, 0, 0, 0, 0b11], usage.Find("eyes", "stri").Fields);
        Assert.Equal([0, 0, 0, 0, 1], usage.Find("eyes", "hero").Fields);
        Assert.Equal([0, 0, 0, 0, 0, 0, 0xF8, 0x0C], usage.Find("eyes", "cams", "blin").Fields); // 63,500 micrometres
        Assert.Equal([0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x38], usage.Find("eyes", "cmfy", "dadj").Fields); // -200
        Assert.Equal([0, 0, 0, 0, .. "rect"u8], usage.Find("proj", "prji").Fields);
        Assert.Equal([0, 0, 0xF7, 0xA8], StereoBoxes.FieldOfView(63.4).Fields); // 63,400 thousandths
    }

    [Fact]
    public void OnlyTheFileIsLeft()
    {
        File.WriteAllText(Video, "before");
        using (var writer = SpatialVideoWriter.Create(Video, Small))
        {
            writer.Write(Picture(Eye.Left, 64, 64, 0), Picture(Eye.Right, 64, 64, 0));
            Assert.Equal("before", File.ReadAllText(Video));
            writer.Complete();
        }
        Assert.Equal([Video], Directory.GetFiles(folder));
        Assert.True(File.ReadAllBytes(Video).AsSpan().IndexOf("moov"u8) < File.ReadAllBytes(Video).AsSpan().IndexOf("mdat"u8));
    }

    [Fact]
    public void WithoutCompleteThereIsNoFile()
    {
        using (var writer = SpatialVideoWriter.Create(Video, Small))
            writer.Write(Picture(Eye.Left, 64, 64, 0), Picture(Eye.Right, 64, 64, 0));
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Fact]
    public void CancellingStopsAndLeavesNoFile()
    {
        using var stop = new CancellationTokenSource();
        var large = Small with { Width = 640, Height = 480 };
        using (var writer = SpatialVideoWriter.Create(Video, large, stop.Token))
        {
            var noise = ResampleTests.Noise(640, 480);
            writer.Write(noise, noise);
            stop.CancelAfter(100);
            Assert.ThrowsAny<OperationCanceledException>(() =>
            {
                for (var frame = 0; frame < 10000; frame++)
                    writer.Write(noise, noise);
            });
        }
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Fact]
    public void CancellingWhileTheEyesAreJoinedLeavesNoFile()
    {
        var (left, right) = (WritePlain(Eye.Left, 64, 64, 24, 3), WritePlain(Eye.Right, 64, 64, 24, 3));
        using var stop = new CancellationTokenSource();
        using (var one = File.OpenRead(left))
        using (var other = File.OpenRead(right))
        {
            var muxer = new StereoMuxer(one, other, Small);
            stop.Cancel();
            Assert.ThrowsAny<OperationCanceledException>(() => muxer.Write(new MemoryStream(), stop.Token));
        }
    }

    [Fact]
    public void EyesThatDoNotFitTogetherAreRefused()
    {
        var left = WritePlain(Eye.Left, 64, 64, 24, 3);
        Assert.Contains("the left eye has 3 frames, the right one 2", Fault(WritePlain(Eye.Right, 64, 64, 24, 2)));
        Assert.Contains("differ in their parameter sets of type Sps", Fault(WritePlain(Eye.Right, 96, 64, 24, 3)));

        string Fault(string right)
        {
            using var one = File.OpenRead(left);
            using var other = File.OpenRead(right);
            return Assert.Throws<InvalidDataException>(() => new StereoMuxer(one, other, Small)).Message;
        }
    }

    [Fact]
    public void AFullDiskIsSaidInOneLine()
    {
        var (left, right) = (WritePlain(Eye.Left, 64, 64, 24, 3), WritePlain(Eye.Right, 64, 64, 24, 3));
        using var one = File.OpenRead(left);
        using var other = File.OpenRead(right);
        using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        Assert.Throws<IOException>(() => new StereoMuxer(one, other, Small).Write(full, CancellationToken.None));
    }

    [Theory]
    [InlineData("video.mp4", "a spatial video is a MOV file")]
    [InlineData("none/video.mov", "no such folder")]
    public void WhatCannotBeWrittenIsRefusedAtOnce(string name, string expected)
    {
        var error = Assert.Throws<SoraException>(() => SpatialVideoWriter.Create(At(name), Small));
        Assert.Contains(expected, error.Message);
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Theory]
    [InlineData(0.06, 60, 0, 20, 15, "the frames are 64x15")]
    [InlineData(0, 60, 0, 20, 64, "the distance between the cameras is 0 m")]
    [InlineData(double.NaN, 60, 0, 20, 64, "the distance between the cameras is NaN m")]
    [InlineData(0.06, 180, 0, 20, 64, "the field of view is 180 degrees")]
    [InlineData(0.06, 60, 10001, 20, 64, "the disparity adjustment is 10001")]
    [InlineData(0.06, 60, 0, 52, 64, "--crf 52: not from 0 to 51")]
    public void NumbersOutsideTheirRangesAreRefused(double baseline, double view, int adjustment, int crf, int height, string expected)
    {
        var options = Small with
        {
            Baseline = baseline,
            HorizontalFieldOfView = view,
            DisparityAdjustment = adjustment,
            Crf = crf,
            Height = height,
        };
        var error = Assert.Throws<SoraException>(() => SpatialVideoWriter.Create(Video, options));
        Assert.Contains(expected, error.Message);
        Assert.Equal(ErrorKind.Usage, error.Kind);
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Fact]
    public void AVideoWithoutFramesIsRefused()
    {
        using var writer = SpatialVideoWriter.Create(Video, Small);
        var error = Assert.Throws<SoraException>(writer.Complete);
        Assert.Equal($"{Video} can't be written: there are no frames", error.Message);
    }

    private string At(string name) => Path.Combine(folder, name);

    private void Write(SpatialVideoOptions options, int count)
    {
        using var writer = SpatialVideoWriter.Create(Video, options);
        for (var frame = 0; frame < count; frame++)
        {
            writer.Write(Picture(Eye.Left, options.Width, options.Height, frame), Picture(Eye.Right, options.Width, options.Height, frame));
        }
        writer.Complete();
    }

    /// <summary>The same frames of one eye, encoded in the same way as a video of their own.</summary>
    private string WritePlain(Eye eye, int width, int height, double fps, int count)
    {
        var path = At($"{eye}.mov");
        var options = new VideoWriterOptions
        {
            Width = width,
            Height = height,
            Fps = fps,
        };
        using var writer = VideoWriter.Create(path, path, SpatialVideoWriter.Recipe(fps), options, CancellationToken.None);
        for (var frame = 0; frame < count; frame++)
            writer.Write(Picture(eye, width, height, frame));
        writer.Complete();
        return path;
    }

    /// <summary>Rings and tiles that move, seen from two places.</summary>
    private static Image Picture(Eye eye, int width, int height, int frame)
    {
        var image = new Image(width, height);
        for (var y = 0; y < height; y++)
        {
            var row = image.Row(y);
            for (var x = 0; x < width; x++)
            {
                var across = x + 3 * frame + 5 * (int)eye;
                row[3 * x] = (byte)(3 * across + y);
                row[3 * x + 1] = (byte)((across * across + y * y) / 64);
                row[3 * x + 2] = (byte)((across / 8 + y / 8) % 2 * 200 + 20);
            }
        }
        return image;
    }

    private static void AssertSame(byte[] expected, byte[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(expected.Length, expected.AsSpan().CommonPrefixLength(actual));
    }

    private enum Eye
    {
        Left,
        Right,
    }
}
