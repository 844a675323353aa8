using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Sora.Clips;
using Sora.Media;
using Sora.Stereo;
using Sora.Tensors;
using Xunit;
using Xunit.Abstractions;

namespace Sora.Cli.Tests;

/// <summary>A clip that is encoded once for all tests.</summary>
public sealed class StereoClip : IDisposable
{
    private readonly Bash bash = new();

    public StereoClip() =>
        bash.Run(
                $"""
                set -e
                size={StereoTests.Width}x{StereoTests.Height}
                ffmpeg -v error -f lavfi -i testsrc2=size=$size:rate=8 -frames:v {StereoTests.Frames} a.mkv
                sora encode a.mkv --model wan22-ti2v -o a.latent
                """
            )
            .Succeeded();

    internal Bash Bash => bash;

    public void Dispose() => bash.Dispose();
}

/// <summary>decode --stereo as a user calls it, with the real ffmpeg.</summary>
public sealed class StereoTests(StereoClip clip, ITestOutputHelper output) : IClassFixture<StereoClip>
{
    internal const int Frames = 5,
        Width = 64,
        Height = 32;

    private readonly Bash bash = clip.Bash;

    [Theory]
    [InlineData("sbs", "a.mp4", 128, 32, "side by side")]
    [InlineData("half-sbs", "both.mkv", 64, 32, "side by side")]
    [InlineData("tb", "a.webm", 64, 64, "top and bottom")]
    [InlineData("half-tb", "a.mp4", 64, 32, "top and bottom")]
    [InlineData("quest", "a_LRF_Full_SBS.mp4", 128, 32, "side by side")]
    [InlineData("youtube", "a.mp4", 64, 32, "side by side")]
    [InlineData("anaglyph", "a.mp4", 64, 32, null)]
    [InlineData("anaglyph:grey", "a.gif", 64, 32, null)]
    [InlineData("tb", "a.y4m", 64, 64, null)]
    public void EveryTargetIsWrittenAsItsPlayersReadIt(string target, string file, int width, int height, string? type)
    {
        WriteDepth("d.latent", Ramp());
        var outcome = bash.Run(
                $"sora decode d.latent --stereo {target} -o {file} && ffprobe -v error -of json -count_frames -show_streams {file}"
            )
            .Succeeded();
        Assert.Empty(outcome.Err);
        var stream = JsonNode.Parse(outcome.Out)!["streams"]![0]!;
        Assert.Equal((width, height), ((int)stream["width"]!, (int)stream["height"]!));
        // GIF has times in hundredths of a second.
        Assert.Equal(file.EndsWith(".gif") ? "97/12" : "8/1", (string?)stream["r_frame_rate"]);
        Assert.Equal($"{Frames}", (string?)stream["nb_read_frames"]);
        Assert.Equal(type, (string?)stream["side_data_list"]?[0]?["type"]);
    }

    /// <summary>The file says how far apart the eyes are and how wide they see, and what knows one view shows the left eye's.</summary>
    [Fact]
    public void ASpatialVideoHasBothEyes()
    {
        WriteDepth("d.latent", Ramp());
        var outcome = bash.Run(
                """
                set -e
                sora decode d.latent --stereo visionpro --eyes left --baseline 0.05 --fov 60 --crf 1 -o spatial.mov
                ffmpeg -v warning -i spatial.mov seen-%d.png
                # As smooth in its colours as the video is.
                sora decode d.latent --crf 1 -o flat.mp4
                ffmpeg -v error -i flat.mp4 flat-%d.png
                """
            )
            .Succeeded();
        Assert.Empty(outcome.Err);
        var file = File.ReadAllBytes(At("spatial.mov"));
        int Field(string box, int skipped) =>
            BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(file.AsSpan().IndexOf(Encoding.ASCII.GetBytes(box)) + 4 + skipped));
        Assert.Equal(60_000, Field("hfov", 0)); // thousandths of a degree
        Assert.Equal(50_000, Field("blin", 4)); // micrometres
        Assert.Contains("lhvC", Encoding.Latin1.GetString(file));
        for (var frame = 1; frame <= Frames; frame++)
        {
            var (flat, seen) = (Image.Load(At($"flat-{frame}.png")), Image.Load(At($"seen-{frame}.png")));
            Assert.InRange(flat.Pixels.Zip(seen.Pixels, (a, b) => Math.Abs(a - b)).Average(), 0, 4);
        }
    }

    /// <summary>All is as far away as can be, and the screen as near: everything lies behind it.</summary>
    [Fact]
    public void BothEyesAreThoseOfTheDepth()
    {
        WriteDepth("d.latent", new float[Frames * Height * Width]);
        bash.Run(
                """
                set -e
                sora decode d.latent -o flat/%d.png
                sora decode d.latent --stereo sbs --eyes left --convergence 1 --max-disparity 6.25 --fill background -o both/%d.png
                """
            )
            .Succeeded();
        for (var frame = 1; frame <= Frames; frame++)
        {
            var (flat, both) = (Image.Load(At($"flat/{frame}.png")), Image.Load(At($"both/{frame}.png")));
            Assert.Equal(flat.Pixels, both.Crop(0, 0, Width, Height).Pixels);
            // 6.25 % of 64 columns: what lies behind the screen is four columns farther to the right in the right eye.
            Assert.Equal(flat.Crop(0, 0, Width - 4, Height).Pixels, both.Crop(Width + 4, 0, Width - 4, Height).Pixels);
        }
    }

    [Fact]
    public void MistakesAreSaidInOneLine()
    {
        var (depth, nan) = (Ramp(), Ramp());
        nan[2 * Height * Width + 7] = float.NaN;
        WriteDepth("d.latent", depth);
        WriteDepth("nan.latent", nan);
        WriteDepth("odd.latent", depth, kind: "odd");
        WriteDepth("short.latent", depth[..^(Height * Width)], frames: Frames - 1);
        WriteDepth("small.latent", depth[..(depth.Length / 2)], height: Height / 2);
        (string Command, int Status, string Message, string? Hint)[] mistakes =
        [
            ("sora decode a.latent --stereo sbs -o x.mp4", 1, "a.latent has no depth", "sora depth"),
            ("sora decode short.latent --stereo sbs -o x.mp4", 1, "its depth is [4, 32, 64], but its frames are [5, 32, 64]", "sora depth"),
            ("sora decode small.latent --stereo sbs -o x.mp4", 1, "its depth is [5, 16, 64], but its frames are [5, 32, 64]", "sora depth"),
            ("sora decode nan.latent --stereo sbs -o x.mp4", 1, "its depth holds NaN in frame 2, which is no depth", "sora depth"),
            ("sora decode odd.latent --stereo sbs -o x.mp4", 1, "its depth_kind is 'odd', neither relative nor metric", null),
            ("sora decode $GOLDEN/clips/unfinished.latent --stereo sbs -o x.mp4", 1, "an unfinished clip", "--resume"),
            ("sora decode d.latent --stereo 4d -o x.mp4", 2, "--stereo: '4d' is not one of sbs, half-sbs, tb", null),
            ("sora decode d.latent --stereo quest -o x.gif", 2, "--stereo quest makes mp4 files, not gif", "_LRF_Full_SBS.mp4"),
            ("sora decode d.latent --stereo youtube > y.y4m", 2, "--stereo youtube makes mp4 files, not y4m", "-o clip.mp4"),
            ("sora decode d.latent --stereo visionpro -o x.mp4", 2, "--stereo visionpro makes mov files, not mp4", "-o clip.mov"),
            ("sora decode d.latent --eyes left -o x.mp4", 2, "--eyes is for two eyes", "--stereo"),
            ("sora decode d.latent --dilate 0 -o x.mp4", 2, "--dilate is for two eyes", "--stereo"),
            ("sora decode d.latent --stereo sbs --dilate 101 -o x.mp4", 2, "an edge dilation of 101 pixels", null),
            ("sora decode d.latent --stereo sbs --convergence 2 -o x.mp4", 2, "a convergence of 2", null),
            ("sora decode d.latent --stereo sbs --fov 180 -o x.mp4", 2, "a field of view of 180 degrees", null),
            ("sora decode d.latent --stereo sbs --baseline wide -o x.mp4", 2, "--baseline: 'wide' is not a number", null),
            ("sora decode d.latent --stereo sbs --fill paint -o x.mp4", 2, "'paint' is not one of frames, background", null),
        ];
        foreach (var (command, status, message, hint) in mistakes)
        {
            var outcome = bash.Run($"{command}; s=$?; ls x.* 2> /dev/null; exit $s");
            Assert.Contains(message, outcome.Err);
            Assert.Equal(status, outcome.Status);
            Assert.Empty(outcome.Out);
            var lines = outcome.Err.TrimEnd().Split('\n');
            Assert.InRange(lines.Length, 1, 2);
            if (hint is not null)
                Assert.Contains(hint, lines[1]);
        }
    }

    /// <summary>What the model makes is in the holes and in the soft edge beside them: everywhere else no byte changes.</summary>
    [Theory]
    [InlineData("mini", "symmetric")]
    [InlineData("wan21-vace", "left")]
    public void TheModelFillsHolesOnly(string model, string eyes)
    {
        const int Side = 64,
            Count = 9;
        // A square before the backdrop.
        var depth = new float[Count * Side * Side];
        for (var i = 0; i < depth.Length; i++)
            depth[i] = i % Side is >= 24 and < 40 && i / Side % Side is >= 16 and < 48 ? 1 : 0;
        var stereo = $"sora decode deep-{model}.latent --stereo sbs --eyes {eyes} --convergence 0 --max-disparity 12.5 --dilate 0";
        bash.Run(
                $"""
                ffmpeg -v error -f lavfi -i testsrc2=size={Side}x{Side}:rate=8 -frames:v {Count} {model}.mkv
                sora encode {model}.mkv --model {model} -o {model}.latent
                """
            )
            .Succeeded();
        WriteDepth($"deep-{model}.latent", depth, Count, Side, Side, from: $"{model}.latent");
        var outcome = bash.Run(
                $"""
                set -e
                sora decode {model}.latent -o {model}-flat/%d.png
                {stereo} -o {model}-frames/%d.png
                {stereo} --fill model -o {model}-made/%d.png
                """
            )
            .Succeeded();
        Assert.Empty(outcome.Err);
        var kept = eyes == "left" ? StereoEyes.LeftKept : StereoEyes.Symmetric;
        var options = new StereoOptions
        {
            Eyes = kept,
            Convergence = 0,
            MaxDisparity = 12.5,
            EdgeDilation = 0,
        };
        var flat = Enumerable.Range(1, Count).Select(frame => Image.Load(At($"{model}-flat/{frame}.png")));
        var frames = flat.Select((picture, i) => new StereoFrame(picture, depth[(i * Side * Side)..((i + 1) * Side * Side)], i == 0));
        var (number, changed) = (0, new List<int>());
        foreach (var pair in new StereoVideo(Side, Side, DepthKind.Relative, options).Render(frames))
        {
            number++;
            var (old, made) = (Image.Load(At($"{model}-frames/{number}.png")), Image.Load(At($"{model}-made/{number}.png")));
            changed.Add(Changed(old.Crop(0, 0, Side, Side), made.Crop(0, 0, Side, Side), pair.LeftHoles, -1));
            changed.Add(Changed(old.Crop(Side, 0, Side, Side), made.Crop(Side, 0, Side, Side), pair.RightHoles, 1));
        }
        Assert.Equal(Count, number);
        // The square's shadow is as high as it, and up to eight columns and an edge wide.
        Assert.All(changed, (pixels, i) => Assert.InRange(pixels, kept == StereoEyes.LeftKept && i % 2 == 0 ? 0 : 32, 32 * 9));
        if (kept == StereoEyes.LeftKept)
            Assert.Equal(0, changed.Where((_, i) => i % 2 == 0).Sum());
    }

    [Fact]
    public void WhatCannotFillSaysSoBeforeItBegins()
    {
        foreach (var model in (string[])["wan21-flf2v", "wan21-t2v"])
        {
            bash.Run($"sora encode a.mkv --model {model} -o {model}.latent").Succeeded();
            WriteDepth($"deep-{model}.latent", Ramp(), from: $"{model}.latent");
        }
        bash.Run("cp -r $SORA_MODELS/wan21-t2v bare && rm bare/transformer/*.safetensors*").Succeeded();
        (string Model, int Status, string Message)[] refusals =
        [
            ("wan21-flf2v", 2, "wan21-flf2v can't do this: edit by mask"),
            ("wan21-t2v --model ./bare", 1, "transformer"),
        ];
        foreach (var (model, status, message) in refusals)
        {
            var words = model.Split(' ', 2);
            var decode = $"sora decode deep-{words[0]}.latent {string.Join(' ', words[1..])} --stereo sbs";
            var outcome = bash.Run($"{decode} --fill model -o refused.mp4; s=$?; ls refused.* 2> /dev/null; exit $s");
            Assert.Contains(message, outcome.Err);
            Assert.Equal((status, ""), (outcome.Status, outcome.Out));
            var lines = outcome.Err.TrimEnd().Split('\n');
            Assert.Equal(2, lines.Length);
            Assert.Contains("use --fill frames", lines[1]);
        }
    }

    [Fact]
    public void WhatHasNoEffectIsSaid()
    {
        WriteDepth("d.latent", Ramp());
        var outcome = bash.Run("sora decode d.latent --stereo quest --baseline 0.05 -o noted.mp4").Succeeded();
        Assert.Contains("the depth is relative: --baseline and --fov have no effect, --max-disparity has", outcome.Err);
        Assert.Contains("noted_LRF_Full_SBS.mp4", outcome.Err);
        WriteDepth("metric.latent", [.. Ramp().Select(depth => depth < 0.1f ? float.PositiveInfinity : 1 / depth)], kind: "metric");
        Assert.Empty(bash.Run("sora decode metric.latent --stereo sbs --baseline 0.05 --fov 60 -o metric.mp4").Succeeded().Err);
    }

    /// <summary>Sixty seconds and two: between them is the clip's own depth, and nothing else of its frames.</summary>
    [Fact]
    public void MemoryGrowsByNoMoreThanTheClip()
    {
        int[] lengths = [33, 961];
        var (peaks, sizes) = (new int[2], new long[2]);
        for (var i = 0; i < 2; i++)
        {
            var (frames, name) = (lengths[i], $"{lengths[i]}.latent");
            var encode =
                $"ffmpeg -v error -f lavfi -i testsrc2=size=128x128:rate=16 -frames:v {frames} -f yuv4mpegpipe -pix_fmt yuv444p - ";
            bash.Run($"set -e; {encode} | sora encode --model wan22-ti2v --quiet -o {name}").Succeeded();
            var depth = Enumerable.Range(0, frames * 128 * 128).Select(at => (at % 128 + at / 16384 % 32) / 160f).ToArray();
            WriteDepth($"deep-{name}", depth, frames, 128, 128, from: name);
            var outcome = bash.Run(
                    $$"""
                    set -e
                    # Pictures of this size would be large objects, which the runtime leaves lying for long.
                    export DOTNET_GCLOHThreshold=0x200000 DOTNET_GCgen0size=0x1000000
                    sora decode deep-{{name}} --stereo sbs --quiet -o {{frames}}.mp4 &
                    while grep -s VmHWM /proc/$!/status > now; do mv now peak; done; wait $!; tr -dc 0-9 < peak
                    """
                )
                .Succeeded();
            (peaks[i], sizes[i]) = (int.Parse(outcome.Out), new FileInfo(At($"deep-{name}")).Length / 1024);
        }
        output.WriteLine(
            $"{string.Join(" and ", lengths)} frames: peaks of {string.Join(" and ", peaks)} kB, clips of {string.Join(" and ", sizes)} kB"
        );
        // A clip is in memory twice, as the file that is read and as its tensors. Otherwise memory varies by up to 60 MB, since freed
        // memory is kept. Both eyes of 928 frames would be 91 MB.
        Assert.InRange(peaks[1], 0, peaks[0] + 2 * (sizes[1] - sizes[0]) + 80_000);
    }

    /// <summary>Pixels that differ; where there is neither a hole nor its edge on the side of what lies behind, none may.</summary>
    private static int Changed(Image old, Image made, byte[] holes, int ahead)
    {
        var changed = 0;
        for (var i = 0; i < holes.Length; i++)
        {
            if (old.Pixels.AsSpan(3 * i, 3).SequenceEqual(made.Pixels.AsSpan(3 * i, 3)))
                continue;
            changed++;
            var from = i % old.Width - ahead;
            var isEdge = from >= 0 && from < old.Width && holes[i - ahead] != 0;
            Assert.True(holes[i] != 0 || isEdge, $"row {i / old.Width}, column {i % old.Width}");
        }
        return changed;
    }

    private string At(string name) => Path.Combine(bash.Folder, name);

    /// <summary>From far to near, along each row and over time.</summary>
    private static float[] Ramp() =>
        [.. Enumerable.Range(0, Frames * Height * Width).Select(i => (i % Width + i / (Width * Height)) / (float)(Width + Frames))];

    private void WriteDepth(
        string name,
        float[] depth,
        int frames = Frames,
        int height = Height,
        int width = Width,
        string kind = "relative",
        string from = "a.latent"
    )
    {
        var deep = new ClipReader().ReadFile(At(from));
        var tensor = HostTensor.FromFloats(depth, [frames, height, width], DType.F16);
        using var stream = File.Create(At(name));
        new ClipWriter(stream, isSingle: true).Write(deep.With(Clip.DepthName, tensor).WithMetadata("depth_kind", kind));
    }
}
