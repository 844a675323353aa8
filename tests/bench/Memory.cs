using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sora.Bench;

/// <summary>
/// The memory plan against what runs take: the peak of resident memory of a process of its own, less that of the same run
/// of a model of no size, on scaled-down siblings of published models, in which one stage after the other is the largest.
/// </summary>
internal static partial class Memory
{
    /// <param name="sora">The program.</param>
    /// <param name="models">The folder of the tests' reference models.</param>
    /// <param name="only">What the names of the rows begin with that are wanted; nothing for all.</param>
    public static void Run(string sora, string models, string only)
    {
        void Check(string name, string like, string stage, string options, Dictionary<string, JsonObject> sizes)
        {
            if (name.StartsWith(only, StringComparison.Ordinal))
                Memory.Check(sora, name, like, stage, options, sizes);
        }
        var t2v = Path.Combine(models, "wan21-t2v");
        var ti2v = Path.Combine(models, "wan22-ti2v");
        if ("codec".StartsWith(only, StringComparison.Ordinal))
            CheckCodecs(sora, models, t2v, ti2v);
        var vace = Path.Combine(models, "wan21-vace");
        var cat = Path.Combine(Path.GetTempPath(), "sora-bench-cat.pgm");
        File.WriteAllText(cat, "P2 1 1 255 128");
        Check("weights lead", t2v, "sampling", "--size 128x128 --frames 17", new() { ["transformer"] = Transformer(6, 3072, 8) });
        Check("tokens lead", t2v, "sampling", "--size 448x320 --frames 33", new() { ["transformer"] = Transformer(3, 1536, 2) });
        Check(
            "tokens lead, in bf16",
            t2v,
            "sampling",
            "--size 256x256 --frames 33 --dtype bf16",
            new() { ["transformer"] = Transformer(3, 1536, 2) }
        );
        Check("control", vace, "sampling", "--size 256x256 --frames 33", new() { ["transformer"] = Transformer(6, 3072, 3) });
        Check(
            "a known frame",
            ti2v,
            "sampling",
            $"--size 640x512 --frames 49 --image {cat}",
            new() { ["transformer"] = Transformer(3, 1536, 2) }
        );
        Check(
            "text",
            t2v,
            "text",
            "--size 32x32 --frames 1 --text-length 512",
            new()
            {
                ["text_encoder"] = Text(),
                ["transformer"] = new() { ["text_dim"] = 512 },
            }
        );
        var video = Path.Combine(Path.GetTempPath(), "sora-bench-grey.y4m");
        WriteGrey(video, 256, 33);
        Dictionary<string, JsonObject> Vae() => new() { ["vae"] = new() { ["base_dim"] = 24 } };
        Check("mask channels", Path.Combine(models, "wan21-i2v"), "encode", $"--size 256x256 --frames 33 --image {cat}", Vae());
        Check("video for control", vace, "encode", $"--size 256x256 --frames 33 --control {video}", Vae());
        Check("grey for control", vace, "encode", "--size 256x256 --frames 33", Vae());
        File.Delete(cat);
        File.Delete(video);
    }

    private static void CheckCodecs(string sora, string models, string t2v, string ti2v)
    {
        foreach (var side in (int[])[192, 512])
        {
            CheckCodec(sora, "2.1", t2v, new() { ["base_dim"] = 48 }, side);
            CheckCodec(
                sora,
                "2.2",
                ti2v,
                new()
                {
                    ["base_dim"] = 48,
                    ["decoder_base_dim"] = 64,
                    ["num_res_blocks"] = 2,
                },
                side
            );
            CheckCodec(sora, "mini", Path.Combine(models, "..", "..", "..", "src", "Sora", "Builtin", "mini"), [], side);
        }
    }

    private static JsonObject Transformer(int heads, int inner, int layers) =>
        new()
        {
            ["num_attention_heads"] = heads,
            ["attention_head_dim"] = 128,
            ["ffn_dim"] = inner,
            ["num_layers"] = layers,
        };

    private static JsonObject Text() =>
        new()
        {
            ["d_model"] = 512,
            ["d_kv"] = 64,
            ["num_heads"] = 8,
            ["d_ff"] = 1280,
            ["num_layers"] = 8,
            ["vocab_size"] = 40000,
        };

    private static void Check(string sora, string name, string like, string stage, string options, Dictionary<string, JsonObject> sizes)
    {
        using var sibling = Sibling.Create(like, sizes);
        string[] Generate(string model, params string[] more) =>
            ["generate", "cat", "--model", model, "--steps", "1", "--seed", "1", "--quiet", .. options.Split(' '), .. more];
        var planned = Planned(Output(sora, Generate(sibling.Folder, "--dry-run")), stage);
        var clip = Path.Combine(sibling.Folder, "clip.latent");
        var none = Measure(
            sora,
            [
                "generate",
                "cat",
                "--model",
                like,
                "--size",
                "32x32",
                "--frames",
                "1",
                .. options.Contains("--image") ? options.Split(' ')[^2..] : [],
                "--steps",
                "1",
                "--seed",
                "1",
                "--quiet",
                "-o",
                clip,
            ]
        );
        Report(name, planned, Measure(sora, Generate(sibling.Folder, "-o", clip)), none);
    }

    /// <summary>Encodes and decodes a video.</summary>
    private static void CheckCodec(string sora, string kind, string like, JsonObject vae, int side)
    {
        const int frames = 9;
        using var sibling = Sibling.Create(like, new Dictionary<string, JsonObject> { ["vae"] = vae });
        string Inside(string file) => Path.Combine(sibling.Folder, file);
        WriteGrey(Inside("in.y4m"), side, frames);
        void Of(string verb, string from, string to)
        {
            var planned = Planned(Output(sora, [verb, Inside(from), "--model", sibling.Folder, "--dry-run"]), verb);
            Measure(
                sora,
                ["encode", Inside("in.y4m"), "--model", like, "--size", "32x32", "--frames", "1", "--quiet", "-o", Inside("none.latent")]
            );
            var none = Measure(
                sora,
                [
                    verb,
                    verb == "encode" ? Inside(from) : Inside("none.latent"),
                    "--model",
                    like,
                    .. verb == "encode" ? (string[])["--size", "32x32", "--frames", "1"] : [],
                    "--quiet",
                    "-o",
                    Inside($"none.{to}"),
                ]
            );
            Report(
                $"{verb}, {kind}, {side}x{side}",
                planned,
                Measure(sora, [verb, Inside(from), "--model", sibling.Folder, "--quiet", "-o", Inside(to)]),
                none
            );
        }
        Of("encode", "in.y4m", "clip.latent");
        Of("decode", "clip.latent", "out.y4m");
    }

    /// <summary>A video of one colour.</summary>
    private static void WriteGrey(string path, int side, int frames)
    {
        var frame = new byte[side * side * 3 / 2];
        File.WriteAllBytes(
            path,
            [
                .. Encoding.ASCII.GetBytes($"YUV4MPEG2 W{side} H{side} F16:1 C420\n"),
                .. Enumerable.Repeat((byte[])[.. "FRAME\n"u8, .. frame], frames).SelectMany(bytes => bytes),
            ]
        );
    }

    private static void Report(string name, double planned, double peak, double none) =>
        Console.WriteLine(
            $"{name, -26} planned {planned, 6:f0} MB, measured {peak - none, 6:f0} MB, {planned / (peak - none):f2} (runtime {none:f0} MB)"
        );

    /// <summary>Megabytes that a plan says for a stage, without what it adds for the program.</summary>
    private static double Planned(string plan, string stage)
    {
        var amount = Amount().Matches(plan.Split('\n').First(line => line.StartsWith(stage, StringComparison.Ordinal)))[^1];
        return double.Parse(amount.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * (amount.Groups[2].Value == "GB" ? 1024 : 1) - 300;
    }

    private static string Output(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }

    /// <summary>The peak of resident memory of a run with one thread, in MB.</summary>
    private static double Measure(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments);
        start.Environment["OMP_NUM_THREADS"] = "1";
        using var process = Process.Start(start)!;
        double peak = 0;
        while (!process.WaitForExit(5))
        {
            string status;
            try
            {
                status = File.ReadAllText($"/proc/{process.Id}/status");
            }
            catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException or IOException)
            {
                break;
            }
            double Of(string field) =>
                Regex.Match(status, $@"{field}:\s+(\d+) kB") is { Success: true } match
                    ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) / 1024
                    : 0;
            peak = Math.Max(peak, Of("VmHWM"));
        }
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {process.ExitCode}");
        return peak;
    }

    [GeneratedRegex(@"([\d.]+) (GB|MB)")]
    private static partial Regex Amount();
}
