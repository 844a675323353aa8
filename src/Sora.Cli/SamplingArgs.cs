using System.CommandLine;
using System.Globalization;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Kernels;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Nn;
using Sora.Planning;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>What the command line says for <see cref="SamplingOptions"/>, and the settings it makes from a model's defaults.</summary>
internal sealed record SamplingArgs(
    string? Model,
    PartPaths Parts,
    LoraOption[] Loras,
    string? Negative,
    double? Guidance,
    double? Guidance2,
    double? Boundary,
    int? TextLength,
    int? Steps,
    double? Shift,
    string? Sampler,
    int? Order,
    bool OriginalSchedule,
    double[] Sigmas,
    double? Cache,
    long? Seed,
    string? Noise,
    int? Window,
    int? Overlap,
    (ClipTime At, string Prompt)[] PromptAt,
    string? Device,
    string? Type,
    Offload? Offload,
    bool DryRun,
    DType? Store,
    string? Preview,
    string? Checkpoint
)
{
    private static readonly Option[] OfExperts = [SamplingOptions.Guidance2, SamplingOptions.Boundary];

    private static FreeMemory? free;

    /// <summary>The names of all options that were given.</summary>
    public required IReadOnlyList<string> Explicit { private get; init; }

    /// <summary>The verb as it was called, for a clip's history.</summary>
    public required HistoryEntry Called { get; init; }

    /// <summary>Whether the verb works on a clip, which sets the size and length.</summary>
    public required bool IsOfClip { private get; init; }

    /// <summary>Whether an option was given rather than left at its default.</summary>
    public bool IsGiven(Option option) => Explicit.Contains(option.Name);

    /// <summary>The model that was named, or else <paramref name="otherwise"/>, with its LoRAs.</summary>
    public VideoModel Open(Run run, string? otherwise = null)
    {
        Libtorch.Preload();
        var model = VideoModel.Open(Model ?? otherwise, Parts);
        foreach (var option in OfExperts.Where(option => model.Experts == 1 && IsGiven(option)))
            run.Reporter.NoteOnce($"{option.Name} has no effect: {model.Name} does not have two experts");
        return Loras.Length > 0 ? model.With(Loras, run.Reporter) : model;
    }

    /// <summary>A model's defaults, overridden by what was given.</summary>
    public SamplingSettings Settings(SamplingSettings defaults) =>
        defaults with
        {
            Negative = Negative ?? defaults.Negative,
            Guidance = Guidance ?? defaults.Guidance,
            Guidance2 = Guidance2 ?? (Guidance is null ? defaults.Guidance2 : null),
            Boundary = Boundary ?? defaults.Boundary,
            TextLength = TextLength ?? defaults.TextLength,
            Steps = Sigmas.Length > 0 ? Sigmas.Length : Steps ?? defaults.Steps,
            Shift = Shift ?? defaults.Shift,
            Sampler = Sampler ?? defaults.Sampler,
            Order = Order ?? defaults.Order,
            Window = Window ?? defaults.Window,
            Overlap = Overlap ?? Math.Min(defaults.Overlap, ((Window ?? defaults.Window) - 1) / 2),
            Cache = Cache ?? defaults.Cache,
            OriginalSchedule = OriginalSchedule,
            Sigmas = Sigmas.Length > 0 ? Sigmas : defaults.Sigmas,
        };

    /// <summary>The prompts of <c>--prompt-at</c>, in order of time.</summary>
    /// <exception cref="SoraException">Two are for the same frame.</exception>
    public IReadOnlyList<TimedPrompt> Later(double fps)
    {
        List<TimedPrompt> later =
        [
            .. PromptAt.Select(prompt => new TimedPrompt(prompt.At.FrameCount(fps), prompt.Prompt)).OrderBy(prompt => prompt.Frame),
        ];
        foreach (var (one, next) in later.Zip(later.Skip(1)).Where(pair => pair.First.Frame == pair.Second.Frame))
        {
            throw SoraException.Usage(
                $"--prompt-at: two prompts for frame {one.Frame}, '{one.Prompt}' and '{next.Prompt}'",
                "keep one of them, or change its time"
            );
        }
        return later;
    }

    /// <summary>Says which prompts of <c>--prompt-at</c> come too late for a result of <paramref name="frames"/> frames.</summary>
    public static void WarnOfLate(Run run, SamplingSettings settings, int frames)
    {
        foreach (var (at, prompt) in settings.Later.Where(later => later.Frame >= frames))
            run.Reporter.Warn($"'{prompt}' has no effect: --prompt-at puts it at frame {at}, but the result has {frames} frames");
    }

    /// <summary>The model of a clip, and settings for a video of its size, length and rate.</summary>
    public (VideoModel Model, SamplingSettings Settings) ForClip(Run run, Clip clip)
    {
        var model = Open(run, clip.Info.Model);
        var settings = Settings(ModelDefaults.Of(model).Settings);
        var shape = clip.FinishedLatents.Shape;
        var fps = clip.Info.Fps ?? settings.Fps;
        if (shape[1] != model.Geometry.Channels)
        {
            throw SoraException.Failed(
                $"{clip.Origin}: latents with {shape[1]} channels, but those of {model.Name} have {model.Geometry.Channels}",
                "pass the clip's model with --model"
            );
        }
        var (size, frames) = model.Geometry.VideoOf(shape);
        return (model, settings with { Width = size.Width, Height = size.Height, Frames = frames, Fps = fps, Later = Later(fps) });
    }

    /// <summary>Noise from another run or tool, if the command line names a file.</summary>
    public HostTensor? ReadNoise()
    {
        if (Noise is null)
            return null;
        using var file = SafeTensorsFile.Open(Noise);
        var name = file.Tensors.ContainsKey("latent_tensor") ? "latent_tensor" : "noise";
        return file.Tensors.ContainsKey(name)
            ? file.Copy(name)
            : throw SoraException.Failed($"{Noise}: contains neither latent_tensor nor noise");
    }

    /// <summary>Where and how a run computes.</summary>
    public Precision Precision() => Planned().Required();

    /// <summary>Plans a run and refuses it if it doesn't fit.</summary>
    /// <returns>False if only the plan was asked for; it has been printed.</returns>
    public bool Plan(Run run, VideoModel model, GenerationRequest request)
    {
        var settings = request.Settings;
        var calls = settings.MakeSchedule(ModelDefaults.Of(model).Scheduler).Calls;
        var precision = Planned();
        MemoryPlan Of(SamplingSettings other, bool streamed = false) =>
            MemoryPlan.Of(
                model,
                request with
                {
                    Settings = other,
                },
                calls,
                streamed ? precision with { Offload = Nn.Offload.Sequential } : precision
            );
        var longest = Math.Min(settings.Frames, VideoSize.WholeFrames(model, settings.Window));
        var plan = Of(settings with { Frames = longest });
        model.Check();
        if (DryRun)
        {
            foreach (var line in plan.Lines())
                run.Out.WriteLine(line);
            return false;
        }
        // Asked once, for the first clip of a pipe: later ones reuse its weights, which already take memory.
        free ??= FreeMemory.Of(precision.Required().Device);
        plan.Require(free, Of, model, settings with { Frames = longest }, IsOfClip);
        return true;
    }

    /// <summary>Draws a seed for a run that was given none, and reports it.</summary>
    public static long DrawSeed(Run run)
    {
        var seed = Random.Shared.NextInt64(1L << 32);
        run.Reporter.Note($"seed {seed}");
        return seed;
    }

    /// <summary>Gives <paramref name="produce"/> a writer to where the verb's clips go; see <see cref="ClipPipe.Write"/>.</summary>
    public void Write(Run run, string output, Action<ClipWriter> produce) => ClipPipe.Write(run, output, Store, DryRun, produce);

    /// <summary>Reads clips, or pairs of them, and writes what becomes of each: null if only the plan was asked for.</summary>
    public void WriteEach<T>(Run run, string output, Func<IEnumerable<T>> read, Func<T, Pipelines, Clip?> make)
    {
        using var pipelines = new Pipelines(this, run);
        Write(
            run,
            output,
            writer =>
            {
                foreach (var clip in read())
                {
                    if (make(clip, pipelines) is { } made)
                        writer.Write(made);
                }
            }
        );
        RemoveCheckpoint();
    }

    /// <summary>Saves the state of a run in the file that <c>--checkpoint</c> names.</summary>
    /// <param name="entry">The verb, for the history of the resulting clip; null: it is there already.</param>
    public Action<Clip>? Keep(HistoryEntry? entry) =>
        Checkpoint is { } path
            ? clip =>
                AtomicFile.Write(path, stream => new ClipWriter(stream, isSingle: true).Write(entry is null ? clip : clip.After(entry)))
            : null;

    /// <summary>Removes the state of a finished run; a plan alone doesn't count.</summary>
    public void RemoveCheckpoint()
    {
        if (Checkpoint is not null && !DryRun)
            File.Delete(Checkpoint);
    }

    /// <summary>
    /// The verb in a clip's history: with the seed that was drawn, without what doesn't change the result, and without the clip that
    /// it started from.
    /// </summary>
    public HistoryEntry Entry(long seed, string? clip = null)
    {
        string[] dropped = ["-n", SamplingOptions.Seed.Name];
        var words = new List<string>();
        for (var i = 0; i < Called.Arguments.Count; i++)
        {
            if (dropped.Contains(Called.Arguments[i]))
                i++;
            else if (Called.Arguments[i] == clip)
                clip = null;
            else
                words.Add(Called.Arguments[i]);
        }
        return Called with { Arguments = [.. words, SamplingOptions.Seed.Name, seed.ToString(CultureInfo.InvariantCulture)] };
    }

    /// <summary>As <see cref="Precision"/>, whether or not the device is available.</summary>
    private Precision Planned() => Nn.Precision.Parse(Device, Type) with { Offload = Offload ?? Nn.Offload.None };
}
