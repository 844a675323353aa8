using System.Numerics;
using Sora.Training;

namespace Sora.World;

/// <summary>
/// What is where in a scene, on the grid of its latents: the outline of objects in quarters of a place; which part of a place
/// objects of each shape, colour, size and motion cover; where the object seen there begins and ends and where it goes; which
/// part the first, second and third object that a caption mentions cover, and which they would cover if they weren't hidden; how
/// the object seen there is turned; and everywhere the camera's move, where it makes ground and sky go, and which part of the
/// world is behind the place, since textures are fixed to it. The larger a number, the more noise it shows through. Things
/// settled at the same time are settled independently, and a network learns that an object has its own colour and not another
/// one's only under noise that shows which object is where but not yet its colour. So the objects' numbers are by far the
/// largest, those of latents included, of which colours are the largest.
/// </summary>
internal static class SceneMap
{
    /// <summary>Samples of a place along each side.</summary>
    private const int Side = 4;
    private const float OutlineScale = 5,
        CameraScale = 4,
        Part = 1f / (Side * Side);
    private const float ObjectScale = 40 * Part,
        ColourScale = 4 * Part,
        ShapeScale = 4 * Part,
        SizeScale = 4 * Part,
        MotionScale = 4 * Part,
        ExtentScale = 4 * Part,
        WayScale = 4,
        TurnScale = 4 * Part;

    private static readonly int Shapes = Side * Side;
    private static readonly int Colours = Shapes + Enum.GetValues<Shape>().Length;
    private static readonly int Sizes = Colours + Enum.GetValues<Colour>().Length;
    private static readonly int Motions = Sizes + Enum.GetValues<ObjectSize>().Length;
    private static readonly int Extents = Motions + Enum.GetValues<Motion>().Length;
    private static readonly int Seen = Extents + Extent.Numbers;
    private static readonly int Hidden = Seen + Objects;
    private static readonly int Cameras = Hidden + Objects;
    private static readonly int Backdrops = Cameras + Enum.GetValues<CameraMove>().Length;
    private static readonly int Turns = Backdrops + Backdrop.Numbers;

    /// <summary>Most objects in a scene.</summary>
    public const int Objects = 3;

    /// <summary>Numbers for each object: that it is there, and its shape, colour, size and motion.</summary>
    public static int ObjectNumbers { get; } = 1 + Extents - Shapes;

    /// <summary>Numbers for each place.</summary>
    public static int Channels { get; } = Turns + Turn.Numbers;

    /// <summary>The numbers that say which part of a place objects cover: the first, their count, and their sum for all of it.</summary>
    public static (int First, int Count, float Whole) Taken { get; } = (Seen, Objects, ObjectScale * Side * Side);

    /// <summary>Writes the map <c>[Channels, T, h, w]</c> of a scene that is filmed in this shape.</summary>
    public static void Draw(Scene scene, ClipShape shape, LatentGrid grid, double fps, Span<float> map)
    {
        map.Clear();
        // The first latent frame is the first frame; each other one stands for several, whose middle is looked at.
        var stride = grid.Frames > 1 ? (shape.Frames - 1) / (grid.Frames - 1) : 0;
        var frames = Enumerable.Range(0, grid.Frames).Select(t => t == 0 ? 0 : (t * stride) - (stride / 2)).ToArray();
        var simulation = Simulation.Run(scene, frames[^1] + 1, fps);
        var (seen, there) = Renderer.Find(scene, simulation, grid.Columns * Side, grid.Rows * Side, frames, fps);
        var attributes = scene.Objects.Select(Attributes).ToArray();
        var extents = Extent.Of(seen, grid, scene.Objects.Count);
        // One more than there are frames: places know where they go after the last one, too.
        var cameras = frames.Append(frames[^1] + stride).Select(frame => scene.Camera.At(frame / fps)).ToArray();
        var turns = frames.Select((frame, t) => Turn.Of(scene, simulation, frame, cameras[t])).ToArray();
        for (var sample = 0; sample < seen.Length; sample++)
        {
            if (there[sample] == 0)
                continue;
            var (line, x) = Math.DivRem(sample, grid.Columns * Side);
            var at = (line / Side * grid.Columns) + (x / Side);
            for (var i = 0; i < scene.Objects.Count; i++)
            {
                if ((there[sample] >> i & 1) == 1 && seen[sample] != i + 1)
                    map[((Hidden + i) * grid.Places) + at] += ObjectScale;
            }
            if (seen[sample] == 0)
                continue;
            map[((line % Side * Side) + (x % Side)) * grid.Places + at] = OutlineScale;
            map[((Seen + seen[sample] - 1) * grid.Places) + at] += ObjectScale;
            foreach (var (channel, scale) in attributes[seen[sample] - 1])
                map[(channel * grid.Places) + at] += scale;
            var (frame, row) = Math.DivRem(line / Side, grid.Rows);
            var extent = extents[frame, seen[sample] - 1];
            var step = frame + 1 < grid.Frames && extents[frame + 1, seen[sample] - 1] is { Seen: true } next ? next : extent;
            ReadOnlySpan<float> numbers =
            [
                extent.Left - (x / Side),
                extent.Right - (x / Side),
                extent.Top - row,
                extent.Bottom - row,
                step.Left + step.Right - extent.Left - extent.Right,
                step.Top + step.Bottom - extent.Top - extent.Bottom,
            ];
            for (var i = 0; i < numbers.Length; i++)
                map[((Extents + i) * grid.Places) + at] += ExtentScale * numbers[i];
            var turn = turns[frame][seen[sample] - 1];
            for (var i = 0; i < Turn.Numbers; i++)
                map[((Turns + i) * grid.Places) + at] += TurnScale * turn[i];
        }
        map.Slice((Cameras + (int)scene.Camera.Move) * grid.Places, grid.Places).Fill(CameraScale);
        DrawBackdrop(scene.Mirrored, grid, cameras, map.Slice(Backdrops * grid.Places, Backdrop.Numbers * grid.Places));
    }

    /// <summary>Writes which objects a scene has, <c>[Objects, ObjectNumbers]</c>, in the order in which captions mention them.</summary>
    public static void Name(Scene scene, Span<float> objects)
    {
        objects.Clear();
        for (var i = 0; i < scene.Objects.Count; i++)
        {
            var own = objects.Slice(i * ObjectNumbers, ObjectNumbers);
            own[0] = 1;
            foreach (var (channel, _) in Attributes(scene.Objects[i]))
                own[1 + channel - Shapes] = 1;
        }
    }

    /// <summary>
    /// Writes which part of the world is behind each place, looking through objects, and how far it goes until the next
    /// latent frame, to the right and down, in places.
    /// </summary>
    private static void DrawBackdrop(bool mirrored, LatentGrid grid, CameraPose[] cameras, Span<float> map)
    {
        var aspect = (double)grid.Columns / grid.Rows;
        for (var at = 0; at < grid.Places; at++)
        {
            var (line, column) = Math.DivRem(at, grid.Columns);
            var (frame, row) = Math.DivRem(line, grid.Rows);
            var (x, y) = (((2 * column) + 1.0) / grid.Columns - 1, 1 - (((2 * row) + 1.0) / grid.Rows));
            var now = cameras[frame];
            var behind = Backdrop.Through(now, x, y, aspect);
            if (grid.Frames > 1)
            {
                var (toX, toY, _) = cameras[frame + 1].Project(behind.Point, aspect);
                map[at] = (float)(WayScale * (toX - x) * grid.Columns / 2);
                map[grid.Places + at] = (float)(WayScale * (y - toY) * grid.Rows / 2);
            }
            var numbers = behind.Place(now, mirrored, 2 * now.HalfHeight / grid.Rows);
            for (var i = 0; i < numbers.Length; i++)
                map[((Backdrop.WayNumbers + i) * grid.Places) + at] = (float)numbers[i];
        }
    }

    /// <summary>The channels of an object's shape, colour, size and motion, and what a sample of it adds to each.</summary>
    private static Attribute[] Attributes(SceneObject one) =>
        [
            new(Shapes + (int)one.Shape, ShapeScale),
            new(Colours + (int)one.Colour, ColourScale),
            new(Sizes + (int)one.Size, SizeScale),
            new(Motions + (int)one.Motion, MotionScale),
        ];

    private readonly record struct Attribute(int Channel, float Scale);

    /// <summary>The edges of what is seen of an object in a frame, in places from the left and the top.</summary>
    private readonly record struct Extent(float Left, float Right, float Top, float Bottom)
    {
        /// <summary>Its four edges, seen from a place, and twice the way of its middle to the next frame.</summary>
        public const int Numbers = 6;

        private static readonly Extent Nothing = new(
            float.PositiveInfinity,
            float.NegativeInfinity,
            float.PositiveInfinity,
            float.NegativeInfinity
        );

        public bool Seen => Left < Right;

        /// <summary>Of each frame and object, from samples that say which object is seen, 0 for none.</summary>
        public static Extent[,] Of(ReadOnlySpan<byte> seen, LatentGrid grid, int objects)
        {
            var extents = new Extent[grid.Frames, objects];
            for (var i = 0; i < extents.Length; i++)
                extents[i / objects, i % objects] = Nothing;
            for (var sample = 0; sample < seen.Length; sample++)
            {
                if (seen[sample] == 0)
                    continue;
                var (line, x) = Math.DivRem(sample, grid.Columns * Side);
                var (frame, y) = Math.DivRem(line, grid.Rows * Side);
                ref var extent = ref extents[frame, seen[sample] - 1];
                extent = new(
                    Math.Min(extent.Left, (float)x / Side),
                    Math.Max(extent.Right, (x + 1f) / Side),
                    Math.Min(extent.Top, (float)y / Side),
                    Math.Max(extent.Bottom, (y + 1f) / Side)
                );
            }
            return extents;
        }
    }

    /// <summary>What is behind a place when objects are looked through: a point of the ground, or of the sky, far away.</summary>
    private readonly record struct Backdrop(Point Point, Point Ray)
    {
        /// <summary>Of its way, and of that and <see cref="Place"/>.</summary>
        public const int WayNumbers = 2,
            Numbers = WayNumbers + 8;

        /// <summary>Metres to what is far away, and from the middle of the world beyond which places on the ground look alike.</summary>
        private const double Far = 1e4,
            Reach = 5;

        /// <summary>Metres of a wave that tells places on the ground apart, about two tiles or three planks.</summary>
        private const double Wave = 1.24;
        private const double AngleScale = 8,
            PlaceScale = 3,
            WaveScale = 4;

        /// <summary>Looks through a point of the picture.</summary>
        public static Backdrop Through(CameraPose camera, double x, double y, double aspect)
        {
            var ray = camera.Forward + (camera.Right * (x * camera.HalfHeight * aspect)) + (camera.Up * (y * camera.HalfHeight));
            return new(camera.Eye + (ray * (ray.Y < 0 ? Math.Min(Far, -camera.Eye.Y / ray.Y) : Far)), ray);
        }

        /// <summary>
        /// The direction, to the right and up; the place on the ground, no farther than <see cref="Reach"/>; and sine and cosine of
        /// a wave along each of its axes, which end where a place of the picture covers more than a whole wave.
        /// </summary>
        /// <param name="camera">What is looked through.</param>
        /// <param name="mirrored">Whether textures are drawn with left and right swapped.</param>
        /// <param name="side">The side of a place of the picture, a metre away.</param>
        public double[] Place(CameraPose camera, bool mirrored, double side)
        {
            var (right, toSide) = (mirrored ? -Ray.X : Ray.X, Math.Sqrt((Ray.X * Ray.X) + (Ray.Z * Ray.Z)));
            var (x, z) = (mirrored ? -Point.X : Point.X, Point.Z);
            var near = Math.Min(1, Reach / Math.Sqrt((x * x) + (z * z)));
            var (sineX, sineZ) = (Math.SinCos(2 * Math.PI * x / Wave), Math.SinCos(2 * Math.PI * z / Wave));
            var (fadeX, fadeZ) = (0.0, 0.0);
            if (Ray.Y < 0)
            {
                var across = (Point - camera.Eye).Length * side;
                var along = across * Ray.Length / Math.Max(-Ray.Y, 0.02);
                double Fade(double width) => Math.Clamp(2 - (width / Wave), 0, 1);
                fadeX = Fade((across * Math.Abs(camera.Right.X)) + (along * Math.Abs(camera.Forward.X)));
                fadeZ = Fade((across * Math.Abs(camera.Right.Z)) + (along * Math.Abs(camera.Forward.Z)));
            }
            return
            [
                AngleScale * Math.Atan2(right, -Ray.Z),
                AngleScale * Math.Atan2(Ray.Y, toSide),
                PlaceScale * near * x,
                PlaceScale * near * z,
                WaveScale * fadeX * sineX.Sin,
                WaveScale * fadeX * sineX.Cos,
                WaveScale * fadeZ * sineZ.Sin,
                WaveScale * fadeZ * sineZ.Cos,
            ];
        }
    }

    /// <summary>
    /// How an object is turned towards the camera: two of its axes, to the right, up and away (Zhou et al. 2019, "On the
    /// continuity of rotation representations in neural networks").
    /// </summary>
    private static class Turn
    {
        /// <summary>Three for each axis.</summary>
        public const int Numbers = 6;

        /// <summary>Of each object in a frame.</summary>
        public static float[][] Of(Scene scene, Simulation simulation, int frame, CameraPose camera)
        {
            float[] Axis(Vector3 own, int index)
            {
                var turned = Vector3.Transform(own, simulation.At(frame, index).Orientation);
                var axis = new Point(turned.X, turned.Y, turned.Z);
                return [(float)Point.Dot(axis, camera.Right), (float)Point.Dot(axis, camera.Up), (float)Point.Dot(axis, camera.Forward)];
            }
            // What is painted on an object is mirrored in its own axes.
            var across = scene.Mirrored ? -Vector3.UnitX : Vector3.UnitX;
            return [.. scene.Objects.Select((_, i) => (float[])[.. Axis(across, i), .. Axis(Vector3.UnitY, i)])];
        }
    }
}
