using Sora.Media;

namespace Sora.Stereo;

/// <summary>Two pictures of one moment, and where they show what the camera didn't see.</summary>
public sealed class StereoPair
{
    /// <summary>Black pictures without holes, to be rendered into.</summary>
    public StereoPair(int width, int height)
    {
        (Left, Right) = (new Image(width, height), new Image(width, height));
        (LeftHoles, RightHoles) = (new byte[width * height], new byte[width * height]);
    }

    /// <summary>What the left eye sees.</summary>
    public Image Left { get; }

    /// <summary>What the right eye sees.</summary>
    public Image Right { get; }

    /// <summary><c>[H, W]</c>: 255 where the left eye sees what the frame doesn't show, 0 elsewhere.</summary>
    public byte[] LeftHoles { get; }

    /// <summary><c>[H, W]</c>: 255 where the right eye sees what the frame doesn't show, 0 elsewhere.</summary>
    public byte[] RightHoles { get; }
}
