using Sora.Media;
using Sora.World;

namespace Sora.Tests.Stereo;

/// <summary>One moment of the synthetic world seen by two cameras side by side.</summary>
internal sealed class EyeWorld
{
    private const int Frame = 4;
    private readonly RenderedClip left;
    private readonly RenderedClip right;

    /// <summary>Draws a scene, and renders it twice: from its camera, and from <paramref name="baseline"/> metres to the right.</summary>
    public EyeWorld(ulong number, int width, int height, double baseline)
    {
        Aspect = (double)width / height;
        Baseline = baseline;
        var scene = SceneSampler.Draw(new Rng(21, number), new SceneOptions { Aspect = Aspect, Split = Split.Any });
        var moved = scene with { Camera = scene.Camera with { Aside = baseline } };
        (LeftCamera, RightCamera) = (CameraAt(scene), CameraAt(moved));
        left = Renderer.RenderSome(scene, width, height, [Frame]);
        right = Renderer.RenderSome(moved, width, height, [Frame]);
        (Left, Right) = (new Image(width, height, left.Rgb), new Image(width, height, right.Rgb));
    }

    public double Aspect { get; }

    public double Baseline { get; }

    public CameraPose LeftCamera { get; }

    public CameraPose RightCamera { get; }

    public Image Left { get; }

    public Image Right { get; }

    /// <summary>Metres, for each pixel of the left picture.</summary>
    public float[] Depth => left.Depth;

    /// <summary>Degrees from left to right.</summary>
    public double FieldOfView => 2 * Math.Atan(LeftCamera.HalfHeight * Aspect) * 180 / Math.PI;

    /// <summary>Pixels that a point at this depth moves to the left between the two pictures.</summary>
    public double Moves(double depth) => Baseline * Left.Width / (2 * LeftCamera.HalfHeight * Aspect * depth);

    /// <summary>Whether a pixel of the right picture shows what the left one shows, too: the depths say the same of it.</summary>
    public bool IsVisible(int y, int x)
    {
        var moves = Moves(right.Depth[y * Left.Width + x]);
        var column = (int)Math.Round(x + moves);
        // A quarter of a pixel: less than an object moves before what is behind it, more than a slanted surface in half a pixel.
        return column < Left.Width && Math.Abs(Moves(left.Depth[y * Left.Width + column]) - moves) < 0.25;
    }

    private static CameraPose CameraAt(Scene scene) => scene.Camera.At(Frame / SceneOptions.DefaultFps);
}
