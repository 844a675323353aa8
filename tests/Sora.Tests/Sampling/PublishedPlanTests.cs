using System.Globalization;
using System.Text.Json.Nodes;
using Sora.Conditions;
using Sora.Models;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Planning;
using Sora.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>What README says that published checkpoints need is what the memory plan says. SORA_REGOLD=1 writes it again.</summary>
public class PublishedPlanTests
{
    private const string Begin = "<!-- memory: written by the tests -->\n",
        End = "<!-- end of memory -->";

    // A prompt's length changes a few megabytes.
    private static readonly string Prompt = new('a', 200);

    private static readonly Published[] All =
    [
        new("Wan2.1-T2V-1.3B", WanTransformerConfig.Wan21T2V1_3B, CausalVaeConfig.Wan21),
        new("Wan2.1-VACE-1.3B", WanTransformerConfig.Wan21Vace1_3B, CausalVaeConfig.Wan21),
        new("Wan2.2-TI2V-5B", WanTransformerConfig.Wan22TI2V5B, CausalVaeConfig.Wan22),
        new("Wan2.1-T2V-14B", WanTransformerConfig.Wan21T2V14B, CausalVaeConfig.Wan21),
        new("Wan2.1-I2V-14B", WanTransformerConfig.Wan21I2V14B, CausalVaeConfig.Wan21),
        new("Wan2.1-FLF2V-14B", WanTransformerConfig.Wan21Flf2V14B, CausalVaeConfig.Wan21),
        new("Wan2.1-VACE-14B", WanTransformerConfig.Wan21Vace14B, CausalVaeConfig.Wan21),
        new("Wan2.2-T2V-A14B", WanTransformerConfig.Wan21T2V14B, CausalVaeConfig.Wan21) { Experts = 2 },
        new("Wan2.2-I2V-A14B", WanTransformerConfig.Wan22I2VA14B, CausalVaeConfig.Wan21) { Experts = 2 },
    ];

    [Fact]
    public void ReadmeHoldsThePlanOfEveryPublishedCheckpoint()
    {
        var readme = Path.Combine(Golden.Root, "..", "..", "README.md");
        var text = File.ReadAllText(readme);
        var (from, to) = (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, text.IndexOf(End, StringComparison.Ordinal));
        var table = Table();
        if (Environment.GetEnvironmentVariable("SORA_REGOLD") == "1")
            File.WriteAllText(readme, text = $"{text[..from]}{table}{text[to..]}");
        Assert.Contains(table, text);
    }

    [Fact]
    public void EveryCheckpointOfTheTableIsThere()
    {
        using var stream = typeof(ModelFolder).Assembly.GetManifestResourceStream("Sora.Models.checkpoints.json")!;
        var names = JsonNode.Parse(stream)!["checkpoints"]!
            .AsArray()
            .Select(entry => entry!["name"]!.GetValue<string>())
            .Where(name => name != "mini");
        Assert.All(names, name => Assert.Contains(All, published => name.StartsWith(published.Name, StringComparison.Ordinal)));
    }

    private static string Table()
    {
        var (rows, text) = (new List<(string Name, string Numbers)>(), "");
        const string head =
            "| GB | tokens | bf16 | `--offload sequential` | files in bf16 | fp8 | Q8_0 | Q4_K | encode | decode |\n"
            + "|---|---|---|---|---|---|---|---|---|---|\n";
        foreach (var published in All)
        {
            using var half = new HollowModel(published, DType.BF16);
            List<HollowModel> compact =
            [
                .. ((DType[])[DType.F8E4M3, DType.Q8_0, DType.Q4_K]).Select(type => new HollowModel(published, type)),
            ];
            var isLong = published.Vae.IsResidual;
            foreach (var (width, height) in ((int, int)[])[(832, 480), (1280, isLong ? 704 : 720)])
                rows.Add((published.Name, VideoRow(half, compact, new FrameSize(width, height), isLong ? 121 : 81)));
            if (published == All[0])
                text = TextRow(half, compact);
            foreach (var model in compact)
                model.Dispose();
        }
        // Models of the same sizes share a row.
        var shared = rows.GroupBy(row => row.Numbers, (numbers, same) => $"| {string.Join(", ", same.Select(row => row.Name))}: {numbers}");
        return $"{head}{text}{string.Concat(shared)}";
    }

    /// <summary>What a video takes in bf16, and how much of the weights is read in a pass from files of each type.</summary>
    private static string VideoRow(HollowModel half, List<HollowModel> compact, FrameSize size, int frames)
    {
        MemoryPlan Plan(HollowModel model, Offload offload) =>
            MemoryPlan.Of(
                model.Model,
                new GenerationRequest(
                    ModelDefaults.Of(model.Model).Settings with
                    {
                        Width = size.Width,
                        Height = size.Height,
                        Frames = frames,
                        Prompt = Prompt,
                        Negative = Prompt,
                    }
                ),
                1,
                Card(offload)
            );
        static StageCost Of(MemoryPlan plan, string stage) => plan.Stages.Single(one => one.Name == stage);
        var (kept, streamed) = (Plan(half, Offload.None), Plan(half, Offload.Sequential));
        var (sampling, files) = (Of(streamed, "sampling"), compact.Select(model => Of(Plan(model, Offload.None), "sampling")).ToList());
        // Whatever they are stored in, blocks are widened to the same size when they run.
        Assert.All(files, stage => Assert.Equal(Gigabytes(sampling.Peak), Gigabytes(stage.Peak)));
        var encode = half.Model.EncodeCost(size, frames, Card(Offload.None).Device);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{size.Width}x{size.Height}, {frames} frames | {kept.Tokens} | {Gigabytes(Of(kept, "sampling").Peak)} | "
                + $"{Gigabytes(sampling.Peak)} | {Gigabytes(sampling.Streamed)} | "
                + $"{string.Join(" | ", files.Select(stage => Gigabytes(stage.Streamed)))} | "
                + $"{Gigabytes(encode.Peak)} | {Gigabytes(Of(kept, "decode").Peak)} |\n"
        );
    }

    /// <summary>The same for the text encoder, which all models share.</summary>
    private static string TextRow(HollowModel half, List<HollowModel> compact)
    {
        var settings = ModelDefaults.Of(half.Model).Settings with
        {
            Width = 832,
            Height = 480,
            Frames = 1,
            Prompt = Prompt,
            Negative = Prompt,
        };
        StageCost Text(HollowModel model, Offload offload) =>
            MemoryPlan.Of(model.Model, new GenerationRequest(settings), 1, Card(offload)).Stages.Single(stage => stage.Name == "text");
        var texts = compact.Select(model => Text(model, Offload.None)).ToList();
        var streamed = Text(half, Offload.Sequential);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| text encoder of all | | {Gigabytes(Text(half, Offload.None).Peak)} | {Gigabytes(streamed.Peak)} | "
                + $"{Gigabytes(streamed.Streamed)} | {string.Join(" | ", texts.Select(stage => Gigabytes(stage.Streamed)))} | | |\n"
        );
    }

    private static Precision Card(Offload offload) => new(new Device(DeviceType.CUDA, 0), bfloat16) { Offload = offload };

    private static string Gigabytes(long bytes) => (bytes / 1e9).ToString("0.0", CultureInfo.InvariantCulture);
}
