using Sora.Media;
using Sora.Tensors;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>encode and decode as a user calls them, against the reference VAE and the real ffmpeg.</summary>
public sealed class EncodeDecodeTests : IDisposable
{
    private readonly Bash bash = new();

    public void Dispose() => bash.Dispose();

    [Theory]
    [InlineData("vae21-encode-7f", "wan21-t2v")]
    [InlineData("vae22-encode-9f", "wan22-ti2v")]
    public void EncodesPicturesAsTheReferenceDoes(string name, string model)
    {
        using var golden = SafeTensorsFile.Open(Repository.Path("tests", "golden", "cases", "wan", $"{name}.safetensors"));
        var shape = golden.Tensors["in.frames"].Shape; // [1, F, H, W, 3]
        var (frames, height, width) = ((int)shape[1], (int)shape[2], (int)shape[3]);
        Write(
            "in/%04d.png",
            golden.Data("in.frames").ToArray().Chunk(height * width * 3).Select(pixels => new Image(width, height, pixels))
        );

        var outcome = bash.Run($"sora encode --model {model} in/%04d.png --size {width}x{height} --fps 16 -o y.latent").Succeeded();
        Assert.Equal((frames - 1) % 4 > 0, outcome.Err.Contains("left out"));
        using var clip = SafeTensorsFile.Open(At("y.latent"));
        Assert.Equal(golden.Tensors["out.mean"].Shape, clip.Tensors["latent_tensor"].Shape);
        AssertClose(golden.Floats("out.mean"), clip.Floats("latent_tensor"), 1.1e-5f);
        Assert.Equal(((frames - 1) / 4 * 4 + 1).ToString(), clip.Metadata["frames"]);
        Assert.Equal("16", clip.Metadata["fps"]);
    }

    [Theory]
    [InlineData("vae21-decode-5f", "wan21-t2v")]
    [InlineData("vae22-decode-9f", "wan22-ti2v")]
    public void DecodesBareLatentsAsTheReferenceDoes(string name, string model)
    {
        using var golden = SafeTensorsFile.Open(Repository.Path("tests", "golden", "cases", "wan", $"{name}.safetensors"));
        var latents = new HostTensor(DType.F32, [.. golden.Tensors["in.latents"].Shape], golden.Data("in.latents").ToArray());
        using (var stream = File.Create(At("x.latent")))
        {
            // As ComfyUI writes it: no metadata of ours.
            SafeTensors.Write(
                stream,
                new Dictionary<string, string>(),
                new Dictionary<string, HostTensor>
                {
                    ["latent_tensor"] = latents,
                    ["latent_format_version_0"] = HostTensor.FromFloats([], [0]),
                }
            );
        }

        bash.Run($"sora decode --model {model} x.latent -o frames/%04d.png").Succeeded();
        var shape = golden.Tensors["out.video"].Shape; // [1, 3, F, H, W]
        var video = golden.Floats("out.video");
        var plane = (int)(shape[3] * shape[4]);
        for (var f = 0; f < shape[2]; f++)
        {
            var frame = Image.Load(At($"frames/{f + 1:D4}.png"));
            Assert.Equal((shape[4], shape[3]), (frame.Width, frame.Height));
            for (var i = 0; i < plane; i++)
            {
                for (var c = 0; c < 3; c++)
                    Assert.InRange(
                        frame.Pixels[i * 3 + c] / 255f - (video[(c * shape[2] + f) * plane + i] + 1) / 2,
                        -0.6f / 255,
                        0.6f / 255
                    );
            }
        }
        Assert.Equal(shape[2], Directory.GetFiles(At("frames")).Length);
    }

    /// <summary>Five times the frames, and the same memory: latents alone are kept, here some kilobytes.</summary>
    [Fact]
    public void MemoryDoesNotGrowWithDuration()
    {
        var outcome = bash.Run(
                """
                set -e
                peak() { "$@" & while grep -s VmHWM /proc/$!/status > $!.now; do mv $!.now peak; done; wait $!; tr -dc 0-9 < peak; echo; }
                for frames in 161 801; do
                    ffmpeg -v error -f lavfi -i testsrc2=size=128x128:rate=16 -frames:v $frames -c:v ffv1 $frames.mkv
                    peak sora encode $frames.mkv --model wan22-ti2v --quiet -o $frames.latent
                    peak sora decode $frames.latent --quiet -o $frames.mp4
                done
                """
            )
            .Succeeded();
        var peaks = outcome.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToArray();
        Assert.Equal(4, peaks.Length);
        // At this size 16 frames pass at once. Memory varies by some 40 MB, since freed memory is kept. What 640 frames more
        // need in each of the widest layers of this small network alone is 335 MB.
        for (var i = 0; i < 2; i++)
            Assert.InRange(peaks[i + 2], 0, peaks[i] + 90_000);
    }

    /// <summary>
    /// FFMpegCore asks an ffmpeg that is no longer needed to quit, on its standard input. One that is about to end doesn't read
    /// that any more: no error, for all frames are there.
    /// </summary>
    [Fact]
    public void AnFfmpegThatIsAboutToEndMayBeStopped() =>
        bash.Run(
                """
                set -e
                ffmpeg -v error -f lavfi -i testsrc2=size=32x16 -frames:v 1 a.png
                mkdir bin
                printf '#!/bin/sh\nexec < /dev/null\n%s "$@"; s=$?; sleep 2; exit $s\n' "$(command -v ffmpeg)" > bin/ffmpeg
                chmod +x bin/ffmpeg
                PATH=$PWD/bin:$PATH sora generate --model wan21-i2v "two cats" --image a.png \
                    --size 32x16 --frames 5 --steps 1 --text-length 32 -o b.latent
                """
            )
            .Succeeded();

    [Fact]
    public void AVideoGoesThroughAPipeAndComesBack()
    {
        bash.Run(
                """
                set -euo pipefail
                ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=10:duration=1 -pix_fmt yuv420p holiday.mp4
                sora encode holiday.mp4 --model wan22-ti2v --size 33x33 --fit pad 2> refused && exit 1
                grep -q 'multiples of 16' refused
                sora encode holiday.mp4 --model wan22-ti2v --size 32x32 --fit pad | sora decode -o back.mp4
                ffmpeg -v error -i holiday.mp4 -f yuv4mpegpipe - \
                    | sora encode --model wan22-ti2v --start 0.2s --frames 6 | sora decode > back.y4m
                """
            )
            .Succeeded();
        using var back = VideoReader.Open(At("back.mp4"));
        Assert.Equal((32, 32, 10.0), (back.Width, back.Height, back.Fps));
        Assert.Equal(9, back.Frames().Count());
        using var piped = VideoReader.Open(At("back.y4m"));
        Assert.Equal((64, 48, 10.0), (piped.Width, piped.Height, piped.Fps));
        Assert.Equal(5, piped.Frames().Count());
    }

    [Fact]
    public void ADecoderRefusesLatentsOfAnotherVae()
    {
        Write("a.png", [new Image(16, 16)]);
        var outcome = bash.Run(
            """
            sora encode a.png --model wan22-ti2v -o a.latent && sora decode a.latent --model fmt-t2v -o a.mp4
            sora decode a.latent --model wan21-t2v -o b.mp4
            """
        );
        Assert.Equal(1, outcome.Status);
        Assert.Contains("a.latent: its latents are from a different VAE than that of wan21-t2v: 24 channels, not 16", outcome.Err);
        Assert.Contains("it was made with --model wan22-ti2v", outcome.Err);
        Assert.False(File.Exists(At("b.mp4")));
    }

    [Fact]
    public void SeveralClipsNeedNumbers()
    {
        Write("a.png", [new Image(16, 16)]);
        var outcome = bash.Run(
            """
            sora encode a.png --model wan22-ti2v -o a.latent
            cat a.latent a.latent | sora decode -o clip-%02d.mp4 && cat a.latent a.latent | sora decode -o c%d/%d.png && ls clip-* c*/*
            cat a.latent a.latent | sora decode -o one.mp4
            """
        );
        Assert.Equal(2, outcome.Status);
        Assert.Equal(
            ["c1/1.png", "c2/1.png", "clip-01.mp4", "clip-02.mp4"],
            outcome.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        );
        Assert.Contains("number them: -o out-%d.mp4", outcome.Err);
    }

    [Fact]
    public void InterruptingLeavesNothing()
    {
        var outcome = bash.Run(
            """
            ffmpeg -v error -f lavfi -i testsrc2=size=128x128:rate=16:duration=60 -c:v ffv1 long.mkv
            mkdir temporary; export TMPDIR=$PWD/temporary
            sora encode long.mkv --model wan22-ti2v -o long.latent & sleep 2; kill -TERM $!; wait $!; echo $?
            ls -A . temporary
            """
        );
        Assert.Equal("130\n.:\nlong.mkv\ntemporary\n\ntemporary:\n", outcome.Out);
    }

    private string At(string name) => Path.Combine(bash.Folder, name);

    private void Write(string name, IEnumerable<Image> frames)
    {
        var all = frames.ToList();
        using var writer = VideoWriter.Create(At(name), new VideoWriterOptions { Width = all[0].Width, Height = all[0].Height });
        foreach (var frame in all)
            writer.Write(frame);
        writer.Complete();
    }

    private static void AssertClose(float[] expected, float[] actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.InRange(actual[i], expected[i] - tolerance, expected[i] + tolerance);
    }
}
