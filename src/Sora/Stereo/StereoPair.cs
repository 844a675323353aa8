using Sora.Media;

namespace Sora.Stereo;

/// <summary>Two pictures of one moment, and where they show what the camera didn't see.</summary>
public sealed class StereoPair
{
    /// <summary>Black pictures without holes, to be rendered into.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="keepsDisparity">Whether to keep how near is what is seen.</param>
    public StereoPair(int width, int height, bool keepsDisparity = false)
    {
        (Left, Right) = (new Image(width, height), new Image(width, height));
        (LeftHoles, RightHoles) = (new byte[width * height], new byte[width * height]);
        if (keepsDisparity)
            (LeftDisparity, RightDisparity) = (new short[width * height], new short[width * height]);
    }

    /// <summary>What the left eye sees.</summary>
    public Image Left { get; }

    /// <summary>What the right eye sees.</summary>
    public Image Right { get; }

    /// <summary><c>[H, W]</c>: 255 where the left eye sees what the frame doesn't show, 0 elsewhere.</summary>
    public byte[] LeftHoles { get; }

    /// <summary><c>[H, W]</c>: 255 where the right eye sees what the frame doesn't show, 0 elsewhere.</summary>
    public byte[] RightHoles { get; }

    /// <summary><c>[H, W]</c>, of what the left eye sees, as <see cref="SeenDisparity"/> has it; null if it isn't kept.</summary>
    internal short[]? LeftDisparity { get; }

    /// <summary>The same of the right eye.</summary>
    internal short[]? RightDisparity { get; }
}

/// <summary>Disparities of what an eye sees, in a form that takes little memory.</summary>
internal static class SeenDisparity
{
    /// <summary>Units in a pixel.</summary>
    public const int Units = 16;

    /// <summary>Of a hole, where nothing is seen.</summary>
    public const short Unseen = short.MaxValue;

    /// <summary>The nearest number to a disparity in pixels.</summary>
    public static short Of(float pixels) => (short)Math.Clamp(pixels * Units, short.MinValue, Unseen - 1);
}
