using System.CommandLine;
using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Planning;
using Sora.Tensors;

namespace Sora.Cli.Verbs;

/// <summary>Turns media into a clip.</summary>
internal static class Encode
{
    private static readonly Argument<string> Media = new("MEDIA")
    {
        Description = "Video, picture or numbered pictures (frames/%04d.png) to read; standard input when left out or -",
        Arity = ArgumentArity.ZeroOrOne,
        DefaultValueFactory = _ => "-",
    };

    private static readonly Option<string> Output = Options.Output("Clip to write");
    private static readonly Option<string?> Model = Options.Model();
    private static readonly Option<FrameSize?> Size = Options.Size(
        "Width and height of the clip's frames; by default those of the media, cropped to multiples that the model takes"
    );
    private static readonly Option<string> FitOption = Options.Choice(
        "--fit",
        "How to fit frames of another shape: crop them, pad them with black, or stretch them",
        "crop",
        "pad",
        "stretch"
    );
    private static readonly Option<double?> Fps = Options.Fps(
        "Frames per second to resample a video to, or the rate of pictures, which have none of their own (by default the model's)"
    );
    private static readonly Option<ClipTime?> Start = Options.Value<ClipTime>(
        "--start",
        "TIME",
        "Start reading here: seconds (2s, 1.5s) or frames (33f)",
        ClipTime.Parse
    );
    private static readonly Option<ClipTime?> Duration = Options.Duration("Read no more than this: seconds (2s, 1.5s) or frames (33f)");
    private static readonly Option<int?> Frames = Options.Frames("Read no more than this many frames");

    public static Verb Create() =>
        new Verb("encode", "Turns media into a clip", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "Reads whatever ffmpeg reads, upright and with square pixels, frame by frame: memory doesn't grow with the duration.",
                "The VAE takes the first frame and then groups of four: up to three frames at the end are left out, with a note.",
            ],
            Examples =
            [
                new("sora encode holiday.mp4 --size 128x128 | sora decode -o back.mp4", "Show a video as the model sees it"),
                new("sora encode holiday.mp4 --start 1s --duration 2s --size 128x96 -o holiday.latent", "Take two seconds of a video"),
                new("sora encode ball.png -o ball.latent", "Turn a picture into a clip of one frame"),
            ],
        }.With(
            Media,
            Output,
            Model,
            ModelOptions.Vae,
            Size,
            FitOption,
            Fps,
            Start,
            Duration,
            Frames,
            SamplingOptions.DryRun,
            Options.Store
        );

    private static Args Parse(ParseResult parse) =>
        new(
            parse.GetValue(Media)!,
            parse.GetValue(Output)!,
            parse.GetValue(Model),
            ModelOptions.Paths(parse),
            parse.GetValue(Size),
            Enum.Parse<Fit>(parse.GetValue(FitOption)!, ignoreCase: true),
            parse.GetValue(Fps),
            parse.GetValue(Start),
            parse.GetValue(Duration),
            parse.GetValue(Frames),
            parse.GetValue(SamplingOptions.DryRun),
            parse.GetValue(Options.Store),
            ClipPipe.Entry(parse)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        string Media,
        string Output,
        string? Model,
        PartPaths Parts,
        FrameSize? Size,
        Fit Fit,
        double? Fps,
        ClipTime? Start,
        ClipTime? Duration,
        int? Frames,
        bool DryRun,
        DType? Store,
        HistoryEntry Called
    )
    {
        public void Execute(Run run)
        {
            if (Media == "-" && !Console.IsInputRedirected)
            {
                throw SoraException.Usage(
                    "nothing to read: standard input is a terminal",
                    "pass a video or a picture: sora encode holiday.mp4"
                );
            }
            var model = VideoModel.Open(Model, Parts);
            if (Size is { } wanted)
                RequireDivisible(wanted, model.Geometry.SpatialFactor);
            if (DryRun)
            {
                using var reader = Open(model, run);
                run.Out.WriteLine(Plan(reader, model, Target(reader, model, run)).Line);
                return;
            }
            ClipPipe.Write(
                run,
                Output,
                Store,
                DryRun,
                writer =>
                {
                    using var reader = Open(model, run);
                    writer.Write(Read(reader, model, run));
                }
            );
        }

        private VideoReader Open(VideoModel model, Run run)
        {
            var options = new VideoReaderOptions
            {
                Start = Start,
                Duration = Duration,
                Frames = Frames,
                Fps = Fps,
                PicturesPerSecond = Fps ?? ModelDefaults.Of(model).Settings.Fps,
            };
            return Media == "-"
                ? VideoReader.Open(run.OpenInput(Media), "standard input", options, run.Cancel)
                : VideoReader.Open(Media, options, run.Cancel);
        }

        private Clip Read(VideoReader reader, VideoModel model, Run run)
        {
            var target = Target(reader, model, run);
            var free = FreeMemory.Of(FrameCodec.DefaultDevice);
            free.Require(Plan(reader, model, target), () => Smaller(reader, model, target, free));
            using var codec = FrameCodec.Open(model);
            var (latents, seen) = codec.Encode(reader.Frames().Select(Fitted), run.Cancel);

            var (frames, factor) = (model.Geometry.WholeFrames(seen), model.Geometry.TemporalFactor);
            if (frames < seen)
                run.Reporter.Note(
                    $"{seen} frames read, the last {seen - frames} left out: "
                        + $"the model takes {model.Geometry.FirstFrames} + {factor}k frames"
                );
            if (reader.Complaint is { } complaint)
                run.Reporter.Warn($"parts could not be read: {complaint}");
            return new Clip
            {
                Latents = latents,
                Info = new ClipInfo
                {
                    Model = model.Reference,
                    Vae = model.VaeFingerprint(),
                    Width = target.Width,
                    Height = target.Height,
                    Frames = frames,
                    FrameGrid = model.Geometry.FrameGrid,
                    Fps = reader.Fps,
                },
                History = [Called],
            };

            Image Fitted(Image frame, int index)
            {
                run.Reporter.Progress("encoding", index + 1, Math.Max(index + 1, reader.ExpectedFrames ?? 0));
                // Without --size nothing is resampled: surplus edges are cut.
                return Size == null
                    ? frame.Crop((frame.Width - target.Width) / 2, (frame.Height - target.Height) / 2, target.Width, target.Height)
                    : Resample.ToSize(frame, target.Width, target.Height, Fit);
            }
        }

        private FrameSize Target(VideoReader reader, VideoModel model, Run run) =>
            Size ?? Divisible(reader, model.Geometry.SpatialFactor, run.Reporter);
    }

    /// <summary>What encoding takes; for media of unknown length, what their first seconds take.</summary>
    private static StageCost Plan(VideoReader reader, VideoModel model, FrameSize size) =>
        model.EncodeCost(size, reader.ExpectedFrames ?? (int)Math.Ceiling(2 * reader.Fps), FrameCodec.DefaultDevice);

    /// <summary>A size that fits.</summary>
    private static string Smaller(VideoReader reader, VideoModel model, FrameSize size, FreeMemory free)
    {
        var unit = model.Geometry.SpatialFactor;
        foreach (
            var less in size.Smaller()
                .Select(less => new FrameSize(Math.Max(1, less.Width / unit) * unit, Math.Max(1, less.Height / unit) * unit))
        )
        {
            if (Plan(reader, model, less).Needed <= free.Bytes)
                return $"--size {less} fits";
        }
        return "the weights alone don't fit: use a smaller model";
    }

    private static void RequireDivisible(FrameSize size, int factor)
    {
        if (size.Width % factor == 0 && size.Height % factor == 0)
            return;
        var nearest = new FrameSize(Nearest(size.Width, factor), Nearest(size.Height, factor));
        throw SoraException.Usage($"--size {size}: the model takes multiples of {factor}", $"the nearest is --size {nearest}");
    }

    private static int Nearest(int side, int factor) => Math.Max(1, (side + factor / 2) / factor) * factor;

    private static FrameSize Divisible(VideoReader reader, int factor, Reporter reporter)
    {
        var size = new FrameSize(reader.Width / factor * factor, reader.Height / factor * factor);
        if (size.Width == 0 || size.Height == 0)
            throw SoraException.Failed(
                $"frames of {reader.Width}x{reader.Height} are smaller than the model's minimum of {factor} pixels",
                $"enlarge them: --size {factor}x{factor}"
            );
        if (size != new FrameSize(reader.Width, reader.Height))
            reporter.Note($"frames of {reader.Width}x{reader.Height} are cropped to {size}: the model takes multiples of {factor}");
        return size;
    }
}
