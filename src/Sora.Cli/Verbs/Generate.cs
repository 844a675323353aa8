using System.CommandLine;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Planning;

namespace Sora.Cli.Verbs;

/// <summary>Makes a clip from text, and from pictures that some of its frames show.</summary>
internal static class Generate
{
    private static readonly Argument<string?> Prompt = new("PROMPT") { Description = "What the video shows", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<FrameSize?> Size = Options.Size();
    private static readonly Option<int?> Frames = Options.Frames();
    private static readonly Option<ClipTime?> Duration = Options.Duration();
    private static readonly Option<double?> Fps = Options.Fps();
    private static readonly Option<string?> First = SamplingOptions.Text("--image", "FILE", "Picture to use as the first frame");
    private static readonly Option<string?> Last = SamplingOptions.Text("--last-image", "FILE", "Picture to use as the last frame");
    private static readonly Option<(ClipTime At, string File)[]> Keyframes = Options.Values("--keyframe", "T=FILE", "Picture to use as the frame at this time; may be repeated", ParseKeyframe);
    private static readonly Option<string> FitTo = Options.Choice("--fit", "How to fit pictures to the video's shape: crop them, pad them with borders, or stretch them", "crop", "pad", "stretch");
    private static readonly Option<string?> ControlFile = SamplingOptions.Text("--control", "VIDEO", "Control video, for VACE models");
    private static readonly Option<string?> MaskFile = SamplingOptions.Text("--mask", "VIDEO", "White where the control video is regenerated; all of it by default");
    private static readonly Option<string[]> References = Options.Values("--reference", "IMAGE", "Picture of something that should appear, for VACE models; may be repeated", text => text);
    private static readonly Option<double[]> ControlScale = SamplingOptions.Numbers("--control-scale", "X,X,…", "Strength of the control: one number for all its layers, or one per layer");
    private static readonly Option<int?> Count = Options.Positive("-n", "N", "Make this many clips, with consecutive seeds");
    private static readonly Option<int?> Until = Options.Positive("--until", "N", "Stop after this many steps, counted over all windows, and write the unfinished clip");
    private static readonly Option<string?> Resume = SamplingOptions.Text("--resume", "CLIP", "Resume an unfinished clip; - reads it from standard input");
    private static readonly Option<string> Experts = Options.Choice("--experts", "For a model with two experts, run only the steps of one", "both", "high", "low");
    private static readonly Option<string> Output = Options.Output("Clip to write (with -n, a name that contains %d)");

    /// <summary>What the clip is to be, in the order of the help.</summary>
    private static readonly Option[] Wanted =
        [Size, Frames, Duration, Fps, First, Last, Keyframes, FitTo, ControlFile, MaskFile, References, ControlScale, Count];

    /// <summary>What an unfinished clip has decided.</summary>
    private static readonly Option[] Fixed =
    [
        .. Wanted.Where(option => option != FitTo), SamplingOptions.Negative,
        SamplingOptions.Guidance, SamplingOptions.Guidance2, SamplingOptions.Boundary, SamplingOptions.Steps, SamplingOptions.Shift,
        SamplingOptions.Sampler, SamplingOptions.Order, SamplingOptions.Schedule, SamplingOptions.Sigmas, SamplingOptions.Cache, SamplingOptions.Seed, SamplingOptions.Noise,
        SamplingOptions.TextLength, SamplingOptions.PromptAt,
    ];

    public static Verb Create() => new Verb("generate", "Makes a clip from a prompt", Body)
    {
        Details =
        [
            "Lengths that the model can't make are rounded; sizes in multiples of 16 are cropped, and other sizes refused. The same command with the same seed gives the same clip.",
            "Anything not given comes from the model: the steps, guidance, shift, size, length and rate that it was made for.",
            "An unfinished clip contains everything that --resume needs; the resumed run gives the same clip, bit for bit, as one that never stopped.",
        ],
        Examples =
        [
            new("sora generate \"a red ball rolls left on sand\" | sora decode -o ball.mp4", "Make a video"),
            new("sora generate \"the ball bounces\" --image ball.png --size 160x96 --duration 3s --seed 7 -o b.latent", "Animate a picture"),
            new("sora generate \"a blue cube\" --steps 8 --until 4 | sora generate --resume - -o cube.latent", "Stop halfway, then resume"),
        ],
    }.With([Prompt, Output, .. Wanted, Until, Resume, Experts, SamplingOptions.Checkpoint, SamplingOptions.Preview, SamplingOptions.Noise, .. SamplingOptions.All]);

    private static void Body(ParseResult args, Run run)
    {
        if (args.GetValue(Resume) is { } unfinished) GoOn(args, run, unfinished);
        else Make(args, run);
    }

    private static void Make(ParseResult args, Run run)
    {
        var prompt = args.GetValue(Prompt) ?? throw SoraException.Usage("no prompt", "sora generate \"a red ball rolls left on sand\"");
        if (args.GetValue(Experts) == "low") throw SoraException.Usage("--experts low continues what --experts high started", "add --resume CLIP");
        var (output, count) = (args.GetValue(Output)!, args.GetValue(Count) ?? 1);
        if (count > 1 && output != "-" && ClipPipe.Numbered(output, 1) == output)
            throw SoraException.Usage($"{output} holds one clip, but there are {count}", "number them: -o clip-%d.latent");
        var model = SamplingOptions.Open(args, run);
        RequireExperts(args, model);
        var settings = Settings(args, run, model) with { Prompt = prompt };
        var given = new Given
        {
            First = args.GetValue(First) is not null,
            Others = args.GetValue(Last) is not null || args.GetValue(Keyframes)!.Length > 0,
            Control = args.GetValue(ControlFile) is not null,
            Preview = args.GetValue(SamplingOptions.Preview) is not null,
        };
        if (!SamplingOptions.Plan(args, run, model, settings, given)) return;

        SamplingOptions.WarnOfLate(run, settings, settings.Frames);
        var noise = args.GetValue(SamplingOptions.Noise) is { } file ? SamplingOptions.ReadNoise(file) : null;
        var known = new Conditioning { Stills = Stills(args, settings, run), Control = ReadControl(args, settings, run.Cancel) };
        using var pipeline = new VideoPipeline(model, SamplingOptions.Precision(args), run.Reporter, run.Cancel);
        using var preview = OpenPreview(args, run, settings.Fps);
        Clip One(int i)
        {
            var entry = SamplingOptions.Entry(args, run, settings.Seed + i);
            return pipeline.Generate(settings with { Seed = settings.Seed + i }, known, noise, Bounds(args, model, preview, entry)).After(entry);
        }
        if (output == "-") ClipPipe.Write(args, run, output, writer => { for (var i = 0; i < count; i++) writer.Write(One(i)); });
        else for (var i = 0; i < count; i++) ClipPipe.Write(args, run, ClipPipe.Numbered(output, i + 1), writer => writer.Write(One(i)));
        SamplingOptions.RemoveCheckpoint(args);
    }

    private static void GoOn(ParseResult args, Run run, string unfinished)
    {
        if (args.GetValue(Prompt) is not null) throw SoraException.Usage("--resume takes the prompt from the unfinished clip", "leave the prompt out");
        foreach (var option in Fixed.Where(option => args.GetResult(option) is { Implicit: false }))
            run.Reporter.Warn($"{option.Name} has no effect: the unfinished clip sets it");
        using var pipelines = new Pipelines(args, run);
        ClipPipe.Write(args, run, args.GetValue(Output)!, writer =>
        {
            foreach (var clip in ClipPipe.Read(run, unfinished))
            {
                var model = SamplingOptions.Open(args, run, clip.Info.Model);
                RequireExperts(args, model);
                var (settings, given) = SamplingCheckpoint.Planned(clip);
                if (!SamplingOptions.Plan(args, run, model, settings, given with { Preview = args.GetValue(SamplingOptions.Preview) is not null })) continue;
                using var preview = OpenPreview(args, run, clip.Info.Fps ?? ModelDefaults.Of(model).Settings.Fps);
                var entry = Entry(args, run, unfinished, clip);
                var made = pipelines.For(model).Resume(clip, Bounds(args, model, preview, entry));
                writer.Write(entry is null ? made : made.After(entry));
            }
        });
        SamplingOptions.RemoveCheckpoint(args);
    }

    /// <summary>The verb for the clip's history; null where the one that began makes the whole clip when it is run again, for it was interrupted.</summary>
    private static HistoryEntry? Entry(ParseResult args, Run run, string unfinished, Clip clip)
    {
        Option[] stops = [Until, Experts];
        var stopped = clip.History is not [.., var last] || stops.Any(option => last.Arguments.Contains(option.Name));
        if (!stopped && stops.All(option => args.GetResult(option) is null or { Implicit: true })) return null;
        var entry = ClipPipe.Entry(args, run);
        return ClipPipe.Source(unfinished, clip) is { } source
            ? entry with { Arguments = [.. entry.Arguments.Select(word => word == source ? "-" : word)] }
            : entry;
    }

    private static SamplingSettings Settings(ParseResult args, Run run, ModelFolder model)
    {
        var settings = SamplingOptions.Settings(args, ModelDefaults.Of(model).Settings);
        var wanted = args.GetValue(Size) ?? new FrameSize(settings.Width, settings.Height);
        var size = VideoSize.WholeTokens(model, wanted);
        if (size != wanted) run.Reporter.Note($"{size} instead of {wanted}: the model needs whole tokens");
        if (args.GetValue(Frames) is not null && args.GetValue(Duration) is not null)
            throw SoraException.Usage("--frames and --duration both set the length", "use only one of them");
        var fps = args.GetValue(Fps) ?? settings.Fps;
        var asked = args.GetValue(Frames) ?? args.GetValue(Duration)?.FrameCount(fps) ?? settings.Frames;
        var frames = VideoSize.WholeFrames(model, asked);
        if (frames != asked) run.Reporter.Note($"{frames} frames instead of {asked}: the model makes 1 frame, plus {model.Vae.TemporalFactor} for each further latent frame");
        var seed = args.GetValue(SamplingOptions.Seed) ?? (args.GetValue(SamplingOptions.Noise) is null ? SamplingOptions.DrawSeed(run) : 0);
        return settings with { Width = size.Width, Height = size.Height, Frames = frames, Fps = fps, Seed = seed, Later = SamplingOptions.Later(args, fps) };
    }

    private static void RequireExperts(ParseResult args, ModelFolder model)
    {
        if (args.GetValue(Experts) != "both" && model.Transformer2 is null)
            throw SoraException.Usage($"{model.Name} does not have two experts", "leave --experts out, or pass the second one's file with --transformer-2");
    }

    private static Preview? OpenPreview(ParseResult args, Run run, double fps) =>
        args.GetValue(SamplingOptions.Preview) is { } path ? new Preview(path, fps, run) : null;

    private static RunOptions Bounds(ParseResult args, ModelFolder model, Preview? preview, HistoryEntry? entry) => new()
    {
        Until = args.GetValue(Until),
        Expert = args.GetValue(Experts) switch { "high" => 0, "low" => 1, _ => null },
        Checkpoint = SamplingOptions.Keep(args, entry),
        Preview = preview is null ? null : latents => preview.Show(model, latents),
    };

    private static List<Still> Stills(ParseResult args, SamplingSettings settings, Run run)
    {
        var fit = Enum.Parse<Fit>(args.GetValue(FitTo)!, ignoreCase: true);
        var stills = new List<Still>();
        void Add(int frame, string? file)
        {
            if (file is not null) stills.Add(new Still(frame, Image.Load(file, run.Cancel), fit));
        }
        Add(0, args.GetValue(First));
        foreach (var (at, file) in args.GetValue(Keyframes)!) Add(at.FrameIndex(settings.Fps, settings.Frames), file);
        Add(settings.Frames - 1, args.GetValue(Last));
        foreach (var same in stills.GroupBy(still => still.Frame).Where(same => same.Count() > 1))
            run.Reporter.Warn($"frame {same.Key} has {same.Count()} pictures: the last one is used");
        return stills;
    }

    private static (ClipTime At, string File) ParseKeyframe(string text) => text.Split('=', 2) is [var at, { Length: > 0 } file]
        ? (ClipTime.Parse(at), file)
        : throw SoraException.Usage($"'{text}' is not a keyframe", "write 2s=picture.png");

    private static Control? ReadControl(ParseResult args, SamplingSettings settings, CancellationToken cancel)
    {
        var (video, mask, references) = (args.GetValue(ControlFile), args.GetValue(MaskFile), args.GetValue(References)!);
        if (mask is not null && video is null) throw SoraException.Usage("--mask needs --control VIDEO", "to change a part of a clip, use sora edit");
        if (video is null && references.Length == 0)
        {
            return args.GetValue(ControlScale) is not { Length: > 0 }
                ? null
                : throw SoraException.Usage("--control-scale needs a control video or references", "add --control or --reference");
        }
        List<Image> Read(string? file)
        {
            if (file is null) return [];
            using var reader = VideoReader.Open(file, new VideoReaderOptions { Frames = settings.Frames }, cancel);
            return [.. reader.Frames()];
        }
        return new Control
        {
            Video = Read(video),
            Mask = Read(mask),
            References = [.. references.Select(reference => Image.Load(reference, cancel))],
            Scale = args.GetValue(ControlScale) is { Length: > 0 } scale ? scale : [1],
        };
    }
}
