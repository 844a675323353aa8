using System.Diagnostics;
using FFMpegCore;
using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

/// <summary>Through the real ffmpeg.</summary>
public sealed class VideoTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-media-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void PngKeepsEveryBit()
    {
        var image = ResampleTests.Noise(33, 17);
        image.Save(At("still.png"));
        Assert.Equal(image.Pixels, Image.Load(At("still.png")).Pixels);
    }

    [Theory]
    [InlineData("frames/%04d.png")]
    [InlineData("100% new/picture-%d.png")]
    [InlineData("lossless.mkv")]
    public void LosslessFormatsKeepEveryBit(string name)
    {
        var frames = Noise(5, 35, 21);
        WriteAll(name, frames, 12);
        using var reader = VideoReader.Open(At(name));
        Assert.Equal((35, 21), (reader.Width, reader.Height));
        AssertSame(frames, [.. reader.Frames()], 0);
    }

    [Fact]
    public void SequencesCountFromOneAndAreReadFromTheirFirstNumber()
    {
        WriteAll("f/%03d.png", Noise(3, 8, 8), 24);
        Assert.Equal(["001.png", "002.png", "003.png"], Directory.GetFiles(At("f")).Select(Path.GetFileName).Order());
        Assert.Empty(Directory.GetDirectories(At("f")));
        File.Move(At("f/003.png"), At("f/042.png"));
        File.Delete(At("f/001.png"));
        File.Delete(At("f/002.png"));
        using var reader = VideoReader.Open(At("f/%03d.png"), new VideoReaderOptions { PicturesPerSecond = 8 });
        Assert.Equal(8, reader.Fps);
        Assert.Single(reader.Frames());
    }

    /// <summary>Colour bars, through a lossless video of each matrix and range, tagged and not.</summary>
    [Theory]
    [InlineData("bt709", "tv", true)]
    [InlineData("bt709", "pc", true)]
    [InlineData("smpte170m", "tv", true)]
    [InlineData("smpte170m", "pc", true)]
    [InlineData("smpte170m", "tv", false)]
    public void ColoursComeBackFromEveryMatrixAndRange(string matrix, string range, bool tagged)
    {
        var bars = Bars(64, 32);
        bars.Save(At("bars.png"));
        var tags = tagged ? $"-colorspace {matrix} -color_range {range}" : "";
        Ffmpeg(
            $"-i {At("bars.png")} -vf scale=out_color_matrix={matrix}:out_range={range}"
                + $":flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv444p {tags} -c:v ffv1 {At("bars.mkv")}"
        );
        AssertSame([bars], [Image.Load(At("bars.mkv"))], 2);
    }

    [Theory]
    [InlineData("bars.mp4", 256, 64)]
    [InlineData("bars.webm", 255, 63)]
    [InlineData("bars.mp4", 255, 63)]
    public async Task WrittenVideosAreTaggedAndReadBack(string name, int width, int height)
    {
        var bars = Bars(width, height);
        WriteAll(name, [.. Enumerable.Repeat(bars, 6)], 24, crf: 4);
        var stream = (await FFProbe.AnalyseAsync(At(name))).PrimaryVideoStream!;
        Assert.Equal(("bt709", "tv", "yuv420p"), (stream.ColorSpace, stream.ColorRange, stream.PixelFormat));
        using var reader = VideoReader.Open(At(name));
        Assert.Equal(24, reader.Fps, 1e-9);
        var frames = reader.Frames().ToList();
        Assert.Equal(6, frames.Count);
        // Chroma is halved, so compare inside the bars.
        for (var bar = 0; bar < 8; bar++)
        {
            var place = (height / 2 * width + width * bar / 8 + width / 16) * 3;
            for (var c = 0; c < 3; c++)
            {
                var at = frames[3].Width == width ? place : (height / 2 * frames[3].Width + width * bar / 8 + width / 16) * 3;
                Assert.InRange(frames[3].Pixels[at + c] - bars.Pixels[place + c], -3, 3);
            }
        }
    }

    [Theory]
    [InlineData("a.gif", 40)]
    [InlineData("a.y4m", 2)]
    public void OtherFormatsReadBack(string name, int tolerance)
    {
        var frames = Enumerable.Range(0, 4).Select(_ => Bars(40, 24)).ToArray();
        WriteAll(name, frames, 10);
        using var reader = VideoReader.Open(At(name));
        Assert.Equal(10, reader.Fps, 1e-9);
        AssertSame(frames, [.. reader.Frames()], tolerance);
    }

    [Fact]
    public void WebpIsAnimated()
    {
        WriteAll("a.webp", Noise(3, 16, 16), 10);
        var bytes = File.ReadAllBytes(At("a.webp"));
        Assert.True(bytes.AsSpan().StartsWith("RIFF"u8));
        Assert.Equal(3, bytes.Where((_, i) => bytes.AsSpan(i).StartsWith("ANMF"u8)).Count());
    }

    [Fact]
    public void Mp4HasItsIndexInFront()
    {
        WriteAll("a.mp4", Noise(3, 16, 16), 10);
        var bytes = File.ReadAllBytes(At("a.mp4"));
        Assert.True(bytes.AsSpan().IndexOf("moov"u8) < bytes.AsSpan().IndexOf("mdat"u8));
    }

    [Fact]
    public void RotationAndSampleAspectAreApplied()
    {
        var image = ResampleTests.Noise(32, 16);
        WriteAll("flat.mkv", [image], 24);
        Ffmpeg($"-i {At("flat.mkv")} -c:v libx264rgb -crf 0 {At("flat.mp4")}");
        Ffmpeg($"-i {At("flat.mp4")} -c copy -metadata:s:v rotate=90 {At("turned.mp4")}");
        var turned = Image.Load(At("turned.mp4"));
        Assert.Equal((16, 32), (turned.Width, turned.Height));
        Assert.Equal(image.Row(0)[..3], turned.Row(31)[..3]);
        Ffmpeg($"-i {At("flat.mkv")} -vf setsar=2/1 -c:v ffv1 {At("wide.mkv")}");
        Assert.Equal((64, 16), Image.Load(At("wide.mkv")) is var wide ? (wide.Width, wide.Height) : default);
    }

    [Fact]
    public void VaryingFrameTimesBecomeConstant()
    {
        // Frames at 0.0, 0.1, … 0.9 s, but from 0.5 s on only every second one.
        Ffmpeg($"-f lavfi -i testsrc=s=16x16:r=10:d=1 -vf select='lt(n\\,5)+mod(n\\,2)' -vsync vfr -c:v ffv1 {At("varying.mkv")}");
        using var reader = VideoReader.Open(At("varying.mkv"), new VideoReaderOptions { Fps = 10 });
        var frames = reader.Frames().ToList();
        Assert.Equal(10, frames.Count);
        Assert.Equal(frames[5].Pixels, frames[6].Pixels);
        Assert.NotEqual(frames[6].Pixels, frames[7].Pixels);
    }

    [Fact]
    public void TrimsAndResamples()
    {
        var frames = Noise(24, 8, 8);
        WriteAll("a.mkv", frames, 12);
        AssertSame(frames[6..9], Read(new VideoReaderOptions { Start = ClipTime.Seconds(0.5), Frames = 3 }), 0);
        AssertSame(frames[..6], Read(new VideoReaderOptions { Duration = ClipTime.Seconds(0.5) }), 0);
        var half = Read(new VideoReaderOptions { Fps = 6 });
        Assert.Equal(12, half.Length);
        var twice = Read(new VideoReaderOptions { Fps = 24 });
        Assert.Equal(48, twice.Length);

        Image[] Read(VideoReaderOptions options)
        {
            using var reader = VideoReader.Open(At("a.mkv"), options);
            return [.. reader.Frames()];
        }
    }

    /// <summary>A reader that is slower than ffmpeg gets every frame, also those that wait when ffmpeg has ended.</summary>
    [Fact]
    public void ASlowReaderLosesNothing()
    {
        var frames = Noise(12, 16, 16);
        WriteAll("a.mkv", frames, 12);
        using var reader = VideoReader.Open(At("a.mkv"));
        Thread.Sleep(600);
        AssertSame(frames, [.. reader.Frames()], 0);
    }

    [Fact]
    public void StreamsCarryY4m()
    {
        var frames = Enumerable.Range(0, 3).Select(_ => Bars(40, 24)).ToArray();
        var stream = new MemoryStream();
        using (
            var writer = VideoWriter.Create(
                stream,
                new VideoWriterOptions
                {
                    Width = 40,
                    Height = 24,
                    Fps = 10,
                }
            )
        )
        {
            foreach (var frame in frames)
                writer.Write(frame);
            writer.Complete();
        }
        stream.Position = 0;
        using var reader = VideoReader.Open(stream, "stream", new VideoReaderOptions { Start = ClipTime.Frames(1) });
        Assert.Equal(10, reader.Fps, 1e-9);
        AssertSame(frames[1..], [.. reader.Frames()], 2);
    }

    /// <summary>ffmpeg goes away when it has the frames that were asked for, with most of the stream unread.</summary>
    [Fact]
    public void APartOfALongStreamIsEnough()
    {
        var frames = Noise(8, 320, 240);
        WriteAll("a.y4m", frames, 10);
        using var stream = File.OpenRead(At("a.y4m"));
        using var reader = VideoReader.Open(stream, "stream", new VideoReaderOptions { Frames = 1 });
        Assert.Single(reader.Frames());
    }

    [Fact]
    public void WhenNobodyReadsTheStreamThatIsTheError()
    {
        using var writer = VideoWriter.Create(new Closed(), new VideoWriterOptions { Width = 320, Height = 240 });
        var error = Assert.Throws<SoraException>(() =>
        {
            for (var i = 0; i < 100; i++)
                writer.Write(new Image(320, 240));
            writer.Complete();
        });
        Assert.Equal(ErrorKind.BrokenPipe, error.Kind);
    }

    [Fact]
    public void AStreamOfAnotherFormatIsReadToo()
    {
        var frames = Noise(3, 16, 8);
        WriteAll("a.mkv", frames, 10);
        using var stream = File.OpenRead(At("a.mkv"));
        using var reader = VideoReader.Open(stream, "stream");
        AssertSame(frames, [.. reader.Frames()], 0);
    }

    [Fact]
    public void NamesWithOddCharactersWork()
    {
        var frames = Noise(2, 8, 8);
        WriteAll("it's a \"test\" \\ä:b%.mkv", frames, 10);
        using var reader = VideoReader.Open(At("it's a \"test\" \\ä:b%.mkv"));
        AssertSame(frames, [.. reader.Frames()], 0);
    }

    [Fact]
    public void WithoutCompleteThereIsNoFile()
    {
        foreach (var name in new[] { "a.mp4", "g/%04d.png" })
        {
            using var writer = VideoWriter.Create(At(name), new VideoWriterOptions { Width = 16, Height = 16 });
            writer.Write(new Image(16, 16));
        }
        Assert.Empty(Directory.GetFiles(folder, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void CancellingStopsAndLeavesNoFile()
    {
        using var stop = new CancellationTokenSource();
        using (var writer = VideoWriter.Create(At("a.mp4"), new VideoWriterOptions { Width = 640, Height = 480 }, stop.Token))
        {
            writer.Write(ResampleTests.Noise(640, 480));
            stop.CancelAfter(100);
            Assert.ThrowsAny<OperationCanceledException>(() =>
            {
                for (var frame = 0; frame < 10000; frame++)
                    writer.Write(ResampleTests.Noise(640, 480));
            });
        }
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Fact]
    public void CancellingStopsAReader()
    {
        Ffmpeg($"-f lavfi -i testsrc=s=320x240:r=25:d=60 -c:v mpeg4 {At("long.mp4")}");
        using var stop = new CancellationTokenSource();
        using var reader = VideoReader.Open(At("long.mp4"), null, stop.Token);
        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            foreach (var _ in reader.Frames())
                stop.Cancel();
        });
    }

    [Theory]
    [InlineData("nothing.mp4", "no such file")]
    [InlineData("none/%04d.png", "no such files")]
    [InlineData("text.mp4", "can't be read: Invalid data found when processing input")]
    [InlineData("sound.wav", "has no video stream")]
    [InlineData(".", "is a folder")]
    public void WhatCannotBeReadIsSaidInOneLine(string name, string expected)
    {
        File.WriteAllText(At("text.mp4"), new string('x', 5000));
        if (name == "sound.wav")
            Ffmpeg($"-f lavfi -i sine=d=0.1 {At(name)}");
        var error = Assert.Throws<SoraException>(() => VideoReader.Open(At(name)));
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void FfmpegsLastErrorLineIsShown()
    {
        // VP9's level of detail doesn't matter: a picture this wide can't be encoded at all.
        var error = Assert.Throws<SoraException>(() =>
            WriteAll("a.gif", [new Image(70000, 2), new Image(70000, 2), new Image(70000, 2)], 10)
        );
        Assert.StartsWith($"{At("a.gif")} can't be written: ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Empty(Directory.GetFiles(folder));
    }

    [Theory]
    [InlineData("a.png", "holds one frame, but there are more")]
    [InlineData("a.xyz", "'xyz' is not a video format")]
    [InlineData("a", "doesn't say which format")]
    [InlineData("%04d.mp4", "a number pattern is only for pictures")]
    public void WhatCannotBeWrittenIsRefusedAtOnce(string name, string expected)
    {
        var error = Assert.Throws<SoraException>(() =>
            VideoWriter.Create(
                At(name),
                new VideoWriterOptions
                {
                    Width = 8,
                    Height = 8,
                    Frames = 2,
                }
            )
        );
        Assert.Contains(expected, error.Message);
        Assert.Equal(ErrorKind.Usage, error.Kind);
    }

    private string At(string name) => Path.Combine(folder, name);

    private void WriteAll(string name, Image[] frames, double fps, int? crf = null)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(name))!);
        var options = new VideoWriterOptions
        {
            Width = frames[0].Width,
            Height = frames[0].Height,
            Fps = fps,
            Crf = crf,
        };
        using var writer = VideoWriter.Create(At(name), options);
        foreach (var frame in frames)
            writer.Write(frame);
        writer.Complete();
    }

    private static Image[] Noise(int count, int width, int height) =>
        [.. Enumerable.Range(0, count).Select(seed => ResampleTests.Noise(width, height, seed))];

    private static Image Bars(int width, int height)
    {
        var bars = new Image(width, height);
        for (var y = 0; y < height; y++)
        for (var x = 0; x < width; x++)
        for (var c = 0; c < 3; c++)
            bars.Row(y)[x * 3 + c] = (byte)((x * 8 / width >> c & 1) == 0 ? 16 + 4 * y * 32 / height / 8 : 191);
        return bars;
    }

    private static void AssertSame(Image[] expected, Image[] actual, int tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal((expected[i].Width, expected[i].Height), (actual[i].Width, actual[i].Height));
            var worst = expected[i].Pixels.Zip(actual[i].Pixels, (a, b) => Math.Abs(a - b)).Max();
            Assert.True(worst <= tolerance, $"frame {i} differs by {worst}");
        }
    }

    private static void Ffmpeg(string arguments)
    {
        using var process = Process.Start("ffmpeg", $"-v error -y {arguments}");
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>A stream whose reader went away.</summary>
    private sealed class Closed : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new SoraException(ErrorKind.BrokenPipe, "gone");

        public override void Write(ReadOnlySpan<byte> buffer) => throw new SoraException(ErrorKind.BrokenPipe, "gone");
    }
}
