using System.Text.RegularExpressions;
using Sora.Clips;
using Sora.Media;
using Sora.Models.Depth;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>What a file of depth alone holds.</summary>
internal enum DepthForm
{
    /// <summary>The depths themselves for NumPy, in the model's scale.</summary>
    Numbers,

    /// <summary>The depths themselves as grey float32, a picture for each frame.</summary>
    Floats,

    /// <summary>16-bit grey, from 0 to 65535 for the range of depths that the description beside it says.</summary>
    Integers,

    /// <summary>Colours to look at, brighter where it is nearer, each shot in its own range.</summary>
    Colours,
}

/// <summary>A file, or numbered files, of depth without its clip.</summary>
/// <param name="Path">Its name.</param>
/// <param name="Form">What it holds.</param>
/// <param name="Format">How pictures are written; null for numbers.</param>
internal sealed partial record DepthFile(string Path, DepthForm Form, VideoFormat? Format)
{
    private const ushort Largest = ushort.MaxValue;

    /// <summary>The file that a name after <c>--output</c> means; null where it means a clip.</summary>
    /// <exception cref="SoraException">The extension is of neither.</exception>
    public static DepthFile? Of(string output)
    {
        var extension = FileType.IsDevice(output) ? "" : System.IO.Path.GetExtension(output).TrimStart('.').ToLowerInvariant();
        return extension switch
        {
            "" or "latent" or "safetensors" => null,
            "npz" => new DepthFile(output, DepthForm.Numbers, null),
            "exr" => new DepthFile(output, DepthForm.Floats, VideoFormat.Exr),
            "mkv" => new DepthFile(output, DepthForm.Integers, VideoFormat.Mkv),
            "png" => new DepthFile(output, DepthForm.Integers, VideoFormat.Png),
            "mp4" or "m4v" or "webm" or "gif" or "webp" or "y4m" or "jpg" or "jpeg" => new DepthFile(
                output,
                DepthForm.Colours,
                VideoWriter.FormatOf(output)
            ),
            _ => throw SoraException.Usage(
                $"{output}: '{extension}' is neither a clip nor a format for depth",
                "depth alone is mkv, png, exr or npz, in colours mp4, webm, gif, webp, y4m or jpg; a clip is .latent"
            ),
        };
    }

    /// <summary>
    /// The description beside it: depth.mkv.json, and for numbered pictures a file in their folder that is called like them without
    /// number, or else depth.json. Null where there is none: NumPy's file holds what it needs, and colours are not to be measured.
    /// </summary>
    public string? Description
    {
        get
        {
            if (Format is not { } format || Form == DepthForm.Colours)
                return null;
            if (!VideoWriter.NumbersFrames(Path, format))
                return $"{Path}.json";
            var name = Number().Replace(System.IO.Path.GetFileNameWithoutExtension(Path), "").Trim('-', '_', '.', ' ');
            return System.IO.Path.Combine(System.IO.Path.GetDirectoryName(Path) ?? "", $"{(name.Length > 0 ? name : "depth")}.json");
        }
    }

    /// <summary>Writes the file and its description, both or neither.</summary>
    public void Write(DepthTrack track, bool isRaw, CancellationToken cancel)
    {
        if (Format is { } format)
            WritePictures(track, format, cancel);
        else
            WriteNumbers(track, isRaw);
    }

    private void WriteNumbers(DepthTrack track, bool isRaw) =>
        AtomicFile.Write(
            Path,
            stream =>
            {
                using var numbers = new NpzFile(isRaw ? "predicted_depth" : Clip.DepthName, Spool.FolderFor(Path));
                var (shape, count) = (Array.Empty<int>(), 0);
                foreach (var (map, _) in track.Maps)
                {
                    numbers.Add(map.Values);
                    (shape, count) = ([map.Height, map.Width], count + 1);
                }
                // The network's own output keeps its axis of pictures.
                numbers.Write(stream, shape, isSingle: count == 1 && !isRaw);
            }
        );

    private void WritePictures(DepthTrack track, VideoFormat format, CancellationToken cancel)
    {
        using var writer = VideoWriter.Create(
            Path,
            new VideoWriterOptions
            {
                Width = track.Size.Width,
                Height = track.Size.Height,
                Format = format,
                Fps = track.Fps,
                KeepTimes = track.Times is not null && VideoWriter.HoldsTimes(format),
                Frames = track.Expected,
                Pixels = Form switch
                {
                    DepthForm.Floats => PixelKind.GreyFloat,
                    DepthForm.Integers => PixelKind.Grey16,
                    _ => PixelKind.Rgb,
                },
            },
            cancel
        );
        // The writer has made the folder of numbered pictures.
        using var description = Description is { } path ? AtomicFile.Begin(path) : null;
        using var scaler = new ShotScaler(Spool.FolderFor(Path), Form == DepthForm.Integers ? RangeOf(track.Info) : null);
        var count = 0;
        if (Form == DepthForm.Floats)
        {
            foreach (var (map, _) in track.Maps)
                writer.Write(map.Values);
        }
        else
        {
            foreach (var map in scaler.Scale(track.Maps))
                WriteScaled(writer, track, map, track.Times?[count++] ?? default);
        }
        description?.Write(stream => DepthDescription.Write(stream, track, scaler.Shots));
        writer.Complete();
        description?.Commit();
    }

    private void WriteScaled(VideoWriter writer, DepthTrack track, float[] map, TimeSpan time)
    {
        if (Form == DepthForm.Integers)
            writer.Write(Array.ConvertAll(map, value => (ushort)MathF.Round(value * Largest)), time);
        else
            writer.Write(ColourMap.Colour(track.Size.Width, track.Size.Height, Nearness(map, track.Info)), time);
    }

    /// <summary>Scaled depths, 1 where it is nearest.</summary>
    private static float[] Nearness(float[] map, DepthInfo info) => info.IsMetric ? Array.ConvertAll(map, value => 1 - value) : map;

    /// <summary>Metres up to the farthest that a model gives make one range for all shots.</summary>
    private static (float Low, float High)? RangeOf(DepthInfo info) =>
        info is { IsMetric: true, Farthest: { } farthest } ? (0, (float)farthest) : null;

    [GeneratedRegex(@"%(0\d+)?d")]
    private static partial Regex Number();
}
