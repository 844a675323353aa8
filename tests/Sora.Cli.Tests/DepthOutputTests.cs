using System.Runtime.InteropServices;
using System.Text.Json;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>What <c>sora depth</c> writes, as other programs read it.</summary>
public sealed class DepthOutputTests : IDisposable
{
    private readonly Bash bash = new();

    public void Dispose() => bash.Dispose();

    /// <summary>Two shots; the numbers of the JSON file give back the depths of the NumPy file to half a step of 16 bits.</summary>
    [Fact]
    public void IntegersAndTheirDescriptionGiveTheDepthsBack()
    {
        const int pixels = 48 * 32,
            frames = 7;
        bash.Run(
                """
                set -e
                ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=8 -frames:v 4 a.mkv
                ffmpeg -v error -f lavfi -i color=navy:size=48x32:rate=8 -vf drawbox=x=9:y=9:w=9:h=9:color=blue -frames:v 3 b.mkv
                ffmpeg -v error -i a.mkv -i b.mkv -filter_complex '[0][1]concat' -c:v ffv1 c.mkv
                for o in d.mkv d.npz; do sora depth --source c.mkv --model depth-anything-tiny -o $o; done
                ffmpeg -v error -i d.mkv -f rawvideo -pix_fmt gray16le d.raw
                """
            )
            .Succeeded();
        var stored = MemoryMarshal.Cast<byte, ushort>(File.ReadAllBytes(At("d.raw")));
        Assert.Equal(frames * pixels, stored.Length);
        using var archive = System.IO.Compression.ZipFile.OpenRead(At("d.npz"));
        using var entry = archive.GetEntry("depth.npy")!.Open();
        var bytes = new MemoryStream();
        entry.CopyTo(bytes);
        var depth = MemoryMarshal.Cast<byte, float>(bytes.ToArray().AsSpan(^(frames * pixels * sizeof(float))..));

        using var json = JsonDocument.Parse(File.ReadAllText(At("d.mkv.json")));
        var shots = json.RootElement.GetProperty("shots").EnumerateArray().ToList();
        Assert.Equal([0, 4], shots.Select(shot => shot.GetProperty("first_frame").GetInt32()));
        for (var i = 0; i < stored.Length; i++)
        {
            var shot = shots.Last(shot => shot.GetProperty("first_frame").GetInt32() <= i / pixels);
            var (low, high) = (shot.GetProperty("low").GetDouble(), shot.GetProperty("high").GetDouble());
            Assert.Equal(depth[i], low + (high - low) * stored[i] / 65535, (high - low) / 65535 * 0.51);
        }
    }

    /// <summary>
    /// Thirty times the frames, and the same memory but for what the runtime keeps of freed memory, though all maps would be 177 MB.
    /// </summary>
    [Fact]
    public void MemoryDoesNotGrowWithDuration()
    {
        var outcome = bash.Run(
                """
                set -e
                peak() { "$@" & while grep -s VmHWM /proc/$!/status > $!.now; do mv $!.now peak; done; wait $!; tr -dc 0-9 < peak; echo; }
                for seconds in 2 60; do
                    ffmpeg -v error -f lavfi -i testsrc2=size=256x192:rate=15 -t $seconds -c:v ffv1 $seconds.mkv
                    peak sora depth --source $seconds.mkv --model depth-anything-tiny --quiet -o d.mkv
                done
                """
            )
            .Succeeded();
        var peaks = outcome.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToArray();
        Assert.Equal(2, peaks.Length);
        Assert.InRange(peaks[1], 0, peaks[0] + 60_000);
    }

    [Fact]
    public void AnInterruptedRunLeavesNothing()
    {
        var outcome = bash.Run(
            """
            ffmpeg -v error -f lavfi -i testsrc2=size=128x96:rate=15 -t 600 -c:v ffv1 a.mkv
            for o in d.mkv d.npz %d.png; do
                timeout --preserve-status -s INT 3 sora depth --source a.mkv --model depth-anything-tiny --quiet -o $o; echo $?; ls -A
            done
            """
        );
        Assert.Equal("130\na.mkv\n130\na.mkv\n130\na.mkv\n", outcome.Out);
    }

    private string At(string name) => Path.Combine(bash.Folder, name);
}
