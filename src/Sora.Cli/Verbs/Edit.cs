using System.CommandLine;
using System.Globalization;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Tensors;

namespace Sora.Cli.Verbs;

/// <summary>Regenerates a clip, or a part of it, from another prompt.</summary>
internal static class Edit
{
    private static readonly Argument<string[]> Words = new("[CLIP] PROMPT")
    {
        Description = "Clip to change (standard input when left out or -), and what it should show",
        Arity = new ArgumentArity(1, 2),
    };
    private static readonly Option<string> Output = Options.Output("Clip to write");
    private static readonly Option<double?> Strength = Options.Value(
        "--strength",
        "X",
        "How much changes, from 0 to 1; 0.6 by default, and 1 inside a region",
        ParseStrength
    );
    private static readonly Option<string?> Mask = SamplingOptions.Text(
        "--mask",
        "FILE",
        "Picture or video, white where the clip is regenerated; stretched to the clip's size and matched frame by frame"
    );
    private static readonly Option<Box?> Box = Options.Value(
        "--box",
        "X,Y,W,H",
        "Part of the picture to regenerate, in pixels",
        Conditions.Box.Parse
    );
    private static readonly Option<KeyColour?> Colour = Options.Value(
        "--colour",
        "COLOUR[:X]",
        "Regenerate whatever has this colour in the clip: red, #e51a17, or with a tolerance red:0.4",
        KeyColour.Parse
    );
    private static readonly Option<ClipRange?> Time = Options.Value(
        "--time",
        "FROM-TO",
        "Time range to regenerate: 1s-2s, 0-9f, 2s-end",
        ClipRange.Parse
    );
    private static readonly Option<bool> Invert = new("--invert")
    {
        Description = "Keep what the mask, the colour and the box select, and regenerate the rest",
    };
    private static readonly Option<int?> Feather = Options.Positive(
        "--feather",
        "PIXELS",
        "Also regenerate this many pixels around the region, so that it blends in"
    );

    public static Verb Create() =>
        new Verb("edit", "Regenerates a clip, or a part of it, from another prompt", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "Without a region the clip is noised part of the way and sampled again from there: "
                    + "the higher the strength, the less of the clip is left.",
                "With --mask, --colour, --box or --time only what lies in them changes; everything else is kept bit for bit. "
                    + "The region grows to whole tokens.",
            ],
            Examples =
            [
                new("sora edit clip.latent \"the same at night\" --strength 0.6 -o night.latent", "Change the light"),
                new(
                    "sora generate \"a red ball on grass\" --size 96x96 --frames 1 --seed 1 | "
                        + "sora edit \"a yellow ball on grass\" --colour red:0.4 -o yellow.latent",
                    "Change what is red"
                ),
                new("sora edit clip.latent \"a yellow ball\" --box 0,0,64,128 -o yellow.latent", "Change the left half"),
            ],
        }.With([
            Words,
            Output,
            Strength,
            Mask,
            Colour,
            Box,
            Time,
            Invert,
            Feather,
            SamplingOptions.Checkpoint,
            SamplingOptions.Noise,
            .. SamplingOptions.All,
        ]);

    private static Args Parse(ParseResult parse) =>
        new(
            SamplingOptions.Parse(parse),
            parse.GetValue(Words)!,
            parse.GetValue(Output)!,
            parse.GetValue(Strength),
            parse.GetValue(Mask),
            parse.GetValue(Box),
            parse.GetValue(Colour),
            parse.GetValue(Time),
            parse.GetValue(Invert),
            parse.GetValue(Feather)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        SamplingArgs Sampling,
        string[] Words,
        string Output,
        double? Strength,
        string? Mask,
        Box? Box,
        KeyColour? Colour,
        ClipRange? Time,
        bool Invert,
        int? Feather
    )
    {
        private string Name => Words.Length == 2 ? Words[0] : "-";

        private bool IsRegion => Mask is not null || Box is not null || Colour is not null || Time is not null;

        public void Execute(Run run)
        {
            if (Words is [var word] && ClipPipe.IsClip(word))
            {
                throw SoraException.Usage(
                    $"no prompt: {word} is a clip; add what it should show",
                    $"sora edit {ShellWords.Quote(word)} \"the same at night\""
                );
            }
            if (Invert && Mask is null && Box is null && Colour is null)
                throw SoraException.Usage("--invert needs a mask, a colour or a box", "add --mask, --colour or --box");
            if (Feather is not null && !IsRegion)
                throw SoraException.Usage("--feather needs a region", "add --mask, --colour, --box or --time");
            Sampling.WriteEach(run, Output, () => ClipPipe.Read(run, Name), (clip, pipelines) => Change(run, clip, pipelines));
        }

        private Clip? Change(Run run, Clip clip, Pipelines pipelines)
        {
            var prompt = Words[^1];
            var (model, found) = Sampling.ForClip(run, clip);
            var seed = Sampling.Seed ?? SamplingArgs.DrawSeed(run);
            var settings = found with { Prompt = prompt, Seed = seed, Strength = Strength ?? (IsRegion ? 1 : 0.6) };
            var entry = Sampling.Entry(seed, Words.Length == 2 ? ClipPipe.Source(Name, clip) : null);
            var carrier = clip with
            {
                Info = clip.Info with { Prompt = prompt, Seed = seed, Space = LatentSpace.Raw },
                Tensors = new Dictionary<string, HostTensor>(),
            };
            var request = new GenerationRequest(settings)
            {
                Edited = new EditedClip(clip, IsRegion ? () => ReadRegion(run, settings, () => Frames(clip, model, run)) : null),
                Noise = Sampling.ReadNoise(),
                Run = new RunOptions { Checkpoint = Sampling.Keep(entry), Carrier = carrier },
            };
            if (!Sampling.Plan(run, model, request))
                return null;
            SamplingArgs.WarnOfLate(run, settings, settings.Frames);
            return new VideoGenerator(pipelines.For(model)).Generate(request).After(entry);
        }

        private Region ReadRegion(Run run, SamplingSettings settings, Func<List<Image>> frames)
        {
            var (masks, time) = (new List<Image>(), Time?.Frames(settings.Fps, settings.Frames));
            var size = new FrameSize(settings.Width, settings.Height);
            Box?.RequireIn(size);
            if (Mask is not null)
            {
                var options = new VideoReaderOptions { Frames = settings.Frames, PicturesPerSecond = settings.Fps };
                using var reader = VideoReader.Open(Mask, options, run.Cancel);
                masks.AddRange(reader.Frames());
                if ((long)masks[0].Width * size.Height != (long)masks[0].Height * size.Width)
                    run.Reporter.Note($"{Mask} is {masks[0].Width}x{masks[0].Height} and is stretched to {size}");
                if (masks.Count > 1 && Math.Abs(reader.Fps / settings.Fps - 1) > 0.01)
                {
                    var rates = FormattableString.Invariant($"{reader.Fps:0.##} frames per second and the clip has {settings.Fps:0.##}");
                    run.Reporter.Note($"{Mask} has {rates}: they are matched frame by frame");
                }
            }
            if (Colour is { } colour)
            {
                if (masks.Count > 0)
                    throw SoraException.Usage("--mask and --colour both select the region", "use only one of them");
                var pictures = frames();
                var range = (time?.First ?? 0)..(time?.End ?? pictures.Count);
                if (!Invert)
                    colour.Require(pictures[range].Select(picture => Inside(picture, Box)));
                masks.AddRange(pictures.Select(colour.Mask));
            }
            return new Region
            {
                Masks = masks,
                Box = Box,
                Time = time,
                Invert = Invert,
                Grow = Feather ?? 0,
            };
        }
    }

    private static List<Image> Frames(Clip clip, VideoModel model, Run run)
    {
        using var codec = FrameCodec.Open(model);
        return [.. codec.Decode(clip.FinishedLatents, clip.Info.Space, run.Cancel)];
    }

    /// <summary>The part of a picture that a box takes; all of it where there is none.</summary>
    private static Image Inside(Image picture, Box? box) =>
        box is { } part
            ? picture.Crop(part.X, part.Y, Math.Min(part.Width, picture.Width - part.X), Math.Min(part.Height, picture.Height - part.Y))
            : picture;

    private static double ParseStrength(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 1
            ? value
            : throw SoraException.Usage($"'{text}' is not a strength from 0 to 1");
}
