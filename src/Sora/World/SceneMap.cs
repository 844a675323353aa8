using Sora.Training;

namespace Sora.World;

/// <summary>
/// What is where in a scene, on the grid of its latents: the outline of objects in fourths of a place, which part of a place
/// objects of each shape, colour, size and motion take, and everywhere the camera's move. Each of these attributes weighs
/// about as much as another in a squared error.
/// </summary>
internal static class SceneMap
{
    /// <summary>Samples of a place along each side.</summary>
    private const int Side = 4;
    private const float OutlineScale = 1f / Side, CameraScale = 1f / 3;

    private static readonly int Shapes = Side * Side;
    private static readonly int Colours = Shapes + Enum.GetValues<Shape>().Length;
    private static readonly int Sizes = Colours + Enum.GetValues<Colour>().Length;
    private static readonly int Motions = Sizes + Enum.GetValues<ObjectSize>().Length;
    private static readonly int Cameras = Motions + Enum.GetValues<Motion>().Length;

    /// <summary>Numbers for each place.</summary>
    public static int Channels { get; } = Cameras + Enum.GetValues<CameraMove>().Length;

    /// <summary>Writes the map <c>[Channels, T, h, w]</c> of a scene that is filmed in this shape.</summary>
    public static void Draw(Scene scene, ClipShape shape, LatentGrid grid, double fps, Span<float> map)
    {
        map.Clear();
        // The first latent frame is the first frame; each other one stands for several, whose middle is looked at.
        var stride = grid.Frames > 1 ? (shape.Frames - 1) / (grid.Frames - 1) : 0;
        var frames = Enumerable.Range(0, grid.Frames).Select(t => t == 0 ? 0 : (t * stride) - (stride / 2)).ToArray();
        var seen = Renderer.RenderSome(scene, grid.Columns * Side, grid.Rows * Side, frames, fps).Objects;
        for (var sample = 0; sample < seen.Length; sample++)
        {
            if (seen[sample] == 0) continue;
            var (line, x) = Math.DivRem(sample, grid.Columns * Side);
            var at = (line / Side * grid.Columns) + (x / Side);
            var one = scene.Objects[seen[sample] - 1];
            map[((line % Side * Side) + (x % Side)) * grid.Places + at] = OutlineScale;
            foreach (var channel in (ReadOnlySpan<int>)[Shapes + (int)one.Shape, Colours + (int)one.Colour, Sizes + (int)one.Size, Motions + (int)one.Motion])
            {
                map[(channel * grid.Places) + at] += 1f / (Side * Side);
            }
        }
        map.Slice((Cameras + (int)scene.Camera.Move) * grid.Places, grid.Places).Fill(CameraScale);
    }
}
