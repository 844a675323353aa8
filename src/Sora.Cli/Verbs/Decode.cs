using System.CommandLine;
using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Planning;
using Sora.Stereo;

namespace Sora.Cli.Verbs;

/// <summary>Turns clips into media.</summary>
internal static class Decode
{
    private static readonly Argument<string> ClipName = Options.Clip();
    private static readonly Option<string> Output = Options.Output(
        "Video, picture or numbered pictures (frames/%04d.png, from 0001) to write"
    );
    private static readonly Option<string?> Model = Options.Model("Model whose VAE decodes; by default the one that made the clip");
    private static readonly Option<string?> Format = new("--format")
    {
        Description =
            "mp4, mov, webm, mkv (lossless), gif, webp, y4m, png or jpg; by default from the file's extension, or y4m for standard output",
        HelpName = "FORMAT",
    };

    private static readonly Option<int?> Crf = Options.Value<int>(
        "--crf",
        "N",
        "Quality: lower is better and makes a larger file (mp4 and mov: 0 to 51, 18 by default; webm: 0 to 63, 24 by default)",
        text =>
            int.TryParse(text, out var crf) && crf >= 0 ? crf : throw SoraException.Usage($"'{text}' is not a whole number (0 or greater)")
    );

    private static readonly Option<double?> Fps = Options.Fps("Frames per second; by default the clip's rate, or else the model's");
    private static readonly Option<string> Space = Options.Choice(
        "--space",
        "How to read latents from other programs: as the VAE outputs them, or normalised as in diffusers",
        "raw",
        "normalised"
    );

    public static Verb Create() =>
        new Verb("decode", "Turns a clip into a video or pictures", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "Frames are written as they are decoded: memory doesn't grow with the duration.",
                "An unfinished clip (sora generate --until) is decoded to its current estimate.",
                "Several clips from a pipe need a number pattern in the output's name, which numbers the clips: "
                    + "out-%d.mp4, or clip-%d/%04d.png.",
                "Clips of one frame each can also become numbered pictures: still-%d.png.",
                "mp4 takes only even sizes: for an odd one the last column or row is repeated.",
                "--stereo makes two eyes' pictures from a clip with depth (sora depth) and puts both into each frame: beside each other "
                    + "(sbs) or one above the other (tb), at full size or squeezed to half (half-sbs, half-tb), or as an anaglyph for red "
                    + "and cyan glasses. mkv, webm and mp4 tell players of it, in mp4 also the H.264 stream. quest is an mp4 for players "
                    + "on headsets, of H.265 if it is larger than H.264 can be there; youtube is an mp4 as YouTube takes it; "
                    + "visionpro is a mov of MV-HEVC, Apple's spatial video, in which players find both eyes' videos, the baseline and the "
                    + "field of view.",
                "--fill model renders the eyes as --fill frames does, remakes the tokens with holes as sora edit does with a mask and a "
                    + "strength of 0.8, and takes the holes of what comes out.",
            ],
            Examples =
            [
                new("sora decode ball.latent -o ball.mp4", "Write a video"),
                new("sora decode ball.latent -o frames/%04d.png", "Write each frame as a picture"),
                new("sora depth ball.latent | sora decode --stereo anaglyph -o ball.mp4", "Write a video for red and cyan glasses"),
                new("sora decode ball.latent | ffmpeg -v error -i - -y ball.avi", "Hand the frames to another program"),
            ],
        }.With([ClipName, Output, Model, ModelOptions.Vae, Format, Crf, Fps, Space, SamplingOptions.DryRun, .. StereoArgs.All]);

    private static Args Parse(ParseResult parse) =>
        new(
            parse.GetValue(ClipName)!,
            parse.GetValue(Output)!,
            parse.GetValue(Model),
            ModelOptions.Paths(parse),
            parse.GetValue(Format),
            parse.GetValue(Crf),
            parse.GetValue(Fps),
            Enum.Parse<LatentSpace>(parse.GetValue(Space)!, ignoreCase: true),
            parse.GetValue(SamplingOptions.DryRun),
            StereoArgs.Parse(parse)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        string ClipName,
        string Output,
        string? Model,
        PartPaths Parts,
        string? Format,
        int? Crf,
        double? Fps,
        LatentSpace Space,
        bool DryRun,
        StereoArgs? Stereo
    )
    {
        public void Execute(Run run)
        {
            var format =
                Format is not null ? VideoWriter.ParseFormat(Format)
                : Output == "-" ? VideoFormat.Y4m
                : VideoWriter.FormatOf(Output);
            Stereo?.Target.Require(format);
            // Refuses a terminal before anything is read.
            using var stream = Output == "-" && !DryRun ? run.OpenOutput("video.mp4") : null;
            using var codecs = new LastOpened<FrameCodec>(opened => FrameCodec.Open(opened));
            var (number, areStills, free) = (0, true, (FreeMemory?)null);
            foreach (var clip in ClipPipe.Read(run, ClipName, Space))
            {
                number++;
                var file = stream == null ? FileOf(Output, format, number) : Output;
                var latents = Stereo is null ? clip.VisibleLatents : clip.FinishedLatents;
                areStills &= latents.Shape[2] == 1;
                // Several clips share one sequence of pictures only if each is a single picture.
                var goesOn = number > 1 && file == FileOf(Output, format, 1);
                if (goesOn && !(areStills && VideoWriter.NumbersFrames(file, format)))
                    throw OneClipOnly(Output, format);
                var model = ClipModel.Of(clip, Model, Parts);
                NoteUnfinished(run, clip);
                var (size, frames) = model.Geometry.VideoOf(latents.Shape);
                var options = new VideoWriterOptions
                {
                    Width = size.Width,
                    Height = size.Height,
                    Fps = Fps ?? clip.Info.Fps ?? ModelDefaults.Of(model).Settings.Fps,
                    Frames = frames,
                    Format = format,
                    FirstNumber = goesOn ? number : 1,
                    Crf = Crf,
                };
                var depth = Stereo is null ? null : DepthFrames.Of(clip, size, frames);
                var plan = model.DecodeCost(size, frames, FrameCodec.DefaultDevice);
                var fill = Stereo is { FillsByModel: true } ? EyeFill.Of(run, model, clip) : null;
                if (DryRun)
                {
                    foreach (var line in (fill?.Plan.Lines() ?? []).Append(plan.Line).Distinct())
                        run.Out.WriteLine(line);
                    continue;
                }
                free ??= FreeMemory.Of(FrameCodec.DefaultDevice);
                free.Require(plan, () => "decode it on a machine with more memory: a clip is a small file");
                fill?.Require(free);
                var decoded = codecs.For(model).Decode(latents, clip.Info.Space, run.Cancel);
                if (depth is null)
                {
                    Write(run, decoded, options, file, stream);
                    continue;
                }
                Stereo!.Warn(run, depth.Kind, file);
                var pairs = Stereo.Pairs(decoded, depth, size);
                WriteStereo(run, fill?.Fill(pairs, file, codecs.Dispose) ?? pairs, options, file, stream);
            }
        }

        private static void NoteUnfinished(Run run, Clip clip)
        {
            if (!clip.IsUnfinished)
                return;
            var far = SamplingCheckpoint.HowFar(clip) is { } calls ? $" ({calls})" : "";
            run.Reporter.Note($"{clip.Origin} is unfinished{far}: this is its current estimate");
        }

        private void WriteStereo(Run run, IEnumerable<StereoPair> pairs, VideoWriterOptions options, string file, Stream? stream)
        {
            if (Stereo!.Target.IsSpatial)
            {
                Stereo.WriteSpatial(run, pairs, options, file);
                return;
            }
            var size = new FrameSize(options.Width, options.Height);
            var pictures = Stereo.Pictures(pairs, size, VideoWriter.HalvesChroma(options.Format!.Value));
            Write(run, pictures, Stereo.Target.Both(options), file, stream);
        }

        private static void Write(Run run, IEnumerable<Image> pictures, VideoWriterOptions options, string file, Stream? stream)
        {
            using var writer =
                stream == null ? VideoWriter.Create(file, options, run.Cancel) : VideoWriter.Create(stream, options, run.Cancel);
            foreach (var picture in run.Reporter.Counted("decoding", pictures, options.Frames!.Value))
                writer.Write(picture);
            writer.Complete();
        }
    }

    /// <summary>
    /// The file of a clip: numbers in the name stand for the clip, except, for pictures, one in the file's own name,
    /// which is the frame's.
    /// </summary>
    private static string FileOf(string output, VideoFormat format, int clip)
    {
        var numbered = VideoWriter.HoldsStills(format) ? output.Length - Path.GetFileName(output).Length : output.Length;
        return ClipPipe.Numbered(output[..numbered], clip) + output[numbered..];
    }

    private static SoraException OneClipOnly(string output, VideoFormat format)
    {
        var (name, extension) = output == "-" ? ("standard output", ".mp4") : (output, Path.GetExtension(output));
        return SoraException.Usage(
            $"{name} holds one clip, but there are more",
            $"number them: -o {(VideoWriter.HoldsStills(format) ? "clip-%d/%04d" : "out-%d")}{extension}"
        );
    }
}
