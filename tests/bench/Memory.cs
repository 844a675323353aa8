using System.Diagnostics;
using System.Globalization;
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
    public static void Run(string sora, string models)
    {
        var t2v = Path.Combine(models, "wan21-t2v");
        var ti2v = Path.Combine(models, "wan22-ti2v");
        var vace = Path.Combine(models, "wan21-vace");
        var cat = Path.Combine(Path.GetTempPath(), "sora-bench-cat.pgm");
        File.WriteAllText(cat, "P2 1 1 255 128");
        Check(sora, "weights lead", t2v, "sampling", "--size 128x128 --frames 17", new() { ["transformer"] = Transformer(6, 3072, 8) });
        Check(sora, "tokens lead", t2v, "sampling", "--size 448x320 --frames 33", new() { ["transformer"] = Transformer(3, 1536, 2) });
        Check(sora, "tokens lead, in bf16", t2v, "sampling", "--size 256x256 --frames 33 --dtype bf16", new() { ["transformer"] = Transformer(3, 1536, 2) });
        Check(sora, "control", vace, "sampling", "--size 256x256 --frames 33", new() { ["transformer"] = Transformer(6, 3072, 3) });
        Check(sora, "a known frame", ti2v, "sampling", $"--size 640x512 --frames 49 --image {cat}", new() { ["transformer"] = Transformer(3, 1536, 2) });
        Check(sora, "text", t2v, "text", "--size 32x32 --frames 1 --text-length 512", new() { ["text_encoder"] = Text(), ["transformer"] = new() { ["text_dim"] = 512 } });
        Check(sora, "decode, 2.1", t2v, "decode", "--size 192x192 --frames 9", new() { ["vae"] = new() { ["base_dim"] = 48 } });
        Check(sora, "decode, 2.2", ti2v, "decode", "--size 192x192 --frames 9", new() { ["vae"] = new() { ["base_dim"] = 48, ["decoder_base_dim"] = 64 } });
        File.Delete(cat);
    }

    private static JsonObject Transformer(int heads, int inner, int layers) =>
        new() { ["num_attention_heads"] = heads, ["attention_head_dim"] = 128, ["ffn_dim"] = inner, ["num_layers"] = layers };

    private static JsonObject Text() => new() { ["d_model"] = 512, ["d_kv"] = 64, ["num_heads"] = 8, ["d_ff"] = 1280, ["num_layers"] = 8, ["vocab_size"] = 40000 };

    private static void Check(string sora, string name, string like, string stage, string options, Dictionary<string, JsonObject> sizes)
    {
        using var sibling = Sibling.Create(like, sizes);
        string[] Generate(string model, params string[] more) => ["generate", "cat", "--model", model, "--steps", "1", "--seed", "1", "--quiet", .. options.Split(' '), .. more];
        var line = Output(sora, Generate(sibling.Folder, "--dry-run")).Split('\n').First(text => text.StartsWith(stage, StringComparison.Ordinal));
        var plan = Amount().Matches(line)[^1];
        var planned = double.Parse(plan.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * (plan.Groups[2].Value == "GB" ? 1024 : 1) - 300;
        var clip = Path.Combine(sibling.Folder, "clip.latent");
        double Peak(string model)
        {
            var made = Measure(sora, Generate(model, "-o", clip));
            return stage == "decode" ? Measure(sora, ["decode", clip, "--model", model, "--quiet", "-o", Path.Combine(sibling.Folder, "clip.y4m")]) : made;
        }
        var none = Measure(sora, ["generate", "cat", "--model", like, "--size", "32x32", "--frames", "1", "--steps", "1", "--seed", "1", "--quiet", "-o", clip]);
        var measured = Peak(sibling.Folder) - none;
        Console.WriteLine($"{name,-26} planned {planned,6:f0} MB, measured {measured,6:f0} MB, {planned / measured:f2} (runtime {none:f0} MB)");
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
        // Large tensors go back to the system at once, as those of full-size models do: what the allocator keeps for itself
        // doesn't grow with the model.
        start.Environment["MALLOC_MMAP_THRESHOLD_"] = "65536";
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
            double Of(string field) => Regex.Match(status, $@"{field}:\s+(\d+) kB") is { Success: true } match ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) / 1024 : 0;
            peak = Math.Max(peak, Of("VmHWM"));
        }
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {process.ExitCode}");
        return peak;
    }

    [GeneratedRegex(@"([\d.]+) (GB|MB)")]
    private static partial Regex Amount();
}
