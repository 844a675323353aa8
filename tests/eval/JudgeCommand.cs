using System.CommandLine;
using Sora.Models;
using Sora.Nn;
using Sora.Training;
using Sora.World;

namespace Sora.Eval;

/// <summary><c>eval judge train</c> and <c>eval judge test</c>.</summary>
internal static class JudgeCommand
{
    private const ulong TestSeed = 0x6a75_6467_65;
    private const double MatrixRate = 5e-3,
        OtherRate = 2e-3;

    public static Command Create() => new("judge", "Trains and tests the judge") { Train(), Test() };

    /// <summary>The option that names a judge.</summary>
    public static Option<string?> File() =>
        new("--judge") { Description = "Weights of the judge; tests/eval/judge.safetensors when left out" };

    /// <summary>Opens the judge that was named, or the one that lies in the source tree above the program.</summary>
    /// <exception cref="SoraException">There is none.</exception>
    public static Judge Open(string? path)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); path is null && folder != null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "eval", "judge.safetensors");
            if (System.IO.File.Exists(candidate))
                path = candidate;
        }
        return Judge.Open(
            path
                ?? throw SoraException.Failed(
                    "tests/eval/judge.safetensors isn't there",
                    "train one (eval judge train -o FILE) and name it with --judge"
                )
        );
    }

    private static Command Train()
    {
        var output = new Option<string>("--output", "-o")
        {
            Description = "Safetensors file to write; the run's own files lie beside it, in FILE.run",
            Required = true,
        };
        var steps = new Option<int>("--steps") { Description = "Updates", DefaultValueFactory = _ => 4000 };
        var start = new Option<string?>("--init") { Description = "Weights to start from; what they lack starts at random" };
        var clips = new Option<int>("--clips") { Description = "Clips an update", DefaultValueFactory = _ => 16 };
        var rate = new Option<double>("--rate") { Description = "What the learning rate is multiplied by", DefaultValueFactory = _ => 1 };
        var command = new Command("train", "Trains the judge on rendered clips; goes on where it was stopped")
        {
            output,
            steps,
            clips,
            rate,
            start,
        };
        command.SetAction(args =>
        {
            var file = args.GetValue(output)!;
            var rates = new OptimizerOptions(MatrixRate * args.GetValue(rate), OtherRate * args.GetValue(rate));
            var options = new TrainingOptions(file + ".run", args.GetValue(steps), rates)
            {
                Seed = 1,
                EmaDecay = 0.995,
                DecayFraction = 0.5,
                Threads = 1,
                ValidateEvery = 200,
                CheckpointEvery = 200,
            };
            var judge = new Judge(Weights.Initialise((long)options.Seed));
            if (args.GetValue(start) is { } old)
                judge.Start(old);
            using var task = new JudgeTask(judge, file, args.GetValue(clips), options);
            using var loop = new TrainingLoop(task, options, new ConsoleReporter());
            loop.Run(CancellationToken.None);
        });
        return command;
    }

    private static Command Test()
    {
        var judgeFile = File();
        var model = new Option<string?>("--model", "-m")
        {
            Description = "Model whose VAE the clips go through; the built-in one when left out",
        };
        var count = new Option<int>("--count") { Description = "Clips", DefaultValueFactory = _ => 400 };
        var command = new Command(
            "test",
            "Tests the judge on rendered clips with combinations that models aren't trained on, as they are and through a VAE"
        )
        {
            judgeFile,
            model,
            count,
        };
        command.SetAction(args =>
        {
            using var judge = Open(args.GetValue(judgeFile));
            using var workers = new Workers(VideoModel.Open(args.GetValue(model)), Environment.ProcessorCount);
            var clips = args.GetValue(count);
            (Scene, Verdict) Look(int i, Func<Sora.Media.Image[], Sora.Media.Image[]> through)
            {
                var scene = JudgeClips.DrawScene(new Rng(TestSeed, (ulong)i), Split.HeldOut);
                return (scene, Verdict.Of(judge, through(Scenes.Render(scene))));
            }
            Tally Sum((Scene Scene, Verdict Verdict)[] all) =>
                all.Aggregate(new Tally(), (tally, one) => tally.Add(one.Scene, one.Verdict));
            var rendered = Sum(workers.Each("rendered", clips, (_, i) => Look(i, frames => frames)));
            var back = Sum(workers.Each("reconstructed", clips, (subject, i) => Look(i, subject.Reconstruct)));
            var report = new Report();
            Report.Section($"The judge on {clips} held-out clips", "", "rendered", "through the VAE");
            foreach (var question in Tally.Questions)
                Report.Row(question, Report.Percent(rendered.Rate(question)), Report.Percent(back.Rate(question)));
        });
        return command;
    }
}
