using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Sora.Diffusion;
using Sora.Models.Checkpoints;
using Sora.Nn;

namespace Sora.Cli;

/// <summary>Options of every verb that samples.</summary>
internal static class SamplingOptions
{
    public static readonly Option<string?> Model = Options.Model();
    public static readonly Option<LoraOption[]> Loras = Options.Values(
        "--lora",
        "FILE[:WEIGHT]",
        "LoRA and its weight (1 by default); may be repeated; merged when weights are read: at the start, "
            + "or with each block that is streamed by --offload or from a quantised file",
        LoraOption.Parse
    );
    public static readonly Option<string?> Negative = Text(
        "--negative",
        "TEXT",
        "What the video should not show; used with guidance above 1"
    );
    public static readonly Option<double?> Guidance = Options.Number(
        "--guidance",
        "X",
        "Guidance scale: how strongly to follow the prompt; 1 takes a single pass and half the time"
    );
    public static readonly Option<double?> Guidance2 = Options.Number("--guidance-2", "X", "Guidance scale of the low-noise expert");
    public static readonly Option<double?> Boundary = Options.Value<double>(
        "--boundary",
        "X",
        "Noise level, from 0 to 1, where the low-noise expert takes over from the high-noise one",
        text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 1
                ? value
                : throw SoraException.Usage($"'{text}' is not a noise level from 0 to 1")
    );
    public static readonly Option<int?> TextLength = Options.Positive(
        "--text-length",
        "N",
        "Length in tokens that prompts are cut or padded to"
    );
    public static readonly Option<int?> Steps = Options.Positive("--steps", "N", "Number of sampling steps");
    public static readonly Option<double?> Shift = Options.Number(
        "--shift",
        "X",
        "Flow shift: moves the noise levels towards more noise; 1 is no shift"
    );
    public static readonly Option<string?> Sampler = Text(
        "--sampler",
        string.Join('|', SchedulerConfig.Samplers),
        "Sampler; by default the model's own"
    );
    public static readonly Option<int?> Order = Options.Positive("--order", "N", "Order of unipc and dpm++: 1, 2 or 3");
    public static readonly Option<string> Schedule = Options.Choice(
        "--schedule",
        "UniPC's noise levels: as in current diffusers, or as when Wan was released",
        "default",
        "original"
    );
    public static readonly Option<double[]> Sigmas = Numbers(
        "--sigmas",
        "S,S,…",
        "Noise levels (sigmas) before the shift, falling from at most 1; the final 0 is added"
    );
    public static readonly Option<double?> Cache = Options.Number(
        "--cache",
        "X",
        "Skip model calls whose output is estimated to change by less than this fraction: 0.05 is careful, 0.2 is not; "
            + "the number skipped and the estimate are printed at the end"
    );
    public static readonly Option<long?> Seed = Options.Seed();
    public static readonly Option<string?> Noise = Text(
        "--noise",
        "FILE",
        "Start from this noise: safetensors with latent_tensor or noise, [1, C, T, h, w]"
    );
    public static readonly Option<int?> Window = Options.Positive(
        "--window",
        "FRAMES",
        "Frames generated at once; longer videos are generated in sliding windows of this length"
    );
    public static readonly Option<int?> Overlap = Options.Positive(
        "--overlap",
        "FRAMES",
        "Frames of the previous window that each window sees"
    );
    public static readonly Option<(ClipTime At, string Prompt)[]> PromptAt = Options.Values(
        "--prompt-at",
        "T=TEXT",
        "Prompt from this time on, for windows that begin there or later; may be repeated",
        ParsePromptAt
    );
    public static readonly Option<string?> Device = Text(
        "--device",
        "cpu|cuda|cuda:N",
        "Device to compute on; by default a GPU if there is one"
    );
    public static readonly Option<string?> Type = Text(
        "--dtype",
        "auto|f32|bf16|f16",
        "Type that the transformer and the text encoder compute in; auto (default) is bf16 on a GPU and f32 on the CPU, "
            + "where bf16 is faster only if the processor supports it (sora info --system)"
    );
    public static readonly Option<Offload?> Offload = Options.Value(
        "--offload",
        "none|sequential|blocks=N",
        "Blocks of the transformer and the text encoder that stay in memory: all (default; those from GGUF and fp8 files "
            + "in their stored format), none, or N; the others are read and widened when they run",
        Nn.Offload.Parse
    );
    public static readonly Option<bool> DryRun = new("--dry-run")
    {
        Description = "Print what the run needs (memory, operations), and stop",
    };
    public static readonly Option<string?> Preview = Text(
        "--preview",
        "FILE",
        "Write the current estimate to this picture (a row of frames) or video every few steps"
    );
    public static readonly Option<string?> Checkpoint = Text(
        "--checkpoint",
        "FILE",
        "Save the state here after every step, for --resume; removed at the end"
    );

    /// <summary>In the order in which help lists them.</summary>
    public static readonly Symbol[] All =
    [
        Model,
        .. ModelOptions.All,
        Loras,
        Negative,
        Guidance,
        Guidance2,
        Boundary,
        TextLength,
        Steps,
        Shift,
        Sampler,
        Order,
        Schedule,
        Sigmas,
        Cache,
        Seed,
        Window,
        Overlap,
        PromptAt,
        Device,
        Type,
        Offload,
        DryRun,
        Options.Store,
    ];

    /// <summary>What the command line says for them.</summary>
    /// <param name="parse">The command line.</param>
    /// <param name="keepsDash">Keeps words that stand for standard input in the clip's history.</param>
    public static SamplingArgs Parse(ParseResult parse, bool keepsDash = false) =>
        new(
            Model: parse.GetValue(Model),
            Parts: ModelOptions.Paths(parse),
            Loras: parse.GetValue(Loras)!,
            Negative: parse.GetValue(Negative),
            Guidance: parse.GetValue(Guidance),
            Guidance2: parse.GetValue(Guidance2),
            Boundary: parse.GetValue(Boundary),
            TextLength: parse.GetValue(TextLength),
            Steps: parse.GetValue(Steps),
            Shift: parse.GetValue(Shift),
            Sampler: parse.GetValue(Sampler),
            Order: parse.GetValue(Order),
            OriginalSchedule: parse.GetValue(Schedule) == "original",
            Sigmas: parse.GetValue(Sigmas)!,
            Cache: parse.GetValue(Cache),
            Seed: parse.GetValue(Seed),
            Noise: parse.GetValue(Noise),
            Window: parse.GetValue(Window),
            Overlap: parse.GetValue(Overlap),
            PromptAt: parse.GetValue(PromptAt)!,
            Device: parse.GetValue(Device),
            Type: parse.GetValue(Type),
            Offload: parse.GetValue(Offload),
            DryRun: parse.GetValue(DryRun),
            Store: parse.GetValue(Options.Store),
            Preview: parse.GetValue(Preview),
            Checkpoint: parse.GetValue(Checkpoint)
        )
        {
            Explicit = [.. parse.CommandResult.Children.OfType<OptionResult>().Where(one => !one.Implicit).Select(one => one.Option.Name)],
            Called = ClipPipe.Entry(parse, keepsDash),
            IsOfClip = !parse.CommandResult.Command.Options.Any(option => option.Name == "--frames"),
        };

    public static Option<string?> Text(string name, string helpName, string description) =>
        new(name) { Description = description, HelpName = helpName };

    /// <summary>An option that takes numbers separated by commas.</summary>
    public static Option<double[]> Numbers(string name, string helpName, string description) =>
        new(name)
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

    private static (ClipTime At, string Prompt) ParsePromptAt(string text) =>
        text.Split('=', 2) is [var at, { Length: > 0 } prompt]
            ? (ClipTime.Parse(at), prompt)
            : throw SoraException.Usage($"'{text}' is not a time and a prompt", "write 4s=\"it stops\"");
}
