namespace Sora.Media;

/// <summary>How each frame of a video holds the pictures of two eyes, as players are told.</summary>
public enum FramePacking
{
    /// <summary>The left eye's picture on the left half, both with square pixels.</summary>
    SideBySide,

    /// <summary>The same with each picture squeezed to half of its width.</summary>
    HalfSideBySide,

    /// <summary>The left eye's picture on the upper half, both with square pixels.</summary>
    TopBottom,

    /// <summary>The same with each picture squeezed to half of its height.</summary>
    HalfTopBottom,
}

/// <summary>The numbers and names by which formats say it.</summary>
internal static class FramePackings
{
    /// <summary>ffmpeg's name of Matroska's StereoMode (RFC 9559, 5.1.4.1.28.3).</summary>
    public static string StereoMode(this FramePacking packing) => packing.IsSideBySide() ? "left_right" : "top_bottom";

    /// <summary>
    /// The shape of a pixel by which Matroska's display size becomes that of one eye's picture, as RFC 9559, 18.10, asks for.
    /// </summary>
    public static string? PixelAspect(this FramePacking packing) =>
        packing switch
        {
            FramePacking.HalfSideBySide => "2/1",
            FramePacking.HalfTopBottom => "1/2",
            _ => null,
        };

    /// <summary>frame_packing_arrangement_type of H.264's SEI message (ITU-T H.264, D.2.26).</summary>
    public static int ArrangementType(this FramePacking packing) => packing.IsSideBySide() ? 3 : 4;

    /// <summary>stereo_mode of the box <c>st3d</c> (Google's Spherical Video V2 RFC).</summary>
    public static byte St3dMode(this FramePacking packing) => (byte)(packing.IsSideBySide() ? 2 : 1);

    private static bool IsSideBySide(this FramePacking packing) => packing is FramePacking.SideBySide or FramePacking.HalfSideBySide;
}
