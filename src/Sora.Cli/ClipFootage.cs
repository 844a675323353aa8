using Sora.Clips;
using Sora.Media;

namespace Sora.Cli;

/// <summary>Footage to measure: alone, or what a clip was made from, as its frames were before they were encoded.</summary>
internal static class ClipFootage
{
    /// <summary>Opens footage.</summary>
    /// <exception cref="SoraException">It can't be read, or its pictures are not what a camera saw.</exception>
    public static VideoReader Open(Run run, string footage, VideoReaderOptions options)
    {
        if (footage.EndsWith(".latent", StringComparison.Ordinal))
            throw SoraException.Failed($"{footage} is a clip, not footage", "name it without --source");
        var reader = VideoReader.Open(footage, options, run.Cancel);
        if (reader.Stereo is not { } layout)
            return reader;
        reader.Dispose();
        throw SoraException.Failed(
            $"{footage} is stereo video ({layout}): each frame shows both eyes",
            $"take one of them, such as ffmpeg -i {ShellWords.Quote(footage)} -vf stereo3d=sbsl:ml left.mkv"
        );
    }

    /// <summary>
    /// The frames of footage that a clip's frames are, at the clip's rate: from where <c>encode</c> began, as the clip's history says,
    /// and with the shape that it made of them, though not with their size.
    /// </summary>
    /// <exception cref="SoraException">There are fewer than the clip has.</exception>
    public static IEnumerable<Image> Frames(Run run, string footage, Clip clip, LatentGeometry geometry)
    {
        var (size, frames) = geometry.VideoOf(clip.FinishedLatents.Shape);
        var options = new VideoReaderOptions
        {
            Start = Encoded(clip, "--start") is { } start ? ClipTime.Parse(start) : null,
            Frames = frames,
            Fps = clip.Info.Fps,
        };
        var fit = Encoded(clip, "--fit") is { } word ? Enum.Parse<Fit>(word, ignoreCase: true) : Fit.Crop;
        using var reader = Open(run, footage, options);
        var count = 0;
        foreach (var frame in reader.Frames())
        {
            count++;
            yield return Shaped(frame, size, fit, geometry.SpatialFactor);
        }
        if (count < frames)
        {
            throw SoraException.Failed(
                $"{footage} has {count} frames, but {clip.Origin} has {frames}",
                "pass the footage that the clip was made from, or leave --source out to look at the clip itself"
            );
        }
    }

    /// <summary>The value of an option of <c>encode</c> that made a clip.</summary>
    private static string? Encoded(Clip clip, string option)
    {
        var words = clip.History.LastOrDefault(entry => entry.Verb == "encode")?.Arguments ?? [];
        return words.SkipWhile(word => word != option).Skip(1).FirstOrDefault();
    }

    /// <summary>The part of a frame that <c>encode</c> shows in a clip.</summary>
    private static Image Shaped(Image frame, FrameSize size, Fit fit, int factor)
    {
        var (columns, rows) = (frame.Width - size.Width, frame.Height - size.Height);
        // Without a size it cuts what is more than a multiple of the model's.
        if (columns >= 0 && columns < factor && rows >= 0 && rows < factor)
            return frame.Crop(columns / 2, rows / 2, size.Width, size.Height);
        return fit switch
        {
            Fit.Crop => Resample.CropToAspect(frame, size.Width, size.Height),
            Fit.Pad => Resample.ToSize(frame, size.Width, size.Height, Fit.Pad),
            _ => frame,
        };
    }
}
