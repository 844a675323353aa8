using Sora.Training;
using Sora.World;
using Xunit;

namespace Sora.Tests.World;

/// <summary>The map that a network makes along with latents, against masks of the whole picture.</summary>
public class SceneMapTests
{
    private const int Patch = 16,
        Places = 8;
    private static readonly ClipShape Shape = new(Patch * Places, Patch * Places, 9);
    private static readonly LatentGrid Grid = new(3, Places, Places);

    // Outline in 4 x 4 fourths, 6 shapes, 10 colours, 3 sizes, 14 motions, 4 edges and a way of 2 numbers, 3 objects seen and
    // hidden, 9 camera moves, the way of ground and sky to the right and down, their direction, their place, two waves along each
    // axis, and two axes of the object.
    private const int Outline = 16,
        Shapes = 6,
        Colours = 10,
        Sizes = 3,
        Motions = 14,
        Extents = 6,
        Objects = 3,
        Cameras = 9,
        Ways = 2,
        World = 8,
        Turns = 6;
    private const int Seen = Outline + Shapes + Colours + Sizes + Motions + Extents,
        Camera = Seen + (2 * Objects);
    private const double OutlineScale = 5,
        ExtentScale = 4,
        CameraScale = 4,
        ObjectScale = 40,
        WayScale = 4,
        AngleScale = 8,
        PlaceScale = 3,
        WaveScale = 4,
        TurnScale = 4;
    private const double Reach = 5,
        Wave = 1.24;

    [Fact]
    public void PlacesHoldWhatThePictureShowsThere()
    {
        for (var seed = 0ul; seed < 6; seed++)
        {
            var scene = SceneSampler.Draw(new Rng(3, seed), new SceneOptions { Frames = Shape.Frames, Count = 2 });
            var map = Map(scene);
            // Latent frame 0 is frame 0, latent frame t stands for frames 4t - 3 to 4t.
            var whole = Renderer.RenderSome(scene, Shape.Width, Shape.Height, [0, 2, 6]).Objects;
            for (var attribute = 0; attribute < 4; attribute++)
            {
                var (first, count, scale, label) = attribute switch
                {
                    0 => (Outline, Shapes, 4.0, (Func<SceneObject, int>)(o => (int)o.Shape)),
                    1 => (Outline + Shapes, Colours, 4, o => (int)o.Colour),
                    2 => (Outline + Shapes + Colours, Sizes, 4, o => (int)o.Size),
                    _ => (Outline + Shapes + Colours + Sizes, Motions, 4, o => (int)o.Motion),
                };
                for (var value = 0; value < count; value++)
                {
                    var expected = Shares(whole, i => i > 0 && label(scene.Objects[i - 1]) == value);
                    var off = Enumerable
                        .Range(0, Grid.Places)
                        .Average(at => Math.Abs(map[((first + value) * Grid.Places) + at] / scale - expected[at]));
                    Assert.InRange(off, 0, 0.02);
                }
            }
            var objects = Shares(whole, i => i > 0);
            Assert.InRange(objects.Sum(), 1, 100);
            var outline = Enumerable
                .Range(0, Grid.Places)
                .Select(at => Enumerable.Range(0, Outline).Sum(i => map[(i * Grid.Places) + at]) / Outline / OutlineScale)
                .ToArray();
            Assert.InRange(objects.Zip(outline).Average(pair => Math.Abs(pair.First - pair.Second)), 0, 0.02);
        }
    }

    /// <summary>Edges, in places, are those of the mask, seen from each place that shows the object.</summary>
    [Fact]
    public void PlacesKnowWhereTheirObjectsEndAndWhereTheyGo()
    {
        const double Pixel = 1.0 / Patch,
            Sample = 0.25;
        for (var seed = 0ul; seed < 6; seed++)
        {
            var scene = SceneSampler.Draw(
                new Rng(5, seed),
                new SceneOptions
                {
                    Frames = Shape.Frames,
                    Count = 1,
                    Motion = (Motion)((int)Motion.SlideLeft + (int)(seed % 2)),
                    Shape = global::Sora.World.Shape.Cube,
                }
            );
            var map = Map(scene);
            var whole = Renderer
                .RenderSome(scene, Shape.Width, Shape.Height, [0, 2, 6])
                .Objects.Chunk(Shape.Width * Shape.Height)
                .ToArray();
            var edges = whole
                .Select(frame =>
                {
                    var seen = Enumerable.Range(0, frame.Length).Where(pixel => frame[pixel] > 0).ToList();
                    var (x, y) = (seen.Select(pixel => pixel % Shape.Width).ToList(), seen.Select(pixel => pixel / Shape.Width).ToList());
                    return (double[])[x.Min() * Pixel, (x.Max() + 1) * Pixel, y.Min() * Pixel, (y.Max() + 1) * Pixel];
                })
                .ToArray();
            var shares = Shares([.. whole.SelectMany(frame => frame)], i => i > 0);
            for (var at = 0; at < Grid.Places; at++)
            {
                var (frame, row, column) = (at / (Places * Places), at / Places % Places, at % Places);
                var way = frame + 1 < Grid.Frames ? edges[frame + 1].Zip(edges[frame], (next, now) => next - now).ToArray() : new double[4];
                double[] expected =
                [
                    edges[frame][0] - column,
                    edges[frame][1] - column,
                    edges[frame][2] - row,
                    edges[frame][3] - row,
                    way[0] + way[1],
                    way[2] + way[3],
                ];
                for (var i = 0; i < Extents; i++)
                {
                    var value = map[((Outline + Shapes + Colours + Sizes + Motions + i) * Grid.Places) + at];
                    // Both the share and the edges are known to a sample.
                    Assert.InRange(
                        (value / ExtentScale) - (expected[i] * shares[at]),
                        -Sample * (3 + Math.Abs(expected[i])) / 2,
                        Sample * (3 + Math.Abs(expected[i])) / 2
                    );
                }
            }
            Assert.Contains(shares, share => share > 0.5);
        }
    }

    [Fact]
    public void TheCamerasMoveIsEverywhere()
    {
        var scene = SceneSampler.Draw(
            new Rng(4),
            new SceneOptions
            {
                Frames = Shape.Frames,
                Camera = CameraMove.ZoomIn,
                Split = Split.Any,
            }
        );
        var moves = Part(Map(scene), Camera, Cameras);
        for (var move = 0; move < Cameras; move++)
            Assert.All(moves[move], value => Assert.Equal(move == (int)CameraMove.ZoomIn ? CameraScale : 0, value));
    }

    /// <summary>Where a point of ground or sky is in the next latent frame's picture: found from the depth of the rendered one.</summary>
    [Theory]
    [InlineData(CameraMove.PanLeft, true, false)]
    [InlineData(CameraMove.TiltUp, false, true)]
    [InlineData(CameraMove.ZoomIn, false, false)]
    [InlineData(CameraMove.OrbitRight, false, false)]
    [InlineData(CameraMove.Static, false, false)]
    public void PlacesKnowWhereTheirGroundAndSkyGo(CameraMove move, bool sideways, bool lengthwise)
    {
        int[] frames = [0, 2, 6, 10];
        var scene = SceneSampler.Draw(
            new Rng(7),
            new SceneOptions
            {
                Frames = Shape.Frames,
                Camera = move,
                Count = 1,
                Split = Split.Any,
            }
        );
        var ways = Part(Map(scene), Camera + Cameras, Ways);
        var clip = Renderer.RenderSome(scene, Shape.Width, Shape.Height, frames[..Grid.Frames]);
        var compared = 0;
        for (var at = 0; at < Grid.Places; at++)
        {
            var (frame, row, column) = (at / (Places * Places), at / Places % Places, at % Places);
            var (now, next) = (scene.Camera.At(frames[frame] / 16.0), scene.Camera.At(frames[frame + 1] / 16.0));
            var (right, down, hidden) = (0.0, 0.0, false);
            // The four pixels around the middle of the place.
            for (var i = 0; i < 4; i++)
            {
                var (line, across) = ((Patch * row) + (Patch / 2) - (i / 2), (Patch * column) + (Patch / 2) - (i % 2));
                var pixel = (((frame * Shape.Height) + line) * Shape.Width) + across;
                hidden |= clip.Objects[pixel] > 0;
                var (x, y) = (((2 * across) + 1.0) / Shape.Width - 1, 1 - (((2 * line) + 1.0) / Shape.Height));
                var ray = now.Forward + (now.Right * (x * now.HalfHeight)) + (now.Up * (y * now.HalfHeight));
                var (toX, toY, _) = next.Project(now.Eye + (ray * Math.Min(clip.Depth[pixel], 1e5)), 1);
                (right, down) = (right + ((toX - x) * Places / 8), down + ((y - toY) * Places / 8));
            }
            if (hidden)
                continue;
            Assert.Equal(right, ways[0][at] / WayScale, 0.03);
            Assert.Equal(down, ways[1][at] / WayScale, 0.03);
            compared++;
        }
        Assert.InRange(compared, Grid.Places / 2, Grid.Places);
        // All of it goes to one side when the camera turns to the other one.
        if (sideways || lengthwise)
            Assert.All(ways[sideways ? 0 : 1], way => Assert.InRange(way / WayScale, 0.05, Places));
    }

    /// <summary>
    /// The direction of a ray and the point of the ground that it meets, found from the depth of the rendered picture; a wave along
    /// each axis of the ground, which on a checkerboard is a tile for each half.
    /// </summary>
    [Theory]
    [InlineData(CameraMove.OrbitLeft)]
    [InlineData(CameraMove.ZoomOut)]
    public void PlacesKnowWhichPartOfTheWorldIsBehindThem(CameraMove move)
    {
        int[] frames = [0, 2, 6];
        var scene = SceneSampler.Draw(
            new Rng(8),
            new SceneOptions
            {
                Frames = Shape.Frames,
                Camera = move,
                Count = 1,
                Ground = Ground.Checker,
                Split = Split.Any,
            }
        );
        foreach (var drawn in (Scene[])[scene, scene.Mirror()])
        {
            var hand = drawn.Mirrored ? -1 : 1;
            var world = Part(Map(drawn), Camera + Cameras + Ways, World);
            var clip = Renderer.RenderSome(drawn, Shape.Width, Shape.Height, frames);
            var (light, dark, ground) = (new List<int>(), new List<int>(), 0);
            for (var at = 0; at < Grid.Places; at++)
            {
                var (frame, row, column) = (at / (Places * Places), at / Places % Places, at % Places);
                var camera = drawn.Camera.At(frames[frame] / 16.0);
                var (azimuth, elevation, x, z, hidden, shown) = LookAt(clip, (frame, row, column), camera, hand);
                Assert.Equal(azimuth, world[0][at] / AngleScale, 0.01);
                Assert.Equal(elevation, world[1][at] / AngleScale, 0.01);
                if (hidden)
                    continue;
                var near = Math.Min(1, Reach / Math.Sqrt((x * x) + (z * z)));
                Assert.Equal(near * x, world[2][at] / PlaceScale, 0.05);
                Assert.Equal(near * z, world[3][at] / PlaceScale, 0.05);
                var strength = (
                    X: Math.Sqrt(Square(world[4][at]) + Square(world[5][at])) / WaveScale,
                    Z: Math.Sqrt(Square(world[6][at]) + Square(world[7][at])) / WaveScale
                );
                if (row < Places / 2)
                    Assert.Equal(0, strength.Z, 0.4);
                if (strength.X < 0.9 || strength.Z < 0.9)
                    continue;
                ground++;
                Assert.Equal(Math.Sin(2 * Math.PI * x / Wave), world[4][at] / WaveScale / strength.X, 0.1);
                Assert.Equal(Math.Cos(2 * Math.PI * z / Wave), world[7][at] / WaveScale / strength.Z, 0.1);
                var tile = world[5][at] * world[7][at] / (WaveScale * WaveScale);
                if (tile > 0.3)
                    light.Add(shown);
                if (tile < -0.3)
                    dark.Add(shown);
            }
            Assert.InRange(ground, 12, Grid.Places);
            Assert.InRange(light.Average() / dark.Average(), 1.25, 4);
        }
    }

    /// <summary>Means over the four pixels in the middle of a place: the ray's direction and the point of the ground it meets.</summary>
    private static (double Azimuth, double Elevation, double X, double Z, bool Hidden, int Shown) LookAt(
        RenderedClip clip,
        (int Frame, int Row, int Column) place,
        CameraPose camera,
        int hand
    )
    {
        var (azimuth, elevation, x, z, hidden, shown) = (0.0, 0.0, 0.0, 0.0, false, 0);
        for (var i = 0; i < 4; i++)
        {
            var (line, across) = ((Patch * place.Row) + (Patch / 2) - (i / 2), (Patch * place.Column) + (Patch / 2) - (i % 2));
            var pixel = (((place.Frame * Shape.Height) + line) * Shape.Width) + across;
            hidden |= clip.Objects[pixel] > 0;
            shown += clip.Rgb[3 * pixel] + clip.Rgb[(3 * pixel) + 1] + clip.Rgb[(3 * pixel) + 2];
            var (toX, toY) = (((2 * across) + 1.0) / Shape.Width - 1, 1 - (((2 * line) + 1.0) / Shape.Height));
            var ray = camera.Forward + (camera.Right * (toX * camera.HalfHeight)) + (camera.Up * (toY * camera.HalfHeight));
            azimuth += Math.Atan2(hand * ray.X, -ray.Z) / 4;
            elevation += Math.Asin(ray.Y / ray.Length) / 4;
            var point = camera.Eye + (ray * Math.Min(clip.Depth[pixel], 1e4));
            (x, z) = (x + (hand * point.X / 4), z + (point.Z / 4));
        }
        return (azimuth, elevation, x, z, hidden, shown);
    }

    /// <summary>Seen from a still camera that looks along -z, an object that spins turns around the world's upward axis.</summary>
    [Fact]
    public void PlacesKnowHowTheirObjectsAreTurned()
    {
        int[] frames = [0, 2, 6];
        var scene = SceneSampler.Draw(
            new Rng(9),
            new SceneOptions
            {
                Frames = Shape.Frames,
                Count = 1,
                Motion = Motion.Spin,
                Camera = CameraMove.Static,
                Shape = global::Sora.World.Shape.Pyramid,
                Split = Split.Any,
            }
        );
        var turns = Part(Map(scene), Camera + Cameras + Ways + World, Turns);
        var (shares, one, camera) = (
            Shares(Renderer.RenderSome(scene, Shape.Width, Shape.Height, frames).Objects, i => i > 0),
            scene.Objects[0],
            scene.Camera.At(0)
        );
        for (var at = 0; at < Grid.Places; at++)
        {
            var angle = one.Yaw + (one.SpinRate * frames[at / (Places * Places)] / 16);
            var hand = scene.Mirrored ? -1 : 1;
            double[] expected =
            [
                hand * Math.Cos(angle),
                -hand * Math.Sin(angle) * camera.Up.Z,
                -hand * Math.Sin(angle) * camera.Forward.Z,
                0,
                camera.Up.Y,
                camera.Forward.Y,
            ];
            for (var i = 0; i < Turns; i++)
                Assert.Equal(expected[i] * shares[at], turns[i][at] / TurnScale, 0.15);
        }
        Assert.Contains(shares, share => share > 0.5);
        Assert.True(Math.Abs(one.SpinRate) * frames[^1] / 16 > 0.3, "it hardly turns");
    }

    /// <summary>A scene with one of its objects left out shows what that one hides.</summary>
    [Fact]
    public void PlacesKnowWhatIsHiddenThere()
    {
        var hidden = 0.0;
        foreach (var (_, scene) in PromptSuite.Occlusion(6, Shape.Frames))
        {
            var map = Map(scene);
            byte[] Picture(params SceneObject[] objects) =>
                Renderer.RenderSome(scene with { Objects = objects, Relations = [] }, Shape.Width, Shape.Height, [0, 2, 6]).Objects;
            var whole = Picture([.. scene.Objects]);
            for (var i = 0; i < Objects; i++)
            {
                void Holds(int channel, double[] expected) =>
                    Assert.InRange(
                        Enumerable
                            .Range(0, Grid.Places)
                            .Average(at => Math.Abs((map[(channel * Grid.Places) + at] / ObjectScale) - expected[at])),
                        0,
                        0.02
                    );
                var alone = i < scene.Objects.Count ? Picture(scene.Objects[i]) : new byte[whole.Length];
                var covered = Shares(
                    [.. whole.Zip(alone, (seen, there) => (byte)(there > 0 && seen != i + 1 ? 1 : 0))],
                    value => value > 0
                );
                Holds(Seen + i, Shares(whole, seen => seen == i + 1));
                Holds(Seen + Objects + i, covered);
                hidden += covered.Sum();
            }
        }
        Assert.InRange(hidden, 1, 100);
    }

    /// <summary>Objects are named in the order of captions: "a small red ball …" is the first.</summary>
    [Fact]
    public void ObjectsAreNamedInTheOrderOfCaptions()
    {
        for (var seed = 0ul; seed < 20; seed++)
        {
            var scene = SceneSampler.Draw(new Rng(6, seed), new SceneOptions { Frames = Shape.Frames, Count = 2 });
            var names = new float[SceneMap.Objects * SceneMap.ObjectNumbers];
            SceneMap.Name(scene, names);
            Assert.Equal(1 + Shapes + Colours + Sizes + Motions, SceneMap.ObjectNumbers);
            var rows = names.Chunk(SceneMap.ObjectNumbers).ToArray();
            Assert.Equal([1, 1, 0], rows.Select(row => row[0]));
            Assert.All(rows[2], value => Assert.Equal(0, value));
            var words = Captions.Split(Captions.Canonical(scene)).ToList();
            for (var i = 0; i < 2; i++)
            {
                Assert.Equal(5, rows[i].Sum());
                var (shape, colour) = (
                    (global::Sora.World.Shape)Array.IndexOf(rows[i], 1f, 1, Shapes) - 1,
                    (Colour)(Array.IndexOf(rows[i], 1f, 1 + Shapes, Colours) - 1 - Shapes)
                );
                // The nouns of a caption, one after the other.
                var noun = words.IndexOf(colour.ToString().ToLowerInvariant());
                Assert.Equal(shape.ToString().ToLowerInvariant(), words[noun + 1]);
                words.RemoveRange(0, noun + 2);
            }
        }
    }

    private static double Square(double value) => value * value;

    /// <summary>Some channels of a map.</summary>
    private static float[][] Part(float[] map, int first, int count) =>
        [.. map.Skip(first * Grid.Places).Take(count * Grid.Places).Chunk(Grid.Places)];

    private static float[] Map(Scene scene)
    {
        var map = new float[SceneMap.Channels * Grid.Places];
        Assert.Equal(Camera + Cameras + Ways + World + Turns, SceneMap.Channels);
        SceneMap.Draw(scene, Shape, Grid, 16, map);
        return map;
    }

    /// <summary>The share of each place's pixels of which something is true.</summary>
    private static double[] Shares(byte[] objects, Func<byte, bool> wanted)
    {
        var shares = new double[Grid.Places];
        for (var pixel = 0; pixel < objects.Length; pixel++)
        {
            var (row, column) = Math.DivRem(pixel, Shape.Width);
            if (wanted(objects[pixel]))
                shares[(row / Patch * Places) + (column / Patch)] += 1.0 / (Patch * Patch);
        }
        return shares;
    }
}
