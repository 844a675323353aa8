using System.Diagnostics;
using System.Text.Json.Nodes;
using Sora.Media;
using Sora.Tests.Media.Spatial;
using Xunit;

namespace Sora.Tests.Media;

/// <summary>What files say of two eyes, as ffprobe and mp4box read it.</summary>
public sealed class FramePackingTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-packing-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("a.mp4", FramePacking.SideBySide, "side by side", null)]
    [InlineData("a.mp4", FramePacking.HalfSideBySide, "side by side", null)]
    [InlineData("a.mp4", FramePacking.TopBottom, "top and bottom", null)]
    [InlineData("a.mp4", FramePacking.HalfTopBottom, "top and bottom", null)]
    [InlineData("a.mkv", FramePacking.SideBySide, "side by side", "1:1")]
    [InlineData("a.mkv", FramePacking.HalfSideBySide, "side by side", "2:1")]
    [InlineData("a.mkv", FramePacking.TopBottom, "top and bottom", "1:1")]
    [InlineData("a.mkv", FramePacking.HalfTopBottom, "top and bottom", "1:2")]
    [InlineData("a.webm", FramePacking.HalfSideBySide, "side by side", "2:1")]
    [InlineData("a.webm", FramePacking.TopBottom, "top and bottom", "1:1")]
    public void ReadersKnowHowItIsPacked(string name, FramePacking packing, string type, string? aspect)
    {
        Write(name, packing);
        var stream = Probe("-show_streams", name)["streams"]![0]!;
        Assert.Equal(type, (string?)stream["side_data_list"]![0]!["type"]);
        Assert.Equal(aspect, (string?)stream["sample_aspect_ratio"]);
        Assert.Equal("24000/1001", (string?)stream["avg_frame_rate"]);
        Assert.Equal((32, 16), ((int)stream["width"]!, (int)stream["height"]!));
    }

    /// <summary>Every frame is where the index says after the box was put before it.</summary>
    [Theory]
    [InlineData(VideoFormat.Mp4)]
    [InlineData(VideoFormat.Hevc)]
    public void TheBoxMovesNoFrame(VideoFormat format)
    {
        Write("with.mp4", FramePacking.TopBottom, format);
        Write("without.mp4", null, format);
        using var with = VideoReader.Open(At("with.mp4"));
        using var without = VideoReader.Open(At("without.mp4"));
        var (frames, expected) = (with.Frames().ToList(), without.Frames().ToList());
        Assert.Equal(5, frames.Count);
        Assert.Equal(expected.Select(frame => frame.Pixels), frames.Select(frame => frame.Pixels));
        Assert.Null(with.Complaint);
        Assert.Equal(
            format == VideoFormat.Mp4 ? "h264" : "hevc",
            (string?)Probe("-show_streams", "with.mp4")["streams"]![0]!["codec_name"]
        );
    }

    [Theory]
    [InlineData(FramePacking.SideBySide, 3)]
    [InlineData(FramePacking.HalfTopBottom, 4)]
    public void TheH264StreamSaysItItself(FramePacking packing, int type)
    {
        Write("a.mp4", packing);
        Run("ffmpeg", $"-v error -i {At("a.mp4")} -c copy {At("a.h264")}");
        // A SEI message of payload type 45, its size, and in bits: the arrangement's number 0 (1), not cancelled (0), seven of its type.
        var stream = File.ReadAllBytes(At("a.h264"));
        var at = stream.AsSpan().IndexOf((byte[])[0, 0, 1, 6, 45]) + 6;
        Assert.Equal(0b10, stream[at] >> 6);
        Assert.Equal(type, (stream[at] & 63) * 2 + (stream[at + 1] >> 7));
    }

    [Theory]
    [InlineData("stco", new byte[] { 0, 0, 1, 0, 0, 0, 1, 255 }, new byte[] { 0, 0, 1, 13, 0, 0, 2, 12 })]
    [InlineData("co64", new byte[] { 0, 0, 0, 1, 255, 255, 255, 250 }, new byte[] { 0, 0, 0, 2, 0, 0, 0, 7 })]
    public void TheBoxGoesIntoTheEntryAndMovesTheChunks(string name, byte[] chunks, byte[] moved)
    {
        byte[] File(byte[] chunks, params IsoBox[] inEntry)
        {
            var entry = new IsoBox("avc1", new byte[78], inEntry);
            var tables = new IsoBox("stbl", [], new IsoBox("stsd", [0, 0, 0, 0, 0, 0, 0, 1], entry), IsoBox.Full(name, chunks));
            var track = new IsoBox("trak", [], new IsoBox("mdia", [], new IsoBox("minf", [], tables)));
            IsoBox[] boxes = [new("ftyp", [1, 2]), new("moov", [], new IsoBox("mvhd", [3]), track), new("mdat", [4, 5, 6])];
            return [.. boxes.SelectMany(box => box.ToArray())];
        }
        byte[] Table(byte[] places) => [0, 0, 0, (byte)(name == "stco" ? places.Length / 4 : places.Length / 8), .. places];
        System.IO.File.WriteAllBytes(At("a.mp4"), File(Table(chunks)));
        StereoBox.AddTo(At("a.mp4"), 2);
        Assert.Equal(File(Table(moved), new IsoBox("st3d", [0, 0, 0, 0, 2])), System.IO.File.ReadAllBytes(At("a.mp4")));
    }

    [Fact]
    public void OtherFilesGetNoBox()
    {
        File.WriteAllBytes(At("a.mp4"), [.. new IsoBox("mdat", [1]).ToArray(), .. new IsoBox("moov", []).ToArray()]);
        Assert.Throws<InvalidDataException>(() => StereoBox.AddTo(At("a.mp4"), 2));
        Assert.Contains("trak", Assert.Throws<InvalidDataException>(() => StereoBox.Add(new IsoBox("moov", []), 2)).Message);
    }

    /// <summary>An independent reader of the boxes, from npm.</summary>
    [ReaderFact]
    public void Mp4boxFindsTheBox()
    {
        Write("a.mp4", FramePacking.SideBySide);
        Assert.Contains("st3d", IndependentReaders.Boxes(At("a.mp4")));
    }

    private string At(string name) => Path.Combine(folder, name);

    private void Write(string name, FramePacking? packing, VideoFormat? format = null)
    {
        var options = new VideoWriterOptions
        {
            Width = 32,
            Height = 16,
            Fps = 24000 / 1001.0,
            Format = format,
            Packing = packing,
        };
        using var writer = VideoWriter.Create(At(name), options);
        for (var frame = 0; frame < 5; frame++)
            writer.Write(ResampleTests.Noise(32, 16, frame));
        writer.Complete();
    }

    private JsonNode Probe(string what, string name) => JsonNode.Parse(Run("ffprobe", $"-v error -of json {what} {At(name)}"))!;

    private static string Run(string program, string arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, text);
        return text;
    }
}
