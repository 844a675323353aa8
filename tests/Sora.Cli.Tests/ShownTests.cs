using System.Text.RegularExpressions;
using Sora.Cli.Docs;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>What the README, the help texts and examples/ show works as it is shown, with the built-in model.</summary>
public partial class ShownTests
{
    private const string Material = """
        ffmpeg -v error -f lavfi -i testsrc2=size=192x128:rate=16:duration=3 -pix_fmt yuv420p holiday.mp4
        ffmpeg -v error -f lavfi -i color=tan:size=96x96,drawbox=x=30:y=30:w=36:h=36:color=red:t=fill -frames:v 1 ball.png
        sora encode --quiet holiday.mp4 --size 128x128 --frames 9 -o clip.latent
        for name in a b ball; do cp clip.latent $name.latent; done
        ln -s "$SORA_MODELS/depth-anything-tiny" Depth-Anything-V2-Small-hf
        """;

    [Fact]
    public void ReadmeRuns()
    {
        using var bash = new Bash();
        var blocks = Block().Matches(File.ReadAllText(Repository.Path("README.md"))).Select(block => block.Groups[1].Value);
        Assert.NotEmpty(blocks);
        bash.Run($"set -euo pipefail\n{Material}\n{string.Join('\n', blocks)}").Succeeded();
    }

    [Theory]
    [InlineData("prompt-to-video.sh", "ball.mp4 ball.gif")]
    [InlineData("animate-a-still.sh", "cube.mp4")]
    [InlineData("real-footage.sh holiday.mp4", "back.mp4")]
    [InlineData("depth-of-footage.sh holiday.mp4 Depth-Anything-V2-Small-hf", "depth.mkv preview.mp4 sheet.png")]
    [InlineData("variations.sh", "cone-1.mp4 cone-2.mp4 cone-3.mp4")]
    [InlineData("extend-and-loop.sh", "long.mp4 longer.mp4 loop.gif")]
    [InlineData("join-two-clips.sh", "between.mp4 inside.mp4 mended.mp4")]
    [InlineData("edit-a-clip.sh", "night.mp4 half.mp4 other-half.mp4 gone.mp4 end.mp4")]
    [InlineData("long-and-large.sh 6 256x256", "minute.mp4 still.png")]
    [InlineData("keyframes.sh", "between.mp4 inside.mp4")]
    [InlineData("stop-and-resume.sh", "resumed-0009.png look.mp4 preview.png")]
    [InlineData("train-on-the-world.sh 1", "mine.mp4")]
    [InlineData("stereo-sbs.sh", "sbs.mp4")]
    [InlineData("stereo-half-sbs.sh", "half-sbs.mkv")]
    [InlineData("stereo-tb.sh", "tb.mp4")]
    [InlineData("stereo-half-tb.sh", "half-tb.mp4")]
    [InlineData("stereo-anaglyph.sh", "anaglyph-grey.mp4 anaglyph-colour.mp4 anaglyph-dubois.mp4")]
    [InlineData("stereo-quest.sh", "ball_LRF_Full_SBS.mp4")]
    [InlineData("stereo-youtube.sh", "youtube.mp4")]
    [InlineData("stereo-visionpro.sh", "spatial.mov")]
    public void ScriptOfExamplesMakes(string script, string files)
    {
        using var bash = new Bash();
        bash.Run($"set -e\n{Material}\n'{Repository.Path("examples")}'/{script}").Succeeded();
        foreach (var file in files.Split(' '))
            bash.Run($"ffprobe -v error '{file}'").Succeeded();
    }

    [Fact]
    public void EveryScriptOfExamplesIsRun()
    {
        var run = typeof(ShownTests)
            .GetMethod(nameof(ScriptOfExamplesMakes))!
            .GetCustomAttributes(typeof(InlineDataAttribute), false)
            .Cast<InlineDataAttribute>()
            .Select(data => ((string)data.GetData(null!).Single()[0]).Split(' ')[0]);
        Assert.Equal(Directory.GetFiles(Repository.Path("examples"), "*.sh").Select(path => Path.GetFileName(path)).Order(), run.Order());
    }

    public static TheoryData<string> Verbs() => [.. Declared.Visible(Program.Verbs).Select(verb => verb.Name)];

    [Theory]
    [MemberData(nameof(Verbs))]
    public void ExamplesOfHelpRun(string name)
    {
        using var bash = new Bash();
        var lines = Program.Verbs.Single(verb => verb.Name == name).Examples.Select(example => example.Line);
        bash.Run($"set -euo pipefail\n{Material}\n{string.Join('\n', lines)}").Succeeded();
    }

    [GeneratedRegex("^```sh\n(.*?)^```$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Block();
}
