using System.Runtime.InteropServices;
using System.Text.Json;
using Sora.Kernels;
using Sora.Media;
using Sora.Nn;
using Sora.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Cli;

/// <summary>What <c>info --system</c> says: what this program computes with, as text and as JSON.</summary>
internal sealed record SystemSummary
{
    private readonly IReadOnlyList<(string Key, string Value)> facts;

    private SystemSummary(IReadOnlyList<(string, string)> facts) => this.facts = facts;

    /// <summary>Asks the program, libtorch, the machine and ffmpeg; libtorch is loaded for it.</summary>
    public static SystemSummary Of()
    {
        Libtorch.Start();
        var precision = Precision.Default();
        var memory = FreeMemory.Of(new Device(DeviceType.CPU)).Bytes;
        var devices = cuda.is_available()
            ? $"cpu, {string.Join(", ", Enumerable.Range(0, cuda.device_count()).Select(i => $"cuda:{i}"))}"
            : "cpu";
        return new([
            ("sora", Shell.Version),
            ("runtime", $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.RuntimeIdentifier}"),
            ("libtorch", $"{Libtorch.Version} ({(Libtorch.HasCuda ? "CUDA" : "CPU")} build)"),
            ("devices", devices),
            ("default", $"{precision.Device} in {Precision.NameOf(precision.Type)}"),
            ("threads", $"{get_num_threads()}"),
            ("kernels", KernelLibrary.Description),
            ("products", KernelLibrary.ProductsDescription),
            ("bfloat16", Processor.HasBfloat16 ? "supported by the processor" : "slow on this processor"),
            ("memory", FormattableString.Invariant($"{memory / (double)(1L << 30):0.0} GB free")),
            ("ffmpeg", FfmpegRun.Version() ?? "not found: apt-get install ffmpeg"),
        ]);
    }

    public void WriteText(TextWriter to)
    {
        foreach (var (key, value) in facts)
            ClipSummary.Row(to, key, value);
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kind", "system");
        foreach (var (key, value) in facts)
            json.WriteString(key, value);
        json.WriteEndObject();
    }
}
