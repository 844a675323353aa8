using System.CommandLine;
using System.Globalization;
using Sora.Clips;
using Sora.Diffusion;
using Sora.Kernels;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Nn;
using Sora.Planning;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>Options of every verb that samples, and the settings that they make of a model's defaults.</summary>
internal static class SamplingOptions
{
    public static readonly Option<string?> Model = Options.Model();
    public static readonly Option<LoraOption[]> Loras = Options.Values("--lora", "FILE[:WEIGHT]", "LoRA and its weight (1 by default); may be repeated; merged when weights are read: at the start, or with each block that is streamed by --offload or from a quantised file", LoraOption.Parse);
    public static readonly Option<string?> Negative = Text("--negative", "TEXT", "What the video should not show; used with guidance above 1");
    public static readonly Option<double?> Guidance = Number("--guidance", "Guidance scale: how strongly to follow the prompt; 1 takes a single pass and half the time");
    public static readonly Option<double?> Guidance2 = Number("--guidance-2", "Guidance scale of the low-noise expert");
    public static readonly Option<double?> Boundary = Options.Value<double>("--boundary", "X", "Noise level, from 0 to 1, where the low-noise expert takes over from the high-noise one", text =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 1
            ? value
            : throw SoraException.Usage($"'{text}' is not a noise level from 0 to 1"));
    public static readonly Option<int?> TextLength = Options.Positive("--text-length", "N", "Length in tokens that prompts are cut or padded to");
    public static readonly Option<int?> Steps = Options.Positive("--steps", "N", "Number of sampling steps");
    public static readonly Option<double?> Shift = Number("--shift", "Flow shift: moves the noise levels towards more noise; 1 is no shift");
    public static readonly Option<string?> Sampler = Text("--sampler", string.Join('|', SchedulerConfig.Samplers), "Sampler; by default the model's own");
    public static readonly Option<int?> Order = Options.Positive("--order", "N", "Order of unipc and dpm++: 1, 2 or 3");
    public static readonly Option<string> Schedule = Options.Choice("--schedule", "UniPC's noise levels: as in current diffusers, or as when Wan was released", "default", "original");
    public static readonly Option<double[]> Sigmas = Numbers("--sigmas", "S,S,…", "Noise levels (sigmas) before the shift, falling from at most 1; the final 0 is added");
    public static readonly Option<double?> Cache = Number("--cache", "Skip model calls whose output is estimated to change by less than this fraction: 0.05 is careful, 0.2 is not; the number skipped and the estimate are printed at the end");
    public static readonly Option<long?> Seed = Options.Seed();
    public static readonly Option<string?> Noise = Text("--noise", "FILE", "Start from this noise: safetensors with latent_tensor or noise, [1, C, T, h, w]");
    public static readonly Option<int?> Window = Options.Positive("--window", "FRAMES", "Frames generated at once; longer videos are generated in sliding windows of this length");
    public static readonly Option<int?> Overlap = Options.Positive("--overlap", "FRAMES", "Frames of the previous window that each window sees");
    public static readonly Option<(ClipTime At, string Prompt)[]> PromptAt = Options.Values("--prompt-at", "T=TEXT", "Prompt from this time on, for windows that begin there or later; may be repeated", ParsePromptAt);
    public static readonly Option<string?> Device = Text("--device", "cpu|cuda|cuda:N", "Device to compute on; by default a GPU if there is one");
    public static readonly Option<string?> Type = Text("--dtype", "auto|f32|bf16|f16", "Type that the transformer and the text encoder compute in; auto (default) is bf16 on a GPU and f32 on the CPU, where bf16 is faster only if the processor supports it (sora info --system)");
    public static readonly Option<Offload?> Offload = Options.Value(
        "--offload", "none|sequential|blocks=N", "Blocks of the transformer and the text encoder that stay in memory: all (default; those from GGUF and fp8 files in their stored format), none, or N; the others are read and widened when they run",
        Nn.Offload.Parse);
    public static readonly Option<bool> DryRun = new("--dry-run") { Description = "Print what the run needs (memory, operations), and stop" };
    public static readonly Option<string?> Preview = Text("--preview", "FILE", "Write the current estimate to this picture (a row of frames) or video every few steps");
    public static readonly Option<string?> Checkpoint = Text("--checkpoint", "FILE", "Save the state here after every step, for --resume; removed at the end");

    private static readonly Option[] OfExperts = [Guidance2, Boundary];

    private static FreeMemory? free;

    /// <summary>In the order in which help lists them.</summary>
    public static readonly Symbol[] All =
    [
        Model, .. ModelOptions.All, Loras, Negative, Guidance, Guidance2, Boundary, TextLength, Steps, Shift, Sampler, Order, Schedule, Sigmas, Cache, Seed,
        Window, Overlap, PromptAt, Device, Type, Offload, DryRun, Options.Store,
    ];

    /// <summary>The model that was named, or else <paramref name="otherwise"/>, with its LoRAs.</summary>
    public static ModelFolder Open(ParseResult args, Run run, string? otherwise = null)
    {
        Libtorch.Preload();
        var model = ModelFolder.Open(args.GetValue(Model) ?? otherwise, ModelOptions.Paths(args));
        foreach (var option in OfExperts.Where(option => model.Transformer2 is null && args.GetResult(option) is { Implicit: false }))
            run.Reporter.NoteOnce($"{option.Name} has no effect: {model.Name} does not have two experts");
        return args.GetValue(Loras) is { Length: > 0 } loras ? model.With(loras, run.Reporter) : model;
    }

    public static SamplingSettings Settings(ParseResult args, SamplingSettings defaults) => defaults with
    {
        Negative = args.GetValue(Negative) ?? defaults.Negative,
        Guidance = args.GetValue(Guidance) ?? defaults.Guidance,
        Guidance2 = args.GetValue(Guidance2) ?? (args.GetValue(Guidance) is null ? defaults.Guidance2 : null),
        Boundary = args.GetValue(Boundary) ?? defaults.Boundary,
        TextLength = args.GetValue(TextLength) ?? defaults.TextLength,
        Steps = args.GetValue(Sigmas) is { Length: > 0 } levels ? levels.Length : args.GetValue(Steps) ?? defaults.Steps,
        Shift = args.GetValue(Shift) ?? defaults.Shift,
        Sampler = args.GetValue(Sampler) ?? defaults.Sampler,
        Order = args.GetValue(Order) ?? defaults.Order,
        Window = args.GetValue(Window) ?? defaults.Window,
        Overlap = args.GetValue(Overlap) ?? Math.Min(defaults.Overlap, ((args.GetValue(Window) ?? defaults.Window) - 1) / 2),
        Cache = args.GetValue(Cache) ?? defaults.Cache,
        OriginalSchedule = args.GetValue(Schedule) == "original",
        Sigmas = args.GetValue(Sigmas) is { Length: > 0 } sigmas ? sigmas : defaults.Sigmas,
    };

    /// <summary>The prompts of <c>--prompt-at</c>, in the order of time.</summary>
    /// <exception cref="SoraException">Two are for the same frame.</exception>
    public static IReadOnlyList<TimedPrompt> Later(ParseResult args, double fps)
    {
        List<TimedPrompt> later = [.. args.GetValue(PromptAt)!.Select(later => new TimedPrompt(later.At.FrameCount(fps), later.Prompt)).OrderBy(later => later.Frame)];
        foreach (var (one, next) in later.Zip(later.Skip(1)).Where(pair => pair.First.Frame == pair.Second.Frame))
            throw SoraException.Usage($"--prompt-at: two prompts for frame {one.Frame}, '{one.Prompt}' and '{next.Prompt}'", "keep one of them, or change its time");
        return later;
    }

    /// <summary>Says which prompts of <c>--prompt-at</c> come too late for a result of <paramref name="frames"/> frames.</summary>
    public static void WarnOfLate(Run run, SamplingSettings settings, int frames)
    {
        foreach (var late in settings.Later.Where(later => later.Frame >= frames))
            run.Reporter.Warn($"'{late.Prompt}' has no effect: --prompt-at puts it at frame {late.Frame}, but the result has {frames} frames");
    }

    /// <summary>The model of a clip, and settings for a video of its size, length and rate.</summary>
    public static (ModelFolder Model, SamplingSettings Settings) ForClip(ParseResult args, Run run, Clip clip)
    {
        var model = Open(args, run, clip.Info.Model);
        var settings = Settings(args, ModelDefaults.Of(model).Settings);
        var shape = clip.FinishedLatents.Shape;
        var fps = clip.Info.Fps ?? settings.Fps;
        if (shape[1] != model.Vae.ZDim)
            throw SoraException.Failed($"{clip.Origin}: latents with {shape[1]} channels, but those of {model.Name} have {model.Vae.ZDim}", "pass the clip's model with --model");
        var size = model.Vae.Geometry.PixelSize(shape[3], shape[4]);
        return (model, settings with
        {
            Width = size.Width,
            Height = size.Height,
            Frames = model.Vae.Geometry.VideoFrames(shape[2]),
            Fps = fps,
            Later = Later(args, fps),
        });
    }

    /// <summary>Noise of another run, or of another tool.</summary>
    public static HostTensor ReadNoise(string path)
    {
        using var file = SafeTensorsFile.Open(path);
        var name = file.Tensors.ContainsKey("latent_tensor") ? "latent_tensor" : "noise";
        return file.Tensors.ContainsKey(name) ? file.Copy(name) : throw SoraException.Failed($"{path}: contains neither latent_tensor nor noise");
    }

    /// <summary>Where and how a run computes.</summary>
    public static Precision Precision(ParseResult args) => Planned(args).Required();

    /// <summary>Plans a run and refuses it where it doesn't fit.</summary>
    /// <returns>False where the plan was asked for, and printed, instead of the run.</returns>
    public static bool Plan(ParseResult args, Run run, ModelFolder model, SamplingSettings settings, Given given)
    {
        var calls = settings.MakeSchedule(ModelDefaults.Of(model).Scheduler).Calls;
        var precision = Planned(args);
        MemoryPlan Of(SamplingSettings other, bool streamed = false) =>
            MemoryPlan.Of(model, other, given, calls, streamed ? precision with { Offload = Nn.Offload.Sequential } : precision);
        var longest = Math.Min(settings.Frames, VideoSize.WholeFrames(model, settings.Window));
        var plan = Of(settings with { Frames = longest });
        model.Check();
        if (args.GetValue(DryRun))
        {
            foreach (var line in plan.Lines()) run.Out.WriteLine(line);
            return false;
        }
        // Of the clips of a pipe the first one asks: those behind it find the weights that it left, and take them.
        free ??= FreeMemory.Of(precision.Required().Device);
        plan.Require(free, Of, model, settings with { Frames = longest }, isOfClip: !args.CommandResult.Command.Options.Any(option => option.Name == "--frames"));
        return true;
    }

    /// <summary>A seed for a run that was given none, and says so.</summary>
    public static long DrawSeed(Run run)
    {
        var seed = Random.Shared.NextInt64(1L << 32);
        run.Reporter.Note($"seed {seed}");
        return seed;
    }

    /// <summary>What keeps the state of a run in the file that <c>--checkpoint</c> names.</summary>
    /// <param name="args">The command line.</param>
    /// <param name="entry">The verb, for the history of the clip that comes of it; null: that is in there already.</param>
    public static Action<Clip>? Keep(ParseResult args, HistoryEntry? entry) => args.GetValue(Checkpoint) is { } path
        ? clip => AtomicFile.Write(path, stream => new ClipWriter(stream, single: true).Write(entry is null ? clip : clip.After(entry)))
        : null;

    /// <summary>Removes the state of a run that has come to its end; a plan alone is none.</summary>
    public static void RemoveCheckpoint(ParseResult args)
    {
        if (args.GetValue(Checkpoint) is { } path && !args.GetValue(DryRun)) File.Delete(path);
    }

    /// <summary>The verb in a clip's history, with the seed that was drawn and without what doesn't change the result and the clip that it began with.</summary>
    public static HistoryEntry Entry(ParseResult args, Run run, long seed, string? clip = null, bool keepsDash = false)
    {
        var entry = ClipPipe.Entry(args, run, keepsDash);
        string[] dropped = ["-n", Seed.Name];
        var words = new List<string>();
        for (var i = 0; i < entry.Arguments.Count; i++)
        {
            if (dropped.Contains(entry.Arguments[i])) i++;
            else if (entry.Arguments[i] == clip) clip = null;
            else words.Add(entry.Arguments[i]);
        }
        return entry with { Arguments = [.. words, Seed.Name, seed.ToString(CultureInfo.InvariantCulture)] };
    }

    public static Option<string?> Text(string name, string helpName, string description) =>
        new(name) { Description = description, HelpName = helpName };

    /// <summary>An option of numbers with commas between them.</summary>
    public static Option<double[]> Numbers(string name, string helpName, string description) => new(name)
    {
        Description = description,
        HelpName = helpName,
        Arity = ArgumentArity.ExactlyOne,
        DefaultValueFactory = _ => [],
        CustomParser = result =>
        {
            var parts = result.Tokens[0].Value.Split(',');
            if (parts.All(part => double.TryParse(part, CultureInfo.InvariantCulture, out _)))
                return [.. parts.Select(part => double.Parse(part, CultureInfo.InvariantCulture))];
            result.AddError($"{name}: '{result.Tokens[0].Value}' is not a list of numbers: write 1,0.75,0.5");
            return [];
        },
    };

    private static (ClipTime At, string Prompt) ParsePromptAt(string text) => text.Split('=', 2) is [var at, { Length: > 0 } prompt]
        ? (ClipTime.Parse(at), prompt)
        : throw SoraException.Usage($"'{text}' is not a time and a prompt", "write 4s=\"it stops\"");

    /// <summary>As <see cref="Precision"/>, whether the device can be had or not.</summary>
    private static Precision Planned(ParseResult args) =>
        Nn.Precision.Parse(args.GetValue(Device), args.GetValue(Type)) with { Offload = args.GetValue(Offload) ?? Nn.Offload.None };

    private static Option<double?> Number(string name, string description) =>
        Options.Value(name, "X", description, text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= 0
                ? value
                : throw SoraException.Usage($"'{text}' is not a number (0 or greater)"));
}
