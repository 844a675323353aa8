using Sora.Media;
using Sora.World;

namespace Sora.Eval;

/// <summary>Scenes as clips of the size that is judged.</summary>
internal static class Scenes
{
    /// <summary>The frames of a scene's clip.</summary>
    public static Image[] Render(Scene scene) => Frames(Clip(scene));

    /// <summary>A scene's clip with its masks.</summary>
    public static RenderedClip Clip(Scene scene) => Renderer.Render(scene, Judge.Side, Judge.Side, Judge.ClipFrames);

    /// <summary>The frames of a rendered clip.</summary>
    public static Image[] Frames(RenderedClip clip) => Frames(clip.Rgb, clip.Width, clip.Height);

    /// <summary>Pictures of RGB bytes [F, H, W, 3].</summary>
    public static Image[] Frames(byte[] rgb, int width, int height) =>
        [.. rgb.Chunk(width * height * Image.Channels).Select(pixels => new Image(width, height, pixels))];
}
