using Sora.Media;
using Sora.World;

namespace Sora.Eval;

/// <summary>One moment of the synthetic world seen by two cameras side by side.</summary>
internal sealed class EyeWorld
{
    private const int Moment = 4;
    private readonly float[] rightDepth;

    /// <summary>Draws a scene, and renders it twice: from its camera, and from <paramref name="baseline"/> metres to the right.</summary>
    public EyeWorld(ulong number, int width, int height, double baseline)
        : this(new Scenes(number, new SceneOptions(), width, height, baseline, [Moment]), 0) { }

    private EyeWorld(Scenes eyes, int at)
    {
        (Scene, Aspect, Baseline) = (eyes.Left, (double)eyes.Width / eyes.Height, eyes.Baseline);
        var seconds = eyes.Moments[at] / SceneOptions.DefaultFps;
        (LeftCamera, RightCamera) = (eyes.Left.Camera.At(seconds), eyes.Right.Camera.At(seconds));
        (Left, Right) = (Picture(eyes.LeftClip, at), Picture(eyes.RightClip, at));
        (Depth, rightDepth) = (Metres(eyes.LeftClip, at), Metres(eyes.RightClip, at));
    }

    /// <summary>As the left camera films it.</summary>
    public Scene Scene { get; }

    public double Aspect { get; }

    public double Baseline { get; }

    public CameraPose LeftCamera { get; }

    public CameraPose RightCamera { get; }

    public Image Left { get; }

    public Image Right { get; }

    /// <summary>Metres, for each pixel of the left picture.</summary>
    public float[] Depth { get; }

    /// <summary>Degrees from left to right.</summary>
    public double FieldOfView => 2 * Math.Atan(LeftCamera.HalfHeight * Aspect) * 180 / Math.PI;

    /// <summary>The moments of a whole clip, one after another.</summary>
    public static List<EyeWorld> Clip(ulong number, int width, int height, double baseline, int frames)
    {
        var eyes = new Scenes(number, new SceneOptions { Frames = frames }, width, height, baseline, [.. Enumerable.Range(0, frames)]);
        return [.. Enumerable.Range(0, frames).Select(frame => new EyeWorld(eyes, frame))];
    }

    /// <summary>Pixels that a point at this depth moves to the left between the two pictures.</summary>
    public double Moves(double depth) => Baseline * Left.Width / (2 * LeftCamera.HalfHeight * Aspect * depth);

    /// <summary>Whether a pixel of the right picture shows what the left one shows, too: the depths say the same of it.</summary>
    public bool IsVisible(int y, int x)
    {
        var moves = Moves(rightDepth[y * Left.Width + x]);
        var column = (int)Math.Round(x + moves);
        // A quarter of a pixel: less than an object moves before what is behind it, more than a slanted surface in half a pixel.
        return column < Left.Width && Math.Abs(Moves(Depth[y * Left.Width + column]) - moves) < 0.25;
    }

    private static Image Picture(RenderedClip clip, int at)
    {
        var bytes = clip.Width * clip.Height * Image.Channels;
        return new Image(clip.Width, clip.Height, clip.Rgb[(at * bytes)..((at + 1) * bytes)]);
    }

    private static float[] Metres(RenderedClip clip, int at)
    {
        var pixels = clip.Width * clip.Height;
        return clip.Depth[(at * pixels)..((at + 1) * pixels)];
    }

    /// <summary>A scene filmed by both cameras.</summary>
    private sealed class Scenes
    {
        public Scenes(ulong number, SceneOptions options, int width, int height, double baseline, int[] moments)
        {
            (Width, Height, Baseline, Moments) = (width, height, baseline, moments);
            Left = SceneSampler.Draw(new Rng(21, number), options with { Aspect = (double)width / height, Split = Split.Any });
            Right = Left with { Camera = Left.Camera with { Aside = baseline } };
            (LeftClip, RightClip) = (Renderer.RenderSome(Left, width, height, moments), Renderer.RenderSome(Right, width, height, moments));
        }

        public int Width { get; }

        public int Height { get; }

        public double Baseline { get; }

        public int[] Moments { get; }

        public Scene Left { get; }

        public Scene Right { get; }

        public RenderedClip LeftClip { get; }

        public RenderedClip RightClip { get; }
    }
}
