using System.CommandLine;
using System.Globalization;
using Sora.Clips;
using Sora.Kernels;
using Sora.Media;
using Sora.Models;
using Sora.Models.Depth;
using Sora.Tensors;

namespace Sora.Cli.Verbs;

/// <summary>Gives each frame of a clip, or of footage, a depth map.</summary>
internal static class Depth
{
    private const string NumbersExtension = ".npz";

    private static readonly Argument<string?> ClipName = new("CLIP")
    {
        Description = "Clip to measure; standard input when left out or -, unless --source names footage and --output a file of numbers",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string> Output = Options.Output("Clip with depth to write, or depth alone, as a file for NumPy (.npz)");
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
                "An .npz file holds the depths in the model's own scale as float32 under the key depth: "
                    + "[H, W] of a picture, [F, H, W] of a video.",
            ],
            Examples =
            [
                new("sora generate \"a red ball rolls on grass\" | sora depth -o deep.latent", "Add depth to a clip of the built-in model"),
                new("sora depth clip.latent --model Depth-Anything-V2-Small-hf -o deep.latent", "Add depth to a clip"),
                new("sora depth --source holiday.mp4 --model Depth-Anything-V2-Small-hf -o holiday.npz", "Measure footage"),
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
            ClipPipe.Entry(parse)
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
        private bool IsNumbers => Path.GetExtension(Output).Equals(NumbersExtension, StringComparison.OrdinalIgnoreCase);

        public void Execute(Run run)
        {
            if (Raw && !IsNumbers)
                throw SoraException.Usage("--raw is for a file of numbers", $"-o depth{NumbersExtension}");
            if (Source is not null && ClipName is null && !IsNumbers)
            {
                throw SoraException.Usage(
                    "footage alone has no clip to add depth to",
                    $"-o depth{NumbersExtension}, "
                        + $"or sora encode {ShellWords.Quote(Source)} | sora depth - --source {ShellWords.Quote(Source)}"
                );
            }
            if (Model is null && (Raw || Source is not null))
            {
                throw SoraException.Usage(
                    $"{(Raw ? "--raw" : "--source")} needs a depth model: the clip's own measures its latents alone",
                    DepthHeads.OpenModel
                );
            }
            Libtorch.Preload();
            var device = Nn.Precision.Parse(Device, null).Required().Device;
            using var estimator = Model is null ? null : DepthEstimator.Open(ModelLocator.Find(Model), device);
            using var heads = new DepthHeads(device);
            if (Source is not null && ClipName is null)
                MeasureFootage(run, estimator!, Source);
            else if (IsNumbers)
                MeasureClip(run, estimator, heads);
            else
                ClipPipe.Write(run, Output, Store, false, writer => AddTo(run, estimator, heads, writer));
        }

        /// <summary>Footage, or a picture, as numbers.</summary>
        private void MeasureFootage(Run run, DepthEstimator estimator, string source)
        {
            using var reader = VideoReader.Open(source, new VideoReaderOptions(), run.Cancel);
            WriteNumbers(Rows(estimator, Counted(run, reader.Frames(), reader.ExpectedFrames), new FrameSize(reader.Width, reader.Height)));
        }

        /// <summary>One clip as numbers.</summary>
        private void MeasureClip(Run run, DepthEstimator? estimator, DepthHeads heads)
        {
            var clips = ClipPipe.Read(run, ClipName ?? "-").Take(2).ToList();
            if (clips is not [var clip])
            {
                throw clips.Count == 0
                    ? SoraException.Failed("standard input holds no clip", "pipe one in, or name a file")
                    : SoraException.Usage($"{Output} holds the depth of one clip, but there are more", "take them one by one");
            }
            var (model, size, frames) = Frames(clip);
            using var codecs = new Codecs();
            WriteNumbers(
                estimator is null
                    ? heads.Measure(run, clip, model).Select(depth => depth.Map)
                    : Rows(estimator, Counted(run, Pictures(run, clip, codecs, model, frames), frames), size)
            );
        }

        private void WriteNumbers(IEnumerable<DepthMap> rows)
        {
            AtomicFile.Write(
                Output,
                stream =>
                {
                    using var numbers = new NpzFile(
                        Raw ? "predicted_depth" : Clip.DepthName,
                        Path.GetDirectoryName(Path.GetFullPath(Output))!
                    );
                    var (shape, count) = (Array.Empty<int>(), 0);
                    foreach (var row in rows)
                    {
                        numbers.Add(row.Values);
                        (shape, count) = ([row.Height, row.Width], count + 1);
                    }
                    // The network's own output keeps its axis of pictures.
                    numbers.Write(stream, shape, isSingle: count == 1 && !Raw);
                }
            );
        }

        /// <summary>What the file holds of each picture.</summary>
        private IEnumerable<DepthMap> Rows(DepthEstimator estimator, IEnumerable<Image> pictures, FrameSize size)
        {
            if (!Raw)
                return Steadied(estimator, pictures, size).Select(depth => depth.Map);
            return pictures.Select(picture =>
            {
                using var predicted = estimator.Predict(picture).cpu();
                return new DepthMap((int)predicted.shape[2], (int)predicted.shape[1], predicted.data<float>().ToArray());
            });
        }

        private void AddTo(Run run, DepthEstimator? estimator, DepthHeads heads, ClipWriter writer)
        {
            using var codecs = new Codecs();
            foreach (var clip in ClipPipe.Read(run, ClipName ?? "-"))
            {
                var (model, size, frames) = Frames(clip);
                var maps = estimator is null
                    ? heads.Measure(run, clip, model)
                    : Steadied(estimator, Counted(run, Pictures(run, clip, codecs, model, frames), frames), size);
                var shots = new List<List<DepthMap>>();
                foreach (var (map, isCut) in maps)
                {
                    if (isCut)
                        shots.Add([]);
                    shots[^1].Add(map);
                }
                var depth = shots.SelectMany(shot => estimator is { IsMetric: true } ? shot.Select(map => map.Values) : Scaled(shot));
                float[] values = [.. depth.SelectMany(map => map)];
                var tensor = HostTensor.FromFloats(values, [frames, size.Height, size.Width], DType.F16);
                writer.Write(
                    clip.With(Clip.DepthName, tensor)
                        .WithMetadata("depth_kind", estimator is { IsMetric: true } ? "metric" : "relative")
                        .WithMetadata(
                            "depth_range",
                            string.Create(CultureInfo.InvariantCulture, $"{values.Min():0.###} {values.Max():0.###}")
                        )
                        .WithMetadata("depth_model", Model ?? model.Name)
                        .After(CalledFor(clip))
                );
            }
        }

        /// <summary>The verb in a clip's history, without the name of a clip that its history makes again.</summary>
        private HistoryEntry CalledFor(Clip clip)
        {
            var source = ClipName is null ? null : ClipPipe.Source(ClipName, clip);
            return Called with { Arguments = [.. Called.Arguments.Where(word => word != source)] };
        }

        /// <summary>The model of a clip, and the size and number of its frames.</summary>
        private static (VideoModel Model, FrameSize Size, int Frames) Frames(Clip clip)
        {
            var (model, shape) = (ClipModel.Of(clip, null), clip.FinishedLatents.Shape);
            return (model, model.Geometry.PixelSize(shape[3], shape[4]), model.Geometry.VideoFrames(shape[2]));
        }

        /// <summary>The frames of a clip: those of the footage, where it is named, or else decoded.</summary>
        private IEnumerable<Image> Pictures(Run run, Clip clip, Codecs codecs, VideoModel model, int frames)
        {
            if (Source is null)
            {
                foreach (var frame in codecs.For(model).Decode(clip.FinishedLatents, clip.Info.Space, run.Cancel))
                    yield return frame;
                yield break;
            }
            using var reader = VideoReader.Open(Source, new VideoReaderOptions { Frames = frames, Fps = clip.Info.Fps }, run.Cancel);
            var count = 0;
            foreach (var frame in reader.Frames())
            {
                count++;
                yield return frame;
            }
            if (count < frames)
            {
                throw SoraException.Failed(
                    $"{Source} has {count} frames, but {clip.Origin} has {frames}",
                    "pass the footage that the clip was made from, or leave --source out to look at the clip itself"
                );
            }
        }
    }

    /// <summary>The pictures as they are, with progress after each.</summary>
    private static IEnumerable<Image> Counted(Run run, IEnumerable<Image> pictures, int? expected)
    {
        var count = 0;
        foreach (var picture in pictures)
        {
            run.Cancel.ThrowIfCancellationRequested();
            yield return picture;
            run.Reporter.Progress("measuring", ++count, Math.Max(count, expected ?? count));
        }
    }

    /// <summary>The depth of each frame, and whether it is the first of a shot.</summary>
    private static IEnumerable<(DepthMap Map, bool IsCut)> Steadied(DepthEstimator estimator, IEnumerable<Image> pictures, FrameSize size)
    {
        var (steadier, cuts) = (new DepthSteadier(), new ShotCuts());
        foreach (var picture in pictures)
        {
            var (map, isCut) = (estimator.Estimate(picture, size), cuts.Next(picture));
            yield return (estimator.IsMetric ? map : steadier.Next(map, isCut), isCut);
        }
    }

    /// <summary>The maps of a shot from 0 to 1, with one scale and shift.</summary>
    private static IEnumerable<float[]> Scaled(List<DepthMap> shot)
    {
        var (low, high) = (shot.Min(map => map.Values.Min()), shot.Max(map => map.Values.Max()));
        var scale = high > low ? 1 / (high - low) : 0;
        return shot.Select(map => map.Values.Select(value => (value - low) * scale).ToArray());
    }
}
