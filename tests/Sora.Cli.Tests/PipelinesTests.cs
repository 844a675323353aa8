using System.Globalization;
using Sora.Media;
using Sora.Tensors;
using Sora.Tests;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>Whole pipelines as a user runs them, one per family, against latents that the reference made from the same noise.</summary>
public sealed class PipelinesTests : IDisposable
{
    private readonly Bash bash = new();

    public void Dispose() => bash.Dispose();

    [Theory]
    [InlineData("t2v")]
    [InlineData("i2v-resized")]
    [InlineData("flf2v")]
    [InlineData("vace-reference")]
    [InlineData("ti2v-image")]
    [InlineData("a14b-i2v")]
    public void GenerateGivesWhatTheReferenceGives(string name)
    {
        using var golden = GoldenCase.Open($"wan/pipeline-{name}");
        bash.Run($"sora generate {Sampling(golden)} {Video(golden)} {Pictures(golden)} {Control(golden)} -o out.latent -- {Prompt(golden)}")
            .Succeeded();
        AssertReference(golden);
    }

    [Fact]
    public void TwoExpertsJoinedByAPipeGiveWhatTheReferenceGives()
    {
        using var golden = GoldenCase.Open("wan/pipeline-a14b-t2v");
        bash.Run(
                $"""
                set -o pipefail
                sora generate --experts high {Sampling(golden)} {Video(golden)} -- {Prompt(
                    golden
                )} | tee high.latent | sora generate --experts low --resume - -o out.latent
                """
            )
            .Succeeded();
        using var half = SafeTensorsFile.Open(At("high.latent"));
        Assert.Contains("noise_latents", half.Tensors.Keys);
        AssertReference(golden);
    }

    [Fact]
    public void EditByStrengthGivesWhatTheReferenceGives()
    {
        using var golden = GoldenCase.Open("wan/pipeline-v2v");
        bash.Run(
                $"""
                set -o pipefail
                sora encode {Written(golden, "video")} --model {Model(golden)} |
                    sora edit --strength {Number(golden, "strength")} {Sampling(golden)} -o out.latent -- - {Prompt(golden)}
                """
            )
            .Succeeded();
        AssertReference(golden);
    }

    /// <summary>Options of every verb that samples.</summary>
    private string Sampling(GoldenCase golden)
    {
        var options = new List<string>
        {
            $"--model {Model(golden)} --noise {Noise(golden)} --quiet",
            $"--steps {Number(golden, "steps")} --shift {Number(golden, "flow_shift")} --guidance {Number(golden, "guidance_scale")}",
            $"--text-length {Number(golden, "max_sequence_length")}",
        };
        if (golden.Params.TryGetProperty("guidance_scale_2", out var second))
            options.Add($"--guidance-2 {second}");
        if (golden.Params.TryGetProperty("negative_prompt", out var negative))
            options.Add($"--negative {ShellWords.Quote(negative.GetString()!)}");
        return string.Join(' ', options);
    }

    private static string Video(GoldenCase golden) =>
        $"--size {Number(golden, "width")}x{Number(golden, "height")} --frames {Number(golden, "num_frames")}";

    private string Pictures(GoldenCase golden)
    {
        var options = new List<string>();
        if (golden.Inputs.Contains("image"))
            options.Add($"--fit stretch --image {Written(golden, "image")}");
        if (golden.Inputs.Contains("last_image"))
            options.Add($"--last-image {Written(golden, "last_image")}");
        return string.Join(' ', options);
    }

    private string Control(GoldenCase golden)
    {
        var options = golden
            .Inputs.Where(name => name.StartsWith("reference"))
            .Order()
            .Select(name => $"--reference {Written(golden, name)}")
            .ToList();
        if (golden.Inputs.Contains("video"))
            options.Add($"--control {Written(golden, "video")}");
        if (golden.Inputs.Contains("mask"))
            options.Add($"--mask {Written(golden, "mask")}");
        if (golden.Params.TryGetProperty("conditioning_scale", out var scale))
            options.Add($"--control-scale {scale.ToString().Trim('[', ']')}");
        return string.Join(' ', options);
    }

    /// <summary>The noise as another program would hand it over.</summary>
    private string Noise(GoldenCase golden)
    {
        using var stream = File.Create(At("noise.safetensors"));
        SafeTensors.Write(
            stream,
            new Dictionary<string, string>(),
            new Dictionary<string, HostTensor> { ["noise"] = golden.File.Copy("in.noise") }
        );
        return "noise.safetensors";
    }

    /// <summary>A picture [H, W, 3] as a file, or a video [F, H, W, 3] or mask [F, H, W] as a video without losses.</summary>
    private string Written(GoldenCase golden, string name)
    {
        var tensor = golden.File.Copy("in." + name);
        if (tensor.Shape is [var rows, var columns, 3])
        {
            new Image((int)columns, (int)rows, tensor.Data).Save(At($"{name}.png"));
            return $"{name}.png";
        }
        File.WriteAllBytes(At($"{name}.raw"), tensor.Data);
        var format = tensor.Shape.Length == 4 ? "rgb24" : "gray";
        bash.Run(
                $"ffmpeg -v error -f rawvideo -pix_fmt {format} -s {tensor.Shape[2]}x{tensor.Shape[1]} -r 16 -i {name}.raw "
                    + $"-c:v ffv1 -pix_fmt bgr0 {name}.mkv"
            )
            .Succeeded();
        return $"{name}.mkv";
    }

    private static string Model(GoldenCase golden) => ShellWords.Quote(golden.Model);

    private static string Prompt(GoldenCase golden) => ShellWords.Quote(golden.Params.GetProperty("prompt").GetString()!);

    private static string Number(GoldenCase golden, string name) =>
        golden.Params.GetProperty(name).GetDouble().ToString(CultureInfo.InvariantCulture);

    private void AssertReference(GoldenCase golden)
    {
        using var clip = SafeTensorsFile.Open(At("out.latent"));
        Assert.Equal(golden.OutShape("latents_raw"), clip.Info("latent_tensor").Shape);
        Assert.InRange(GoldenCase.RelativeError(clip.Floats("latent_tensor"), golden.Out("latents_raw")), 0, golden.Tolerance);
    }

    private string At(string name) => Path.Combine(bash.Folder, name);
}
