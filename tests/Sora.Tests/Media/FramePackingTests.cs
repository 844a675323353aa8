using System.Diagnostics;
using System.Text.Json.Nodes;
using Sora.Media;
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

    [Fact]
    public void BoxesAreWhereTheyBelong()
    {
        // moov/trak/mdia/minf/stbl with stsd/avc1 and a stco of two chunks, behind an empty mvhd.
        byte[] entry = Box("avc1", new byte[78]);
        byte[] tables =
        [
            .. Box("stsd", [0, 0, 0, 0, 0, 0, 0, 1, .. entry]),
            .. Box("stco", [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 1, 255]),
        ];
        byte[] Around(byte[] inner) => Box("moov", [.. Box("mvhd", []), .. Box("trak", Box("mdia", Box("minf", Box("stbl", inner))))]);
        byte[] larger = Box("avc1", [.. new byte[78], 0, 0, 0, 13, .. "st3d"u8, 0, 0, 0, 0, 2]);
        byte[] moved =
        [
            .. Box("stsd", [0, 0, 0, 0, 0, 0, 0, 1, .. larger]),
            .. Box("stco", [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 13, 0, 0, 2, 12]),
        ];
        Assert.Equal(Around(moved), StereoBox.WithBox(Around(tables), 2));
        byte[] wide = Box("co64", [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 255, 255, 255, 250]);
        var after = StereoBox.WithBox(Around([.. Box("stsd", [0, 0, 0, 0, 0, 0, 0, 1, .. entry]), .. wide]), 1);
        Assert.Equal([0, 0, 0, 2, 0, 0, 0, 7], after[^8..]);
        Assert.Contains("stsd", Assert.Throws<SoraException>(() => StereoBox.WithBox(Around(wide), 1)).Message);
        Assert.Throws<SoraException>(() => StereoBox.WithBox(Around([0, 0, 0, 99, .. "stsd"u8]), 1));
    }

    /// <summary>An independent reader of the boxes, from npm.</summary>
    [NpmFact("mp4box@2.4.1")]
    public void Mp4boxFindsTheBox()
    {
        Write("a.mp4", FramePacking.SideBySide);
        File.WriteAllText(
            At("read.mjs"),
            $$"""
            import fs from 'node:fs';
            import { createFile } from '{{NpmFactAttribute.Folder}}/node_modules/mp4box/dist/mp4box.all.mjs';
            const file = createFile();
            const bytes = fs.readFileSync('{{At("a.mp4")}}');
            const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
            buffer.fileStart = 0;
            file.appendBuffer(buffer);
            file.flush();
            const entry = file.moov.traks[0].mdia.minf.stbl.stsd.entries[0];
            console.log(entry.boxes.map(box => `${box.type} ${box.size}`).join('\n'));
            """
        );
        Assert.Contains("st3d 13", Run("node", At("read.mjs")).Split('\n'));
    }

    private static byte[] Box(string name, byte[] content) =>
        [0, 0, (byte)((content.Length + 8) >> 8), (byte)(content.Length + 8), .. System.Text.Encoding.ASCII.GetBytes(name), .. content];

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
