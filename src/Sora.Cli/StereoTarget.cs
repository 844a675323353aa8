using Sora.Media;
using Sora.Stereo;

namespace Sora.Cli;

/// <summary>What <c>decode --stereo</c> makes: a layout, or what a certain player wants.</summary>
/// <param name="Name">Its word on the command line.</param>
/// <param name="Layout">How each picture holds both eyes.</param>
/// <param name="Only">The only format that will do, or null.</param>
/// <param name="Suffix">How players of it want the file's name to end, before the extension; or null.</param>
internal readonly record struct StereoTarget(string Name, StereoLayout Layout, VideoFormat? Only = null, string? Suffix = null)
{
    /// <summary>The largest picture that decoders of H.264 in headsets take, that of its level 5.2.</summary>
    private static readonly FrameSize LargestH264 = new(4096, 2304);

    /// <summary>In the order in which help lists them.</summary>
    public static readonly StereoTarget[] All =
    [
        new("sbs", StereoLayout.SideBySide),
        new("half-sbs", StereoLayout.HalfSideBySide),
        new("tb", StereoLayout.TopBottom),
        new("half-tb", StereoLayout.HalfTopBottom),
        new("anaglyph", StereoLayout.AnaglyphDubois),
        new("anaglyph:grey", StereoLayout.AnaglyphGrey),
        new("anaglyph:colour", StereoLayout.AnaglyphColour),
        new("anaglyph:dubois", StereoLayout.AnaglyphDubois),
        new("quest", StereoLayout.SideBySide, VideoFormat.Mp4, Suffix: "_LRF_Full_SBS"),
        new("youtube", StereoLayout.HalfSideBySide, VideoFormat.Mp4),
        // No frame holds both eyes: each has a video of its own in the file.
        new("visionpro", StereoLayout.SideBySide, VideoFormat.Mov),
    ];

    /// <summary>Whether each eye has a video of its own (MV-HEVC).</summary>
    public bool IsSpatial => Only == VideoFormat.Mov;

    /// <summary>The target of this name.</summary>
    /// <exception cref="SoraException">There is none.</exception>
    public static StereoTarget Parse(string text)
    {
        var found = Array.FindIndex(All, target => target.Name == text);
        return found >= 0
            ? All[found]
            : throw SoraException.Usage($"'{text}' is not one of {string.Join(", ", All.Select(target => target.Name))}");
    }

    /// <summary>Refuses a format that the target can't be in.</summary>
    /// <exception cref="SoraException">It can't.</exception>
    public void Require(VideoFormat format)
    {
        if (Only is { } only && format != only)
        {
            var extension = only.ToString().ToLowerInvariant();
            throw SoraException.Usage(
                $"--stereo {Name} makes {extension} files, not {format.ToString().ToLowerInvariant()}",
                $"-o clip{Suffix}.{extension}, or --stereo {(Layout == StereoLayout.SideBySide ? "sbs" : "half-sbs")} for other formats"
            );
        }
    }

    /// <summary>What is written for each clip: the picture of both eyes, and how players are told of it.</summary>
    /// <param name="options">What would be written without the second eye.</param>
    public VideoWriterOptions Both(VideoWriterOptions options)
    {
        var format = options.Format!.Value;
        var eye = Layout.EyeSize(options.Width, options.Height, VideoWriter.HalvesChroma(format));
        var (width, height) = Layout.SizeOf(eye.Width, eye.Height);
        var isTooLarge = Only == VideoFormat.Mp4 && (width > LargestH264.Width || height > LargestH264.Height);
        return options with { Width = width, Height = height, Format = isTooLarge ? VideoFormat.Hevc : format, Packing = Layout.Packing() };
    }
}
