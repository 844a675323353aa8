using System.CommandLine;
using Sora.Clips;
using Sora.Media;
using Sora.Models.Depth;
using Sora.Tensors;

namespace Sora.Cli.Verbs;

/// <summary>Gives each frame of a clip, or of footage, a depth map.</summary>
internal static class Depth
{
    private static readonly Argument<string?> ClipName = new("CLIP")
    {
        Description = "Clip to measure; standard input when left out or -, unless --source names footage and --output depth alone",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string> Output = Options.Output(
        "Clip with depth to write, or depth alone: video (.mkv), pictures (%04d.png, %04d.exr), numbers (.npz), or a preview (.mp4)"
    );
    private static readonly Option<string?> Model = new("--model")
    {
        Description =
            "Depth Anything V2 model: a folder in the layout of transformers, or a file in its authors' layout "
            + "(the depth head of the clip's own model)",
        HelpName = "NAME",
    };
    private static readonly Option<string?> Source = SamplingOptions.Text(
        "--source",
        "MEDIA",
        "Footage that the clip was made from, to look at instead of the decoded clip; without a clip, what to measure"
    );
    private static readonly Option<bool> Raw = new("--raw")
    {
        Description = "Write the network's own output, at its own size, under the key predicted_depth",
    };

    public static Verb Create() =>
        new Verb("depth", "Gives each frame of a clip a depth map", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "The built-in model's clips are measured from their latents, without decoding, by a head that knows only the "
                    + "synthetic world that the model makes. For everything else pass an open model with --model.",
                "The clip's latents pass through unchanged; its tensor depth, [F, H, W], is relative inverse depth from 0 (far) "
                    + "to 1 (near), or metres where the model is a metric one, as its metadata depth_kind says.",
                "Relative depths are smoothed over time: within a shot their scale and shift change only slowly, and each cut starts over.",
                "Depth alone is what the extension of --output says. "
                    + "mkv (lossless FFV1) and png are 16-bit grey, from 0 to 65535 for a range of depths: of a metric model "
                    + "from 0 to the farthest that it gives, of a relative one from the farthest to the nearest of each shot. "
                    + "exr and npz hold the depths in the model's own scale as float32; "
                    + "npz under the key depth, [H, W] of a picture, [F, H, W] of a video. "
                    + "mp4, webm, gif, webp, y4m and jpg are previews in colours, brighter where it is nearer.",
                "A JSON file beside mkv, png and exr says what its numbers are: kind (relative or metric), values (inverse or linear), "
                    + "units, model, and the range of each shot; it is depth.mkv.json for depth.mkv, and depth.json in the folder for "
                    + "depth/%04d.png.",
                "Footage without a clip is measured frame by frame, with the times that its frames have: mkv and webm keep them to the "
                    + "millisecond, mp4 to the microsecond. Numbered pictures can't hold any: their JSON file lists them. "
                    + "gif, webp and y4m run at the average rate, and npz has no times.",
                "With a clip and --source, the footage is read as encode read it: at the clip's rate, from its --start, "
                    + "cut to its shape. It may have another size than the clip, whose size the depth gets.",
            ],
            Examples =
            [
                new("sora generate \"a red ball rolls on grass\" | sora depth -o deep.latent", "Add depth to a clip of the built-in model"),
                new("sora depth clip.latent --model Depth-Anything-V2-Small-hf -o deep.latent", "Add depth to a clip"),
                new("sora depth --source holiday.mp4 --model Depth-Anything-V2-Small-hf -o holiday.mkv", "Measure footage"),
                new("sora depth clip.latent --model Depth-Anything-V2-Small-hf -o preview.mp4", "Show the depth of a clip in colours"),
            ],
        }.With(ClipName, Output, Model, Source, Raw, SamplingOptions.Device, Options.Store);

    private static Args Parse(ParseResult parse) =>
        new(
            parse.GetValue(ClipName),
            parse.GetValue(Output)!,
            parse.GetValue(Model),
            parse.GetValue(Source),
            parse.GetValue(Raw),
            parse.GetValue(SamplingOptions.Device),
            parse.GetValue(Options.Store),
            // With footage, it matters that there is a clip.
            ClipPipe.Entry(parse, keepsDash: parse.GetValue(Source) is not null)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        string? ClipName,
        string Output,
        string? Model,
        string? Source,
        bool Raw,
        string? Device,
        DType? Store,
        HistoryEntry Called
    )
    {
        public void Execute(Run run)
        {
            var alone = DepthFile.Of(Output);
            if (Raw && alone?.Form != DepthForm.Numbers)
                throw SoraException.Usage("--raw is for a file of numbers", "-o depth.npz");
            if (Source is not null && ClipName is null && alone is null)
            {
                throw SoraException.Usage(
                    "footage alone has no clip to add depth to",
                    $"-o depth.mkv, or sora encode {ShellWords.Quote(Source)} | sora depth - --source {ShellWords.Quote(Source)}"
                );
            }
            if (Model is null && (Raw || Source is not null))
            {
                throw SoraException.Usage(
                    $"{(Raw ? "--raw" : "--source")} needs a depth model: the clip's own measures its latents alone",
                    DepthHeads.OpenModel
                );
            }
            using var source = DepthSource.Open(Model, Device, Raw);
            if (alone is null)
                ClipPipe.Write(run, Output, Store, false, writer => AddTo(run, source, writer));
            else if (Source is not null && ClipName is null)
                MeasureFootage(run, source, Source, alone);
            else
                alone.Write(source.OfClip(run, OnlyClip(run), Source), Raw, run.Cancel);
        }

        /// <summary>Footage, or a picture, without a clip.</summary>
        private void MeasureFootage(Run run, DepthSource source, string footage, DepthFile to)
        {
            using var reader = ClipFootage.Open(run, footage, new VideoReaderOptions { KeepTimes = true });
            to.Write(source.OfFootage(run, reader), Raw, run.Cancel);
            if (reader.Complaint is { } complaint)
                run.Reporter.Warn($"parts could not be read: {complaint}");
        }

        private Clip OnlyClip(Run run)
        {
            var clips = ClipPipe.Read(run, ClipName ?? "-").Take(2).ToList();
            return clips switch
            {
                [var clip] => clip,
                [] => throw SoraException.Failed("standard input holds no clip", "pipe one in, or name a file"),
                _ => throw SoraException.Usage($"{Output} holds the depth of one clip, but there are more", "take them one by one"),
            };
        }

        private void AddTo(Run run, DepthSource source, ClipWriter writer)
        {
            var folder = Spool.FolderFor(Output);
            foreach (var clip in ClipPipe.Read(run, ClipName ?? "-"))
            {
                var track = source.OfClip(run, clip, Source);
                using var scaler = new ShotScaler(folder);
                using var tensor = new Spool(folder);
                var maps = track.Info.IsMetric ? track.Maps.Select(depth => depth.Map.Values) : scaler.Scale(track.Maps);
                var bytes = new byte[track.Size.Width * track.Size.Height * DType.F16.BlockBytes()];
                var (frames, low, high) = (0, float.PositiveInfinity, float.NegativeInfinity);
                foreach (var map in maps)
                {
                    NumberFormats.FromFloats(map, DType.F16, bytes);
                    tensor.Add(bytes);
                    (frames, low, high) = (frames + 1, Math.Min(low, map.Min()), Math.Max(high, map.Max()));
                }
                writer.Write(
                    new ClipDepth(track.Info.Kind, low, high, track.Info.Model).Mark(clip).After(CalledFor(clip)),
                    new TensorToWrite(Clip.DepthName, DType.F16, [frames, track.Size.Height, track.Size.Width], tensor.CopyTo)
                );
            }
        }

        /// <summary>The verb in a clip's history, without the name of a clip that its history makes again.</summary>
        private HistoryEntry CalledFor(Clip clip)
        {
            var source = ClipName is null ? null : ClipPipe.Source(ClipName, clip);
            return Called with { Arguments = [.. Called.Arguments.Where(word => word != source)] };
        }
    }
}
