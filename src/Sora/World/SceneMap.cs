using Sora.Training;

namespace Sora.World;

/// <summary>
/// What is where in a scene, on the grid of its latents: the outline of objects in fourths of a place, which part of a place
/// objects of each shape, colour, size and motion take, where the object that is seen there begins and ends and where it goes,
/// which part the first, the second and the third object that a caption speaks of take and which they would take were they not
/// hidden, and everywhere the camera's move and where it makes ground and sky go. The larger a number, the
/// more noise it is made out under. What is settled at the same time is settled each for itself, and a network learns that an
/// object has its own colour and not another one's only under noise that shows which object is where and not yet its colour.
/// So the objects' numbers are far larger than any, those of latents included, of which colours are the largest.
/// </summary>
internal static class SceneMap
{
    /// <summary>Samples of a place along each side.</summary>
    private const int Side = 4;
    private const float OutlineScale = 5, CameraScale = 4, Part = 1f / (Side * Side);
    private const float ObjectScale = 40 * Part, ColourScale = 4 * Part, ShapeScale = 4 * Part, SizeScale = 4 * Part, MotionScale = 4 * Part, ExtentScale = 4 * Part, WayScale = 4;

    private static readonly int Shapes = Side * Side;
    private static readonly int Colours = Shapes + Enum.GetValues<Shape>().Length;
    private static readonly int Sizes = Colours + Enum.GetValues<Colour>().Length;
    private static readonly int Motions = Sizes + Enum.GetValues<ObjectSize>().Length;
    private static readonly int Extents = Motions + Enum.GetValues<Motion>().Length;
    private static readonly int Seen = Extents + Extent.Numbers;
    private static readonly int Hidden = Seen + Objects;
    private static readonly int Cameras = Hidden + Objects;
    private static readonly int Ways = Cameras + Enum.GetValues<CameraMove>().Length;

    /// <summary>Most objects in a scene.</summary>
    public const int Objects = 3;

    /// <summary>Numbers for each object: that it is there, and its shape, colour, size and motion.</summary>
    public static int ObjectNumbers { get; } = 1 + Extents - Shapes;

    /// <summary>Numbers for each place.</summary>
    public static int Channels { get; } = Ways + 2;

    /// <summary>Writes the map <c>[Channels, T, h, w]</c> of a scene that is filmed in this shape.</summary>
    public static void Draw(Scene scene, ClipShape shape, LatentGrid grid, double fps, Span<float> map)
    {
        map.Clear();
        // The first latent frame is the first frame; each other one stands for several, whose middle is looked at.
        var stride = grid.Frames > 1 ? (shape.Frames - 1) / (grid.Frames - 1) : 0;
        var frames = Enumerable.Range(0, grid.Frames).Select(t => t == 0 ? 0 : (t * stride) - (stride / 2)).ToArray();
        var (seen, there) = Renderer.Find(scene, grid.Columns * Side, grid.Rows * Side, frames, fps);
        var attributes = scene.Objects.Select(Attributes).ToArray();
        var extents = Extent.Of(seen, grid, scene.Objects.Count);
        for (var sample = 0; sample < seen.Length; sample++)
        {
            if (there[sample] == 0) continue;
            var (line, x) = Math.DivRem(sample, grid.Columns * Side);
            var at = (line / Side * grid.Columns) + (x / Side);
            for (var i = 0; i < scene.Objects.Count; i++)
            {
                if ((there[sample] >> i & 1) == 1 && seen[sample] != i + 1) map[((Hidden + i) * grid.Places) + at] += ObjectScale;
            }
            if (seen[sample] == 0) continue;
            map[((line % Side * Side) + (x % Side)) * grid.Places + at] = OutlineScale;
            map[((Seen + seen[sample] - 1) * grid.Places) + at] += ObjectScale;
            foreach (var (channel, scale) in attributes[seen[sample] - 1]) map[(channel * grid.Places) + at] += scale;
            var (frame, row) = Math.DivRem(line / Side, grid.Rows);
            var extent = extents[frame, seen[sample] - 1];
            var step = frame + 1 < grid.Frames && extents[frame + 1, seen[sample] - 1] is { Seen: true } next ? next : extent;
            ReadOnlySpan<float> numbers =
            [
                extent.Left - (x / Side), extent.Right - (x / Side), extent.Top - row, extent.Bottom - row,
                step.Left + step.Right - extent.Left - extent.Right, step.Top + step.Bottom - extent.Top - extent.Bottom,
            ];
            for (var i = 0; i < numbers.Length; i++) map[((Extents + i) * grid.Places) + at] += ExtentScale * numbers[i];
        }
        map.Slice((Cameras + (int)scene.Camera.Move) * grid.Places, grid.Places).Fill(CameraScale);
        if (grid.Frames > 1) DrawWays(scene.Camera, grid, frames, stride, fps, map.Slice(Ways * grid.Places, 2 * grid.Places));
    }

    /// <summary>Writes which objects a scene has, <c>[Objects, ObjectNumbers]</c>, in the order in which captions speak of them.</summary>
    public static void Name(Scene scene, Span<float> objects)
    {
        objects.Clear();
        for (var i = 0; i < scene.Objects.Count; i++)
        {
            var own = objects.Slice(i * ObjectNumbers, ObjectNumbers);
            own[0] = 1;
            foreach (var (channel, _) in Attributes(scene.Objects[i])) own[1 + channel - Shapes] = 1;
        }
    }

    /// <summary>How far ground and sky go in each place until the next latent frame, to the right and down, in places: objects are looked through.</summary>
    private static void DrawWays(CameraPath camera, LatentGrid grid, int[] frames, int stride, double fps, Span<float> ways)
    {
        const double far = 1e4;
        var aspect = (double)grid.Columns / grid.Rows;
        for (var at = 0; at < grid.Places; at++)
        {
            var (line, column) = Math.DivRem(at, grid.Columns);
            var (frame, row) = Math.DivRem(line, grid.Rows);
            var (x, y) = (((2 * column) + 1.0) / grid.Columns - 1, 1 - (((2 * row) + 1.0) / grid.Rows));
            var now = camera.At(frames[frame] / fps);
            var next = camera.At((frame + 1 < grid.Frames ? frames[frame + 1] : frames[frame] + stride) / fps);
            var ray = now.Forward + (now.Right * (x * now.HalfHeight * aspect)) + (now.Up * (y * now.HalfHeight));
            var point = now.Eye + (ray * (ray.Y < 0 ? Math.Min(far, -now.Eye.Y / ray.Y) : far));
            var (toX, toY, _) = next.Project(point, aspect);
            ways[at] = (float)(WayScale * (toX - x) * grid.Columns / 2);
            ways[grid.Places + at] = (float)(WayScale * (y - toY) * grid.Rows / 2);
        }
    }

    /// <summary>The channels of an object's shape, colour, size and motion, and what a sample of it adds to each.</summary>
    private static Attribute[] Attributes(SceneObject one) =>
    [
        new(Shapes + (int)one.Shape, ShapeScale), new(Colours + (int)one.Colour, ColourScale),
        new(Sizes + (int)one.Size, SizeScale), new(Motions + (int)one.Motion, MotionScale),
    ];

    private readonly record struct Attribute(int Channel, float Scale);

    /// <summary>The edges of what is seen of an object in a frame, in places from the left and the top.</summary>
    private readonly record struct Extent(float Left, float Right, float Top, float Bottom)
    {
        /// <summary>Its four edges, seen from a place, and twice the way of its middle to the next frame.</summary>
        public const int Numbers = 6;

        private static readonly Extent Nothing = new(float.PositiveInfinity, float.NegativeInfinity, float.PositiveInfinity, float.NegativeInfinity);

        public bool Seen => Left < Right;

        /// <summary>Of each frame and object, from samples that say which object is seen, 0 for none.</summary>
        public static Extent[,] Of(ReadOnlySpan<byte> seen, LatentGrid grid, int objects)
        {
            var extents = new Extent[grid.Frames, objects];
            for (var i = 0; i < extents.Length; i++) extents[i / objects, i % objects] = Nothing;
            for (var sample = 0; sample < seen.Length; sample++)
            {
                if (seen[sample] == 0) continue;
                var (line, x) = Math.DivRem(sample, grid.Columns * Side);
                var (frame, y) = Math.DivRem(line, grid.Rows * Side);
                ref var extent = ref extents[frame, seen[sample] - 1];
                extent = new(Math.Min(extent.Left, (float)x / Side), Math.Max(extent.Right, (x + 1f) / Side),
                    Math.Min(extent.Top, (float)y / Side), Math.Max(extent.Bottom, (y + 1f) / Side));
            }
            return extents;
        }
    }
}
