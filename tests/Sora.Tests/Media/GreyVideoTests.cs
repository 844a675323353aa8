using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Sora.Media;
using Sora.Tests.Clips;
using Xunit;

namespace Sora.Tests.Media;

/// <summary>Grey of 16 bits and of float32, and frames with times of their own, through the real ffmpeg.</summary>
public sealed class GreyVideoTests : IDisposable
{
    private const int Width = 37,
        Height = 21,
        Frames = 4;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("grey.mkv", false)]
    [InlineData("grey.mkv", true)]
    [InlineData("%d.png", false)]
    public void SixteenBitsComeBack(string name, bool hasTimes)
    {
        var random = new Random(3);
        var frames = Enumerable
            .Range(0, Frames)
            .Select(_ => Enumerable.Range(0, Width * Height).Select(_ => (ushort)random.Next(65536)).ToArray())
            .ToArray();
        frames[0][0] = 0;
        frames[0][1] = ushort.MaxValue;
        using (var writer = VideoWriter.Create(folder[name], Options(name, PixelKind.Grey16, hasTimes)))
        {
            foreach (var (i, frame) in frames.Index())
                writer.Write(frame, TimeSpan.FromMilliseconds(10 + 70 * i * i));
            writer.Complete();
        }
        var read = MemoryMarshal.Cast<byte, ushort>(Raw(folder[name], "gray16le")).ToArray();
        Assert.Equal(frames.SelectMany(frame => frame), read);
        if (hasTimes)
            Assert.Equal([0.01, 0.08, 0.29, 0.64], Times(folder[name]));
    }

    [Fact]
    public void EveryBitOfFloatsComesBack()
    {
        var random = new Random(4);
        float[] frame =
        [
            float.NaN,
            float.PositiveInfinity,
            -0f,
            float.Epsilon,
            .. Enumerable.Range(4, Width * Height - 4).Select(_ => 100 * random.NextSingle() - 3),
        ];
        using (var writer = VideoWriter.Create(folder["a.exr"], Options("a.exr", PixelKind.GreyFloat, false)))
        {
            writer.Write(frame);
            writer.Complete();
        }
        Assert.Equal(MemoryMarshal.AsBytes<float>(frame).ToArray(), Raw(folder["a.exr"], "grayf32le"));
    }

    /// <summary>Times that follow no rate: read from a file, written to others, and there again.</summary>
    [Theory]
    [InlineData("a.mkv", 0.0005)]
    [InlineData("a.webm", 0.0005)]
    [InlineData("a.mp4", 0.000001)]
    public void TimesAreKept(string name, double resolution)
    {
        Ffmpeg(
            "-f lavfi -i testsrc2=s=64x48:r=30:d=1 -vf select='lt(n\\,8)+not(mod(n\\,5))',setpts=PTS+0.25/TB -fps_mode passthrough "
                + $"-c:v libx264 {folder["vfr.mp4"]}"
        );
        var expected = Times(folder["vfr.mp4"]);
        Assert.Equal(12, expected.Length);
        Assert.True(expected[^1] - expected[^2] > 4 * (expected[1] - expected[0]));
        using var reader = VideoReader.Open(folder["vfr.mp4"], new VideoReaderOptions { KeepTimes = true });
        Assert.True(reader.HasTimes);
        using (
            var writer = VideoWriter.Create(
                folder[name],
                new VideoWriterOptions
                {
                    Width = reader.Width,
                    Height = reader.Height,
                    KeepTimes = true,
                }
            )
        )
        {
            var read = new List<double>();
            foreach (var (frame, time) in reader.TimedFrames())
            {
                read.Add(time!.Value.TotalSeconds);
                writer.Write(frame, time.Value);
            }
            writer.Complete();
            Assert.Equal(expected, read, (a, b) => Math.Abs(a - b) < 0.000001);
        }
        Assert.Equal(expected, Times(folder[name]), (a, b) => Math.Abs(a - b) <= resolution + 1e-9);
    }

    /// <summary>A folder whose name has every character that ffmpeg's filters treat in a special way.</summary>
    [Fact]
    public void AFiltersValueIsEscaped() =>
        Assert.Equal(@"unix\\:/a b\,c\\\'\[d\]\\\\e\;" + "\\\"", FfmpegRun.FilterValue("unix:/a b,c'[d]\\e;\""));

    [Fact]
    public void PicturesHaveNoTimes()
    {
        new Image(8, 8).Save(folder["a.png"]);
        using var reader = VideoReader.Open(folder["a.png"], new VideoReaderOptions { KeepTimes = true });
        Assert.False(reader.HasTimes);
        Assert.Null(Assert.Single(reader.TimedFrames()).Time);
    }

    private static VideoWriterOptions Options(string name, PixelKind pixels, bool hasTimes) =>
        new()
        {
            Width = Width,
            Height = Height,
            Pixels = pixels,
            KeepTimes = hasTimes,
            Format = name.EndsWith(".exr", StringComparison.Ordinal) ? VideoFormat.Exr : null,
        };

    private static double[] Times(string path) =>
        [
            .. Program("ffprobe", $"-v error -select_streams v -show_entries frame=pts_time -of default=nw=1:nk=1 {path}")
                .ReadToEnd()
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => double.Parse(line, CultureInfo.InvariantCulture)),
        ];

    private static byte[] Raw(string path, string format)
    {
        using var bytes = new MemoryStream();
        Program("ffmpeg", $"-v error -i {path} -fps_mode passthrough -f rawvideo -pix_fmt {format} -").BaseStream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static void Ffmpeg(string arguments) => Program("ffmpeg", $"-v error {arguments}").ReadToEnd();

    /// <summary>What a program prints; it is over when that ends.</summary>
    private static StreamReader Program(string name, string arguments) =>
        Process.Start(new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true })!.StandardOutput;
}
