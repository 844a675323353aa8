using System.CommandLine;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Depth;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>The evaluation: which parts of it run, on how many clips.</summary>
internal static class Evaluation
{
    private const int Prompts = 140,
        Physics = 20,
        Tasks = 24,
        VaeClips = 24,
        DepthClips = 24,
        FittedClips = 160;

    private static readonly Option<string?> Model = new("--model", "-m")
    {
        Description = "Model folder; with --vae-only one that has a folder vae; the built-in model when left out",
    };
    private static readonly Option<string> Output = new("--output", "-o")
    {
        Description =
            "Folder for evaluation.json and contact-sheet.png; with one of the options that measure a part, "
            + "numbers of the others stay in the file",
        DefaultValueFactory = _ => ".",
    };
    private static readonly Option<string?> Data = new("--data")
    {
        Description = "Folder of pictures and clips for the VAE, as tests/eval/run.sh prepares it; needed to measure it",
    };
    private static readonly Option<string?> JudgeFile = JudgeCommand.File();
    private static readonly Option<int?> Count = new("--count")
    {
        Description = $"Prompts of the suite, {Prompts} by default; other numbers of clips follow",
    };
    private static readonly Option<bool> Quick = new("--quick") { Description = "A quarter of the clips" };
    private static readonly Option<bool> VaeOnly = new("--vae-only") { Description = "Measure the VAE, nothing else" };
    private static readonly Option<bool> AttributesOnly = new("--attributes-only")
    {
        Description = "Score clips from prompts, nothing else",
    };
    private static readonly Option<bool> DepthOnly = new("--depth-only") { Description = "Measure the depth head, nothing else" };
    private static readonly Option<int> Threads = new("--threads")
    {
        Description = "Clips made at a time",
        DefaultValueFactory = _ => Environment.ProcessorCount,
    };

    public static RootCommand Create()
    {
        var root = new RootCommand(
            "Scores a model on the fixed prompt suite: Markdown tables on standard output, evaluation.json and a contact sheet."
        )
        {
            Model,
            Output,
            Data,
            JudgeFile,
            Count,
            Quick,
            VaeOnly,
            AttributesOnly,
            DepthOnly,
            Threads,
        };
        root.SetAction(Run);
        return root;
    }

    private static int Run(ParseResult args)
    {
        var (vaeOnly, attributesOnly, depthOnly) = (args.GetValue(VaeOnly), args.GetValue(AttributesOnly), args.GetValue(DepthOnly));
        var output = args.GetValue(Output)!;
        var prompts = args.GetValue(Count) ?? (args.GetValue(Quick) ? Prompts / 4 : Prompts);
        int Part(int whole) => Math.Max(1, whole * prompts / Prompts);
        var footage =
            attributesOnly || depthOnly
                ? null
                : new Footage(
                    args.GetValue(Data)
                        ?? throw SoraException.Usage(
                            "the VAE is measured on pictures and clips",
                            "tests/eval/run.sh gets them and passes --data"
                        )
                );
        var report = new Report();
        Directory.CreateDirectory(output);
        if (!vaeOnly && !depthOnly)
        {
            using var judge = JudgeCommand.Open(args.GetValue(JudgeFile));
            using var workers = new Workers(VideoModel.Open(args.GetValue(Model)), args.GetValue(Threads));
            var attributes = new Attributes(workers, judge, report);
            attributes.Score(prompts, Path.Combine(output, "contact-sheet.png"));
            if (!attributesOnly)
            {
                attributes.ScorePhysics(Part(Physics));
                new Conditioned(workers, judge, report).Score(Part(Tasks), Part(Physics));
            }
        }
        if (footage is not null)
            ScoreVae(args.GetValue(Model), new Footages(footage, Part(VaeClips), Part(FittedClips)), report);
        if (!vaeOnly && !attributesOnly)
            ScoreDepth(args.GetValue(Model), Part(DepthClips), report);
        report.Save(Path.Combine(output, "evaluation.json"), vaeOnly || attributesOnly || depthOnly);
        return 0;
    }

    private static void ScoreVae(string? model, Footages data, Report report)
    {
        var folder = Path.Combine(ModelLocator.Find(model), "vae");
        if (!Directory.Exists(folder))
            throw SoraException.Failed($"no VAE in {folder}", "--model takes a folder that holds one");
        using var weights = Checkpoint.Load(folder, new WeightsOptions { DType = float32 });
        var vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(folder, "config.json")), weights);
        new VaeScores(vae, data.Footage, report).Score(data.Clips, data.Fitted);
    }

    /// <summary>Scores the depth head of a model that has one.</summary>
    private static void ScoreDepth(string? name, int clips, Report report)
    {
        var model = VideoModel.Open(name);
        using var head = LatentDepthHead.Open(model);
        if (head is null)
            return;
        using var subject = new Subject(model);
        new DepthScores(subject, head, report).Score(clips);
    }

    private sealed record Footages(Footage Footage, int Clips, int Fitted);
}
