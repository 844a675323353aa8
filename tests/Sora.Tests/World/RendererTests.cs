using Sora.World;
using Xunit;

namespace Sora.Tests.World;

/// <summary>Depth and masks against an independent intersection in double precision; invariants of the picture.</summary>
public class RendererTests
{
    private const int Size = 48;

    private static IEnumerable<Scene> Scenes(int count, int frames = 3) =>
        Enumerable
            .Range(0, count)
            .Select(i =>
                SceneSampler.Draw(
                    new Rng(9, (ulong)i),
                    new SceneOptions
                    {
                        Frames = frames,
                        Shape = (Shape)(i % 6),
                        Split = Split.Any,
                    }
                )
            );

    [Theory]
    [InlineData(48, 32)]
    [InlineData(37, 64)]
    public void TheDepthAloneIsThatOfThePicture(int width, int height)
    {
        var scene = SceneSampler.Draw(new Rng(4), new SceneOptions { Frames = 5, Aspect = width / (double)height });
        var depth = new float[width * height * 5];
        Renderer.Measure(scene, width, height, SceneOptions.DefaultFps, depth);
        Assert.Equal(Renderer.Render(scene, width, height, 5).Depth, depth);
    }

    [Fact]
    public void DepthAndMasksAreWhereTheSolidsAre()
    {
        var (same, other) = (0, 0);
        foreach (var scene in Scenes(12))
        {
            var clip = Renderer.Render(scene, Size, Size, 3);
            var poses = Simulation.Run(scene, 3, 16);
            var rng = new Rng(1);
            for (var i = 0; i < 40; i++)
            {
                var (frame, row, column) = (rng.Below(3), rng.Below(Size), rng.Below(Size));
                var at = (frame * Size + row) * Size + column;
                var (expected, depth) = Reference(scene, poses, frame, row, column);
                if (expected != clip.Objects[at])
                {
                    other++; // rays that only graze a solid
                    continue;
                }
                same++;
                if (double.IsInfinity(depth))
                    Assert.Equal(Renderer.SkyDepth, clip.Depth[at]);
                else
                    Assert.InRange(clip.Depth[at] / depth, 0.999, 1.001);
            }
        }
        Assert.InRange(other, 0, same / 200);
    }

    /// <summary>Through a point of a square picture, x and y in [-1, 1]; one unit forward.</summary>
    private static Point Ray(CameraPose camera, double x, double y) =>
        camera.Forward + camera.Right * (x * camera.HalfHeight) + camera.Up * (y * camera.HalfHeight);

    /// <summary>Walks along the ray until a point is inside a solid, then bisects.</summary>
    private static (int Number, double Depth) Reference(Scene scene, Simulation poses, int frame, int row, int column)
    {
        var camera = scene.Camera.At(frame / 16.0);
        var (x, y) = ((2 * column + 1.0) / Size - 1, 1 - (2 * row + 1.0) / Size);
        var ray = Ray(camera, x, y);
        var (number, depth) = ray.Y < 0 ? (0, -camera.Eye.Y / ray.Y) : (0, double.PositiveInfinity);
        for (var i = 0; i < scene.Objects.Count; i++)
        {
            var (solid, pose) = (scene.Objects[i].Solid, poses.At(frame, i));
            var middle = Point.Dot(pose.Position - camera.Eye, ray) / Point.Dot(ray, ray);
            for (var t = middle - 0.8; t < middle + 0.8; t += 0.0015)
            {
                if (t < 0.1 || !Inside(solid, pose, camera.Eye + ray * t))
                    continue;
                var (outside, inside) = (t - 0.0015, t);
                for (var k = 0; k < 30; k++)
                {
                    var half = (outside + inside) / 2;
                    if (Inside(solid, pose, camera.Eye + ray * half))
                        inside = half;
                    else
                        outside = half;
                }
                if (inside < depth)
                    (number, depth) = (i + 1, inside);
                break;
            }
        }
        return (number, depth);
    }

    private static bool Inside(Solid solid, Pose pose, Point point)
    {
        var o = point - pose.Position;
        var q = pose.Orientation;
        // The inverse rotation, v + 2 w (u × v) + 2 u × (u × v) with u negated, in double precision.
        var u = new Point(-q.X, -q.Y, -q.Z);
        var c = Point.Cross(u, o);
        var p = o + c * (2 * q.W) + Point.Cross(u, c) * 2;
        var across = Math.Sqrt(p.X * p.X + p.Z * p.Z);
        var (r, h) = (solid.Radius, solid.HalfHeight);
        var left = (h - p.Y) / (2 * h);
        return solid.Shape switch
        {
            Shape.Ball => p.Length < r,
            Shape.Cube => Math.Max(Math.Abs(p.X), Math.Max(Math.Abs(p.Y), Math.Abs(p.Z))) < r,
            Shape.Cylinder => across < r && Math.Abs(p.Y) < h,
            Shape.Cone => Math.Abs(p.Y) < h && across < r * left,
            Shape.Pyramid => Math.Abs(p.Y) < h && Math.Max(Math.Abs(p.X), Math.Abs(p.Z)) < r * left,
            _ => Math.Pow(Math.Sqrt(p.X * p.X + p.Y * p.Y) - r, 2) + p.Z * p.Z < solid.Tube * solid.Tube,
        };
    }

    [Fact]
    public void ThreadsDoNotChangeABit()
    {
        foreach (var scene in Scenes(3, 9))
        {
            var one = Renderer.Render(scene, 61, 37, 9);
            var three = RenderedClip.Allocate(61, 37, 9);
            Renderer.Render(scene, three, 16, 3);
            Assert.Equal(one.Rgb, three.Rgb);
            Assert.Equal(one.Depth, three.Depth);
            Assert.Equal(one.Objects, three.Objects);
        }
    }

    [Fact]
    public void TheMirroredSceneIsTheMirrorImage()
    {
        foreach (var scene in Scenes(14))
        {
            var clip = Renderer.Render(scene, Size, Size, 3);
            var mirrored = Renderer.Render(scene.Mirror(), Size, Size, 3);
            var (far, masks) = (0, 0);
            for (var line = 0; line < 3 * Size; line++)
            for (var column = 0; column < Size; column++)
            {
                var (a, b) = (line * Size + column, line * Size + Size - 1 - column);
                if (clip.Objects[a] != mirrored.Objects[b])
                    masks++;
                for (var channel = 0; channel < 3; channel++)
                    if (Math.Abs(clip.Rgb[3 * a + channel] - mirrored.Rgb[3 * b + channel]) > 3)
                        far++;
            }
            Assert.InRange(masks, 0, 2);
            Assert.InRange(far, 0, 60); // of 20,736: texture cells that rounding puts on the other side
        }
    }

    [Fact]
    public void ObjectsAreLargeEnoughAndMoveAsTheyShould()
    {
        foreach (var motion in new[] { Motion.RollLeft, Motion.RollRight, Motion.Bounce, Motion.Fall, Motion.Jump, Motion.RollToward })
            for (var i = 0; i < 3; i++)
            {
                var options = new SceneOptions
                {
                    Count = 1,
                    Shape = Shape.Ball,
                    Motion = motion,
                    Camera = CameraMove.Static,
                };
                var clip = Renderer.Render(SceneSampler.Draw(new Rng(3, (ulong)i), options), 64, 64, 9);
                var boxes = Enumerable.Range(0, 9).Select(frame => Box(clip, frame)).ToArray();
                Assert.InRange(boxes[0].Bottom - boxes[0].Top, 64 / 7, 36);
                var (dx, dy) = (boxes[8].X - boxes[0].X, boxes.Max(b => b.Y) - boxes.Min(b => b.Y));
                if (motion == Motion.RollLeft)
                    Assert.InRange(dx, -50, -0.15 * 64);
                if (motion == Motion.RollRight)
                    Assert.InRange(dx, 0.15 * 64, 50);
                if (motion is Motion.Bounce or Motion.Fall or Motion.Jump)
                    Assert.InRange(dy, 0.1 * 64, 64);
                if (motion == Motion.RollToward)
                    Assert.True(boxes[8].Area > 1.3 * boxes[0].Area);
            }
    }

    private static (double X, double Y, int Top, int Bottom, int Area) Box(RenderedClip clip, int frame)
    {
        double x = 0,
            y = 0;
        var (top, bottom, area) = (clip.Height, 0, 0);
        for (var row = 0; row < clip.Height; row++)
        for (var column = 0; column < clip.Width; column++)
        {
            if (clip.Objects[(frame * clip.Height + row) * clip.Width + column] == 0)
                continue;
            (x, y, area) = (x + column, y + row, area + 1);
            (top, bottom) = (Math.Min(top, row), Math.Max(bottom, row + 1));
        }
        return (x / area, y / area, top, bottom, area);
    }

    [Theory]
    [InlineData(CameraMove.PanLeft, 1, 0)]
    [InlineData(CameraMove.PanRight, -1, 0)]
    [InlineData(CameraMove.TiltUp, 0, 1)]
    [InlineData(CameraMove.TiltDown, 0, -1)]
    public void WhatStandsStillMovesAgainstTheCamera(CameraMove move, int right, int down)
    {
        var options = new SceneOptions
        {
            Count = 1,
            Motion = Motion.Still,
            Camera = move,
            Split = Split.Any,
        };
        for (var i = 0; i < 2; i++)
        {
            var clip = Renderer.Render(SceneSampler.Draw(new Rng(4, (ulong)i), options), 64, 64, 9);
            var (first, last) = (Box(clip, 0), Box(clip, 8));
            Assert.Equal(right, Math.Abs(last.X - first.X) < 4 ? 0 : Math.Sign(last.X - first.X));
            Assert.Equal(down, Math.Abs(last.Y - first.Y) < 4 ? 0 : Math.Sign(last.Y - first.Y));
        }
    }

    /// <summary>Mountains tell where a camera looks: in one direction two clips show the same, wherever in the picture.</summary>
    [Theory]
    [InlineData(CameraMove.OrbitLeft, Ground.Sand)]
    [InlineData(CameraMove.PanRight, Ground.Snow)]
    [InlineData(CameraMove.TiltUp, Ground.Checker)]
    public void MountainsAreWhereTheyAre(CameraMove move, Ground ground)
    {
        const int Side = 128;
        for (var i = 0; i < 2; i++)
        {
            var options = new SceneOptions
            {
                Frames = 33,
                Count = 1,
                Camera = move,
                Ground = ground,
                Sky = Sky.Sunset,
                Split = Split.Any,
            };
            var scene = SceneSampler.Draw(new Rng(6, (ulong)i), options);
            if (i == 1)
                scene = scene.Mirror();
            var clip = Renderer.RenderSome(scene, Side, Side, [0, 16, 32]);
            var (edges, missed) = (0, 0);
            for (var frame = 0; frame < 3; frame++)
            {
                var camera = scene.Camera.At(frame);
                for (var column = 2; column < Side; column += 5)
                {
                    // The highest row that shows mountains, by the middles of its pixels.
                    var top = Enumerable
                        .Range(0, Side)
                        .First(row => IsBelowMountains(scene, camera, ((2 * column) + 1.0) / Side - 1, 1 - (((2 * row) + 1.0) / Side)));
                    byte[] At(int row) => clip.Rgb.AsSpan(3 * ((((frame * Side) + row) * Side) + column), 3).ToArray();
                    int Change(int from, int to) => At(from).Zip(At(to), (a, b) => Math.Abs(a - b)).Sum();
                    if (
                        top < 8
                        || clip.Objects.Where(
                                (_, at) => at % Side == column && at / Side - (frame * Side) is var row && row >= top - 8 && row <= top + 3
                            )
                            .Any(n => n > 0)
                    )
                        continue;
                    // Skies change slowly: a change that is far larger than the one above it is an edge.
                    edges++;
                    if (Change(top - 3, top + 2) < 2 * Change(top - 8, top - 3))
                        missed++;
                }
            }
            Assert.InRange(edges, 20, 78);
            Assert.InRange(missed, 0, edges / 20);
        }
    }

    /// <summary>Dunes, planks, clouds and stars are in the same places in every scene; only the ground's fine grain differs.</summary>
    [Theory]
    [InlineData(Ground.Sand, Sky.Clear)]
    [InlineData(Ground.Grass, Sky.Overcast)]
    [InlineData(Ground.Snow, Sky.Night)]
    [InlineData(Ground.Wood, Sky.Dawn)]
    [InlineData(Ground.Stone, Sky.Sunset)]
    public void ScenesDifferInGrainOnly(Ground ground, Sky sky)
    {
        const int Side = 128,
            Block = 16;
        var options = new SceneOptions
        {
            Count = 1,
            Camera = CameraMove.Static,
            Ground = ground,
            Sky = sky,
            Split = Split.Any,
        };
        var scene = SceneSampler.Draw(new Rng(8), options);
        var (one, other) = (Shown(scene), Shown(scene with { TextureSeed = scene.TextureSeed + 1 }));
        Assert.Equal(one[..(Side * Block * 3)], other[..(Side * Block * 3)]);
        Assert.NotEqual(one, other);
        double Mean(byte[] rgb, int row, int column) =>
            Enumerable
                .Range(0, Block * Block * 3)
                .Average(i => (double)rgb[((((row * Block) + (i / (Block * 3))) * Side) + (column * Block)) * 3 + (i % (Block * 3))]);
        // The nearest ground, without the object, which is in the middle.
        var places = (
            from row in new[] { 6, 7 }
            from column in new[] { 0, 1, 6, 7 }
            select (First: Mean(one, row, column), Second: Mean(other, row, column))
        ).ToArray();
        Assert.InRange(places.Average(p => Math.Abs(p.First - p.Second)), 0, 0.25 * (places.Max(p => p.First) - places.Min(p => p.First)));

        byte[] Shown(Scene of) => Renderer.RenderSome(of, Side, Side, [0]).Rgb;
    }

    /// <summary>The outline of both ranges, from the tangent of the azimuth.</summary>
    private static bool IsBelowMountains(Scene scene, CameraPose camera, double x, double y)
    {
        var ray = Ray(camera, x, y);
        var along = (scene.Mirrored ? -ray.X : ray.X) / -ray.Z;
        double Wave(double at)
        {
            var part = at - Math.Floor(at);
            var up = 1 - Math.Abs((2 * part) - 1);
            return up * up * (3 - (2 * up));
        }
        var far = 0.015 + (0.125 * Wave((1.05 * along) + 0.25)) + (0.02 * Wave(3.7 * along));
        var near = (0.05 * Wave((2.2 * along) + 0.45)) - 0.01;
        return ray.Y / Math.Sqrt((ray.X * ray.X) + (ray.Z * ray.Z)) < Math.Max(far, near);
    }

    /// <summary>What spins looks different half a second later, even by night and in 16x16 tokens; what stands looks the same.</summary>
    [Theory]
    [InlineData(Colour.Red)]
    [InlineData(Colour.White)]
    [InlineData(Colour.Black)]
    public void TurningIsSeen(Colour colour)
    {
        const int Side = 128,
            Block = 16;
        foreach (var shape in Enum.GetValues<Shape>())
        {
            // Edges and faces of the others tell that they turn.
            Assert.InRange(Changed(shape, Motion.Spin), shape is Shape.Cube or Shape.Pyramid ? 5 : 16, 255);
            Assert.Equal(0, Changed(shape, Motion.Still));
        }

        // The mean change of what blocks show of it, in levels of 255.
        double Changed(Shape shape, Motion motion)
        {
            var total = 0.0;
            for (var i = 0; i < 8; i++)
            {
                var scene = SceneSampler.Draw(
                    new Rng(12, (ulong)i),
                    new SceneOptions
                    {
                        Frames = 33,
                        Count = 1,
                        Shape = shape,
                        Colour = colour,
                        Motion = motion,
                        Size = ObjectSize.Medium,
                        Camera = CameraMove.Static,
                        Ground = Ground.Wood,
                        Sky = Sky.Night,
                        Split = Split.Any,
                    }
                );
                var clip = Renderer.RenderSome(scene, Side, Side, [0, 8]);
                var change = new double[Side / Block * (Side / Block) * 3];
                var inside = 0;
                for (var at = 0; at < Side * Side; at++)
                {
                    if (clip.Objects[at] != 1 || clip.Objects[at + (Side * Side)] != 1)
                        continue;
                    inside++;
                    var block = (at / Side / Block * (Side / Block)) + (at % Side / Block);
                    for (var c = 0; c < 3; c++)
                        change[(block * 3) + c] += clip.Rgb[((at + (Side * Side)) * 3) + c] - clip.Rgb[(at * 3) + c];
                }
                total += change.Sum(Math.Abs) / (3 * inside);
            }
            return total / 8;
        }
    }

    [Fact]
    public void ZoomingInEnlarges()
    {
        var options = new SceneOptions
        {
            Count = 1,
            Shape = Shape.Ball,
            Motion = Motion.Still,
            Camera = CameraMove.ZoomIn,
        };
        var clip = Renderer.Render(SceneSampler.Draw(new Rng(5), options), 64, 64, 9);
        Assert.True(Box(clip, 8).Area > 1.6 * Box(clip, 0).Area);
    }

    [Fact]
    public void WhatPassesBehindIsHiddenAndComesOutAgain()
    {
        foreach (var prompt in PromptSuite.Occlusion(3))
        {
            var clip = Renderer.Render(prompt.Scene, 64, 64, 33);
            var areas = Enumerable.Range(0, 33).Select(frame => clip.Objects.Skip(frame * 4096).Take(4096).Count(n => n == 1)).ToArray();
            var alone = Renderer.RenderSome(prompt.Scene with { Objects = [prompt.Scene.Objects[0]] }, 64, 64, [0, 32]);
            for (var end = 0; end < 2; end++)
                Assert.InRange(areas[32 * end] / (double)alone.Objects.Skip(end * 4096).Take(4096).Count(n => n == 1), 0.97, 1);
            Assert.True(areas[0] > 40 && areas[32] > 40);
            Assert.True(areas.Min() < 0.35 * areas[0], $"{areas.Min()} of {areas[0]} pixels: {prompt.Prompt}");
        }
    }

    [Fact]
    public void WhatPassesBehindIsSeenAtAnAngle()
    {
        var scenes = Enumerable
            .Range(0, 120)
            .Select(i =>
                SceneSampler.Draw(
                    new Rng(31, (ulong)i),
                    new SceneOptions
                    {
                        Frames = 33,
                        Count = 2,
                        Interaction = Interaction.PassBehind,
                    }
                )
            )
            .ToArray();
        var passing = scenes.Select(scene => scene.Objects[0]).ToArray();
        // From the middle of its way, a face of a cube or a pyramid is turned away by a sixth of a right angle or more.
        var angular = passing.Where(o => o.Shape is Shape.Cube or Shape.Pyramid).ToArray();
        Assert.True(angular.Length >= 20);
        Assert.All(angular, o => Assert.InRange(Math.Abs(Math.Sin(2 * o.Yaw)), 0.5, 1));
        // What rolls shows its side beside its disc, and goes where it is turned to.
        var lying = passing.Where(o => o.Lying).ToArray();
        Assert.NotEmpty(lying);
        Assert.All(
            lying,
            o =>
            {
                Assert.InRange(Math.Abs(Math.Sin(o.Yaw)), 0.2, 0.5);
                Assert.True(Point.Dot(o.Velocity.Normalised, new Point(Math.Cos(o.Yaw), 0, -Math.Sin(o.Yaw))) > 0.999999);
            }
        );
    }

    [Fact]
    public void ObjectsReachAcrossAsFarAsTheirCorners()
    {
        var rng = new Rng(8);
        var scene = SceneSampler.Draw(rng, new SceneOptions { Count = 1, Motion = Motion.Still });
        foreach (var shape in Enum.GetValues<Shape>())
            for (var i = 0; i < 8; i++)
            {
                var yaw = rng.Uniform(-Math.PI, Math.PI);
                var one = scene.Objects[0] with
                {
                    Shape = shape,
                    Yaw = yaw,
                    Motion = shape == Shape.Cylinder && i % 2 == 0 ? Motion.RollLeft : Motion.Still,
                };
                var (solid, pose) = (one.Solid, Simulation.Run(scene with { Objects = [one] }, 1, 16).At(0, 0));
                var reach = 0.0;
                for (var sample = 0; sample < 60_000; sample++)
                {
                    var offset = new Point(rng.Uniform(-1, 1), rng.Uniform(-1, 1), rng.Uniform(-1, 1)) * solid.Bound;
                    if (Inside(solid, pose, pose.Position + offset))
                        reach = Math.Max(reach, Math.Abs(offset.X));
                }
                // A ring is taken as if it were seen from the front.
                Assert.InRange(reach / one.Across, shape == Shape.Ring ? 0 : 0.9, 1.0001);
            }
    }
}
