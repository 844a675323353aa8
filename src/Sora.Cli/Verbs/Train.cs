using System.CommandLine;
using System.Globalization;
using Sora.Kernels;
using Sora.Training;
using Sora.World;

namespace Sora.Cli.Verbs;

/// <summary>Trains the VAE, text encoder and transformer, or the depth head, on the synthetic world or on a folder of clips.</summary>
internal static class Train
{
    private const int SheetRows = 8,
        SheetColumns = 9,
        SheetSize = 96,
        SheetFrames = 33;

    private static readonly Argument<string?> Part = new("PART")
    {
        Description = "What to train: vae, transformer (with its text encoder), or depth (the head that measures depth from latents)",
        HelpName = "vae|transformer|depth",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> Folder = new("--output", "-o")
    {
        Description = "Model folder to write; a stopped run resumes from it",
        HelpName = "DIR",
    };
    private static readonly Option<bool> World = new("--world") { Description = "Train on the synthetic world" };
    private static readonly Option<string[]> Data = Options.Values(
        "--data",
        "DIR",
        "Train on pictures and videos, each with its caption in a .txt file next to it; may be repeated",
        text => text
    );
    private static readonly Option<double?> WorldShare = Number(
        "--world-share",
        "With --world and --data: the world's share of the clips (0.5)"
    );
    private static readonly Option<string?> Show = new("--show")
    {
        Description = "Write a sheet of sample clips and stop",
        HelpName = "FILE",
    };
    private static readonly Option<string[]> Clips = Options.Values(
        "--clips",
        "WxHxF[:N]",
        "Size of the clips, width x height x frames; N is clips per batch (vae) or clips in total (transformer, depth); may be repeated",
        text => text
    );
    private static readonly Option<string?> Start = new("--init")
    {
        Description = "Start from the weights in this model folder",
        HelpName = "DIR",
    };
    private static readonly Option<bool> Inflate = new("--inflate")
    {
        Description = "With --init, for a VAE that was trained on stills only: start training on clips by treating every frame as a still",
    };
    private static readonly Option<double?> Guidance = Options.Value<double>(
        "--guidance",
        "G",
        "With --init: learn to do in one pass what that model does in two at guidance scale G; "
            + "if that model has already learned it, keep training on the clips",
        GuidanceScale
    );
    private static readonly Option<int?> Heads = Options.Positive(
        "--heads",
        "N",
        "Attention heads of the transformer, which set its width (6, or those of DIR); "
            + "with --init, a model with fewer is widened and keeps what it has learned"
    );
    private static readonly Option<string?> VaeFolder = new("--vae")
    {
        Description = "Model folder whose VAE encodes the clips (the output folder's own)",
        HelpName = "DIR",
    };
    private static readonly Option<string?> Transformer = new("--transformer")
    {
        Description = "For a VAE: also train its decoder on what this model makes of noised latents",
        HelpName = "DIR",
    };
    private static readonly Option<string?> Cache = new("--cache")
    {
        Description = "Folder for encoded clips (training/latents in the output folder)",
        HelpName = "DIR",
    };
    private static readonly Option<int?> Steps = Options.Positive("--steps", "N", "Number of updates in total (10000)");
    private static readonly Option<int?> Tokens = Options.Positive(
        "--tokens",
        "N",
        "Latent tokens per batch of the transformer or the depth head (2048)"
    );
    private static readonly Option<double?> Reading = Number(
        "--reading",
        "Weight of the extra loss that teaches the transformer what is where in the world's clips (0.005)"
    );
    private static readonly Option<bool> Scenes = new("--scenes")
    {
        Description = "Train the transformer to generate what is where in the world's clips along with their latents",
    };
    private static readonly Option<double?> Rate = Number("--rate", "Learning rate of matrices (3e-3); everything else gets half of it");
    private static readonly Option<double?> Ema = Number("--ema", "Decay of the moving average of the weights (0.998)");
    private static readonly Option<double?> Decay = Number(
        "--decay",
        "Last fraction of the run, over which the learning rate falls to zero (0.3)"
    );
    private static readonly Option<int?> SampleEvery = Options.Positive("--sample-every", "N", "Steps between sheets of samples (1000)");
    private static readonly Option<int?> CheckpointEvery = Options.Positive("--checkpoint-every", "N", "Steps between checkpoints (500)");
    private static readonly Option<bool> Mixed = new("--mixed")
    {
        Description =
            "Multiply matrices in bfloat16, in the transformer and in the optimizer (for vae too); "
            + "faster only on processors that support it (AVX512-BF16 or AMX)",
    };
    private static readonly Option<bool> Half = new("--half") { Description = "Write the model's weights in half precision" };
    private static readonly Option<int?> Threads = Options.Positive(
        "--threads",
        "N",
        "Number of threads; with one, runs are bit-identical"
    );
    private static readonly Option<long?> Seed = Options.Seed();

    public static Verb Create() =>
        new Verb("train", "Trains a model on the synthetic world or on your own clips", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "Training has two stages: the causal VAE first, then the transformer together with its text encoder, "
                    + "on the latents of that VAE. A depth head, which measures clips without decoding them, is trained on the same "
                    + "latents and on the world's exact depth. The model folder has the diffusers layout. "
                    + "The run's own files are in its folder training, or training-depth for a depth head: "
                    + "loss.csv, loss.png, sample-*.png and state.safetensors, from which the same command resumes at the exact step.",
            ],
            Examples = [new("sora train --world --show sheet.png", "Show what the synthetic world looks like")],
        }.With(
            Part,
            Folder,
            World,
            Data,
            WorldShare,
            Show,
            Clips,
            Start,
            Inflate,
            Guidance,
            Heads,
            VaeFolder,
            Transformer,
            Cache,
            Steps,
            Tokens,
            Reading,
            Scenes,
            Rate,
            Ema,
            Decay,
            SampleEvery,
            CheckpointEvery,
            Mixed,
            Half,
            Threads,
            Seed
        );

    private static Args Parse(ParseResult parse) =>
        new(
            Part: parse.GetValue(Part),
            Folder: parse.GetValue(Folder),
            World: parse.GetValue(World),
            Data: parse.GetValue(Data)!,
            WorldShare: parse.GetValue(WorldShare) ?? 0.5,
            Show: parse.GetValue(Show),
            Clips: parse.GetValue(Clips)!,
            Start: parse.GetValue(Start),
            Inflate: parse.GetValue(Inflate),
            Guidance: parse.GetValue(Guidance),
            Heads: parse.GetValue(Heads),
            VaeFolder: parse.GetValue(VaeFolder),
            Transformer: parse.GetValue(Transformer),
            Cache: parse.GetValue(Cache),
            Steps: parse.GetValue(Steps) ?? 10_000,
            Tokens: parse.GetValue(Tokens) ?? 2048,
            Reading: parse.GetValue(Reading) ?? 0.005,
            Scenes: parse.GetValue(Scenes),
            Rate: parse.GetValue(Rate) ?? 3e-3,
            Ema: parse.GetValue(Ema) ?? 0.998,
            Decay: parse.GetValue(Decay) ?? 0.3,
            SampleEvery: parse.GetValue(SampleEvery) ?? 1000,
            CheckpointEvery: parse.GetValue(CheckpointEvery) ?? 500,
            Mixed: parse.GetValue(Mixed),
            Half: parse.GetValue(Half),
            Threads: parse.GetValue(Threads),
            Seed: (ulong)(parse.GetValue(Seed) ?? 0)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        string? Part,
        string? Folder,
        bool World,
        string[] Data,
        double WorldShare,
        string? Show,
        string[] Clips,
        string? Start,
        bool Inflate,
        double? Guidance,
        int? Heads,
        string? VaeFolder,
        string? Transformer,
        string? Cache,
        int Steps,
        int Tokens,
        double Reading,
        bool Scenes,
        double Rate,
        double Ema,
        double Decay,
        int SampleEvery,
        int CheckpointEvery,
        bool Mixed,
        bool Half,
        int? Threads,
        ulong Seed
    )
    {
        public void Execute(Run run)
        {
            if (Show is not null)
            {
                if (!World)
                    throw SoraException.Usage("--show needs the synthetic world", "add --world");
                WriteSheet(Show, Seed, run);
                return;
            }
            if (Part is not ("vae" or "transformer" or "depth"))
            {
                throw SoraException.Usage(
                    Part is null ? "no part to train given" : $"'{Part}' can't be trained",
                    "sora train vae …, sora train transformer … or sora train depth …"
                );
            }
            var folder = Folder ?? throw SoraException.Usage("no output folder", "add -o DIR");
            var data = new TrainingData(Source(run), Shapes(Clips, Part));
            var (vae, transformer) = (Part == "vae", Part == "transformer");
            if (Guidance is not null && (!transformer || Start is null))
            {
                throw SoraException.Usage(
                    "--guidance needs a transformer to learn from",
                    "sora train transformer --init DIR --guidance G …"
                );
            }
            if (Heads is not null && (!transformer || Guidance is not null))
            {
                throw SoraException.Usage(
                    "--heads is for a transformer that trains on clips",
                    !transformer ? "leave it out" : "widen the model first, then learn guidance from it"
                );
            }
            if (!vae && Transformer is not null)
                throw SoraException.Usage("--transformer is for sora train vae", "leave it out");
            HostMemory.RestartWithOneHeap();
            var options = Part == "depth" ? Options(folder) with { RunName = "training-depth" } : Options(folder);
            if (vae)
                VaeTrainer.Train(data, options, new VaeStart(Start, Inflate) { Transformer = Transformer }, run.Reporter, run.Cancel);
            else if (Part == "depth")
                DepthTrainer.Train(data, options, FirstDepth(options.RunFolder), run.Reporter, run.Cancel);
            else
                TransformerTrainer.Train(data, options, FirstTransformer(options.RunFolder), run.Reporter, run.Cancel);
        }

        private TrainingOptions Options(string folder) =>
            new(folder, Steps, new OptimizerOptions(Rate, Rate / 2))
            {
                Seed = Seed,
                EmaDecay = Ema,
                DecayFraction = Decay,
                SampleEvery = SampleEvery,
                CheckpointEvery = CheckpointEvery,
                Threads = Threads,
                Half = Half,
                Products = Mixed ? TorchSharp.torch.bfloat16 : TorchSharp.torch.float32,
            };

        private TransformerStart FirstTransformer(string runFolder) =>
            new(CacheIn(runFolder), Tokens)
            {
                Folder = Start,
                Guidance = Guidance,
                Heads = Heads,
                VaeFolder = VaeFolder,
                Reading = Reading,
                Scenes = Scenes,
            };

        private DepthStart FirstDepth(string runFolder) => new(CacheIn(runFolder), Tokens) { Folder = Start, VaeFolder = VaeFolder };

        private string CacheIn(string runFolder) => Cache ?? Path.Combine(runFolder, "latents");

        private ClipSource Source(Run run)
        {
            var parts = new List<(ClipSource Source, double Share)>();
            foreach (var folder in Data)
                parts.Add((new FolderSource(folder, WorldSource.Fps, run.Reporter, run.Cancel), (1 - WorldShare) / Data.Length));
            if (World)
                parts.Add((new WorldSource(), Data.Length == 0 ? 1 : WorldShare));
            return parts.Count switch
            {
                0 => throw SoraException.Usage("nothing to learn from", "add --world, or --data DIR"),
                1 => parts[0].Source,
                _ => new MixedSource(parts),
            };
        }
    }

    private static (ClipShape, int)[] Shapes(string[] words, string part)
    {
        if (words.Length == 0)
            words = ["64x64x9"];
        return
        [
            .. words.Select(word =>
            {
                var cut = word.Split(':');
                if (cut.Length == 1)
                    return (ClipShape.Parse(cut[0]), part == "vae" ? 8 : 24_000);
                if (cut.Length == 2 && int.TryParse(cut[1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count > 0)
                    return (ClipShape.Parse(cut[0]), count);
                throw SoraException.Usage($"--clips: '{word}' is not a size with a number", "write WxHxF:N, as in 64x64x9:24000");
            }),
        ];
    }

    private static void WriteSheet(string path, ulong seed, Run run)
    {
        var sheet = WorldSheet.Draw(seed, SheetRows, SheetColumns, SheetSize, SheetFrames);
        new Media.Image(sheet.Width, sheet.Height, sheet.Rgb).Save(path, run.Cancel);
        run.Out.Write(sheet.Legend());
    }

    private static double GuidanceScale(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is > 1 and <= 30
            ? value
            : throw SoraException.Usage($"'{text}' is not a guidance scale from 1 to 30");

    private static Option<double?> Number(string name, string description) =>
        Options.Value(
            name,
            "X",
            description,
            text =>
                double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 1
                    ? value
                    : throw SoraException.Usage($"'{text}' is not a number from 0 to 1")
        );
}
