using System.CommandLine;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;

namespace Sora.Cli.Verbs;

/// <summary>Makes a clip from text, and from pictures that some of its frames show.</summary>
internal static class Generate
{
    private static readonly Argument<string?> Prompt = new("PROMPT")
    {
        Description = "What the video shows",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<FrameSize?> Size = Options.Size();
    private static readonly Option<int?> Frames = Options.Frames();
    private static readonly Option<ClipTime?> Duration = Options.Duration();
    private static readonly Option<double?> Fps = Options.Fps();
    private static readonly Option<string?> First = SamplingOptions.Text("--image", "FILE", "Picture to use as the first frame");
    private static readonly Option<string?> Last = SamplingOptions.Text("--last-image", "FILE", "Picture to use as the last frame");
    private static readonly Option<(ClipTime At, string File)[]> Keyframes = Options.Values(
        "--keyframe",
        "T=FILE",
        "Picture to use as the frame at this time; may be repeated",
        ParseKeyframe
    );
    private static readonly Option<string> FitTo = Options.Choice(
        "--fit",
        "How to fit pictures to the video's shape: crop them, pad them with borders, or stretch them",
        "crop",
        "pad",
        "stretch"
    );
    private static readonly Option<string?> ControlFile = SamplingOptions.Text("--control", "VIDEO", "Control video, for VACE models");
    private static readonly Option<string?> MaskFile = SamplingOptions.Text(
        "--mask",
        "VIDEO",
        "White where the control video is regenerated; all of it by default"
    );
    private static readonly Option<string[]> References = Options.Values(
        "--reference",
        "IMAGE",
        "Picture of something that should appear, for VACE models; may be repeated",
        text => text
    );
    private static readonly Option<double[]> ControlScale = SamplingOptions.Numbers(
        "--control-scale",
        "X,X,…",
        "Strength of the control: one number for all its layers, or one per layer"
    );
    private static readonly Option<int?> Count = Options.Positive("-n", "N", "Make this many clips, with consecutive seeds");
    private static readonly Option<int?> Until = Options.Positive(
        "--until",
        "N",
        "Stop after this many steps, counted over all windows, and write the unfinished clip"
    );
    private static readonly Option<string?> Resume = SamplingOptions.Text(
        "--resume",
        "CLIP",
        "Resume an unfinished clip; - reads it from standard input"
    );
    private static readonly Option<string> Experts = Options.Choice(
        "--experts",
        "For a model with two experts, run only the steps of one",
        "both",
        "high",
        "low"
    );
    private static readonly Option<string> Output = Options.Output("Clip to write (with -n, a name that contains %d)");

    /// <summary>What the clip should be, in the order of the help.</summary>
    private static readonly Option[] Wanted =
    [
        Size,
        Frames,
        Duration,
        Fps,
        First,
        Last,
        Keyframes,
        FitTo,
        ControlFile,
        MaskFile,
        References,
        ControlScale,
        Count,
    ];

    /// <summary>What an unfinished clip has already settled.</summary>
    private static readonly Option[] Fixed =
    [
        .. Wanted.Where(option => option != FitTo),
        SamplingOptions.Negative,
        SamplingOptions.Guidance,
        SamplingOptions.Guidance2,
        SamplingOptions.Boundary,
        SamplingOptions.Steps,
        SamplingOptions.Shift,
        SamplingOptions.Sampler,
        SamplingOptions.Order,
        SamplingOptions.Schedule,
        SamplingOptions.Sigmas,
        SamplingOptions.Cache,
        SamplingOptions.Seed,
        SamplingOptions.Noise,
        SamplingOptions.TextLength,
        SamplingOptions.PromptAt,
    ];

    public static Verb Create() =>
        new Verb("generate", "Makes a clip from a prompt", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "Lengths that the model can't make are rounded; sizes in multiples of 16 are cropped, and other sizes refused. "
                    + "The same command with the same seed gives the same clip.",
                "Anything not given comes from the model: the steps, guidance, shift, size, length and rate that it was made for.",
                "An unfinished clip contains everything that --resume needs; "
                    + "the resumed run gives the same clip, bit for bit, as one that never stopped.",
            ],
            Examples =
            [
                new("sora generate \"a red ball rolls left on sand\" | sora decode -o ball.mp4", "Make a video"),
                new(
                    "sora generate \"the ball bounces\" --image ball.png --size 160x96 --duration 3s --seed 7 -o b.latent",
                    "Animate a picture"
                ),
                new(
                    "sora generate \"a blue cube\" --steps 8 --until 4 | sora generate --resume - -o cube.latent",
                    "Stop halfway, then resume"
                ),
            ],
        }.With([
            Prompt,
            Output,
            .. Wanted,
            Until,
            Resume,
            Experts,
            SamplingOptions.Checkpoint,
            SamplingOptions.Preview,
            SamplingOptions.Noise,
            .. SamplingOptions.All,
        ]);

    private static Args Parse(ParseResult parse) =>
        new(
            SamplingOptions.Parse(parse),
            Prompt: parse.GetValue(Prompt),
            Output: parse.GetValue(Output)!,
            Size: parse.GetValue(Size),
            Frames: parse.GetValue(Frames),
            Duration: parse.GetValue(Duration),
            Fps: parse.GetValue(Fps),
            First: parse.GetValue(First),
            Last: parse.GetValue(Last),
            Keyframes: parse.GetValue(Keyframes)!,
            Fit: Enum.Parse<Fit>(parse.GetValue(FitTo)!, ignoreCase: true),
            ControlFile: parse.GetValue(ControlFile),
            MaskFile: parse.GetValue(MaskFile),
            References: parse.GetValue(References)!,
            ControlScale: parse.GetValue(ControlScale)!,
            Count: parse.GetValue(Count) ?? 1,
            Until: parse.GetValue(Until),
            Resume: parse.GetValue(Resume),
            Experts: parse.GetValue(Experts)!
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        SamplingArgs Sampling,
        string? Prompt,
        string Output,
        FrameSize? Size,
        int? Frames,
        ClipTime? Duration,
        double? Fps,
        string? First,
        string? Last,
        (ClipTime At, string File)[] Keyframes,
        Fit Fit,
        string? ControlFile,
        string? MaskFile,
        string[] References,
        double[] ControlScale,
        int Count,
        int? Until,
        string? Resume,
        string Experts
    )
    {
        public void Execute(Run run)
        {
            if (Resume is { } unfinished)
                GoOn(run, unfinished);
            else
                Make(run);
        }

        private void Make(Run run)
        {
            var prompt = Prompt ?? throw SoraException.Usage("no prompt", "sora generate \"a red ball rolls left on sand\"");
            if (Experts == "low")
                throw SoraException.Usage("--experts low continues what --experts high started", "add --resume CLIP");
            if (Count > 1 && Output != "-" && ClipPipe.Numbered(Output, 1) == Output)
                throw SoraException.Usage($"{Output} holds one clip, but there are {Count}", "number them: -o clip-%d.latent");
            var model = Sampling.Open(run);
            RequireExperts(model);
            var settings = Settings(run, model) with { Prompt = prompt };
            using var preview = OpenPreview(run, settings.Fps);
            var request = new GenerationRequest(settings)
            {
                Conditioning = new Conditioning { Stills = Stills(run, settings), Control = ReadControl(settings, run.Cancel) },
                Noise = Sampling.ReadNoise(),
                Run = Bounds(model, preview, null),
            };
            if (!Sampling.Plan(run, model, request))
                return;

            SamplingArgs.WarnOfLate(run, settings, settings.Frames);
            using var pipeline = new VideoPipeline(model, Sampling.Precision(), run.Reporter, run.Cancel);
            var generator = new VideoGenerator(pipeline);
            Clip One(int i)
            {
                var own = settings with { Seed = settings.Seed + i };
                var entry = Sampling.Entry(own.Seed);
                return generator.Generate(request with { Settings = own, Run = Bounds(model, preview, entry) }).After(entry);
            }
            if (Output == "-")
                Sampling.Write(
                    run,
                    Output,
                    writer =>
                    {
                        for (var i = 0; i < Count; i++)
                            writer.Write(One(i));
                    }
                );
            else
                for (var i = 0; i < Count; i++)
                    Sampling.Write(run, ClipPipe.Numbered(Output, i + 1), writer => writer.Write(One(i)));
            Sampling.RemoveCheckpoint();
        }

        private void GoOn(Run run, string unfinished)
        {
            if (Prompt is not null)
                throw SoraException.Usage("--resume takes the prompt from the unfinished clip", "leave the prompt out");
            foreach (var option in Fixed.Where(Sampling.IsGiven))
                run.Reporter.Warn($"{option.Name} has no effect: the unfinished clip sets it");
            Sampling.WriteEach(
                run,
                Output,
                () => ClipPipe.Read(run, unfinished),
                (clip, pipelines) => Finish(run, unfinished, clip, pipelines)
            );
        }

        private Clip? Finish(Run run, string unfinished, Clip clip, Pipelines pipelines)
        {
            var model = Sampling.Open(run, clip.Info.Model);
            RequireExperts(model);
            using var preview = OpenPreview(run, clip.Info.Fps ?? ModelDefaults.Of(model).Settings.Fps);
            var entry = Entry(unfinished, clip);
            var options = Bounds(model, preview, entry);
            if (!Sampling.Plan(run, model, SamplingCheckpoint.Rest(clip) with { Run = options }))
                return null;
            var made = new VideoGenerator(pipelines.For(model)).Resume(clip, options);
            return entry is null ? made : made.After(entry);
        }

        /// <summary>
        /// The verb for the clip's history; null if the verb that began the clip was only interrupted, for run again it makes
        /// the whole clip.
        /// </summary>
        private HistoryEntry? Entry(string unfinished, Clip clip)
        {
            Option[] stops = [Generate.Until, Generate.Experts];
            var stopped = clip.History is not [.., var last] || stops.Any(option => last.Arguments.Contains(option.Name));
            if (!stopped && !stops.Any(Sampling.IsGiven))
                return null;
            return ClipPipe.Source(unfinished, clip) is { } source
                ? Sampling.Called with
                {
                    Arguments = [.. Sampling.Called.Arguments.Select(word => word == source ? "-" : word)],
                }
                : Sampling.Called;
        }

        private SamplingSettings Settings(Run run, VideoModel model)
        {
            var settings = Sampling.Settings(ModelDefaults.Of(model).Settings);
            var wanted = Size ?? new FrameSize(settings.Width, settings.Height);
            var size = VideoSize.WholeTokens(model, wanted);
            if (size != wanted)
                run.Reporter.Note($"{size} instead of {wanted}: the model needs whole tokens");
            if (Frames is not null && Duration is not null)
                throw SoraException.Usage("--frames and --duration both set the length", "use only one of them");
            var fps = Fps ?? settings.Fps;
            var asked = Frames ?? Duration?.FrameCount(fps) ?? settings.Frames;
            var frames = VideoSize.WholeFrames(model, asked);
            var (first, factor) = (model.Geometry.FirstFrames, model.Geometry.TemporalFactor);
            if (frames != asked)
            {
                run.Reporter.Note(
                    $"{frames} frames instead of {asked}: the model makes {first} frame{(first == 1 ? "" : "s")}, "
                        + $"plus {factor} for each further latent frame"
                );
            }
            var seed = Sampling.Seed ?? (Sampling.Noise is null ? SamplingArgs.DrawSeed(run) : 0);
            var later = Sampling.Later(fps);
            return settings with { Width = size.Width, Height = size.Height, Frames = frames, Fps = fps, Seed = seed, Later = later };
        }

        private void RequireExperts(VideoModel model)
        {
            if (Experts == "both" || model.Experts > 1)
                return;
            throw SoraException.Usage(
                $"{model.Name} does not have two experts",
                "leave --experts out, or pass the second one's file with --transformer-2"
            );
        }

        private Preview? OpenPreview(Run run, double fps) => Sampling.Preview is { } path ? new Preview(path, fps, run) : null;

        private RunOptions Bounds(VideoModel model, Preview? preview, HistoryEntry? entry) =>
            new()
            {
                Until = Until,
                Expert = Experts switch
                {
                    "high" => 0,
                    "low" => 1,
                    _ => null,
                },
                Checkpoint = Sampling.Keep(entry),
                Preview = preview is null ? null : latents => preview.Show(model, latents),
            };

        private List<Still> Stills(Run run, SamplingSettings settings)
        {
            var stills = new List<Still>();
            void Add(int frame, string? file)
            {
                if (file is not null)
                    stills.Add(new Still(frame, Image.Load(file, run.Cancel), Fit));
            }
            Add(0, First);
            foreach (var (at, file) in Keyframes)
                Add(at.FrameIndex(settings.Fps, settings.Frames), file);
            Add(settings.Frames - 1, Last);
            foreach (var same in stills.GroupBy(still => still.Frame).Where(same => same.Count() > 1))
                run.Reporter.Warn($"frame {same.Key} has {same.Count()} pictures: the last one is used");
            return stills;
        }

        private Control? ReadControl(SamplingSettings settings, CancellationToken cancel)
        {
            if (MaskFile is not null && ControlFile is null)
                throw SoraException.Usage("--mask needs --control VIDEO", "to change a part of a clip, use sora edit");
            if (ControlFile is null && References.Length == 0)
            {
                return ControlScale.Length == 0
                    ? null
                    : throw SoraException.Usage("--control-scale needs a control video or references", "add --control or --reference");
            }
            List<Image> Read(string? file)
            {
                if (file is null)
                    return [];
                using var reader = VideoReader.Open(file, new VideoReaderOptions { Frames = settings.Frames }, cancel);
                return [.. reader.Frames()];
            }
            return new Control
            {
                Video = Read(ControlFile),
                Mask = Read(MaskFile),
                References = [.. References.Select(reference => Image.Load(reference, cancel))],
                Scale = ControlScale.Length > 0 ? ControlScale : [1],
            };
        }
    }

    private static (ClipTime At, string File) ParseKeyframe(string text) =>
        text.Split('=', 2) is [var at, { Length: > 0 } file]
            ? (ClipTime.Parse(at), file)
            : throw SoraException.Usage($"'{text}' is not a keyframe", "write 2s=picture.png");
}
