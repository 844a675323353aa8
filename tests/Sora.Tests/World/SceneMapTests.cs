using Sora.Training;
using Sora.World;
using Xunit;

namespace Sora.Tests.World;

/// <summary>The map that training reads from the middle of the network, against masks of the whole picture.</summary>
public class SceneMapTests
{
    private const int Patch = 16, Places = 8;
    private static readonly ClipShape Shape = new(Patch * Places, Patch * Places, 9);
    private static readonly LatentGrid Grid = new(3, Places, Places);

    // Outline in 4 x 4 fourths, 6 shapes, 10 colours, 3 sizes, 14 motions, 4 edges and a way of 2 numbers, 9 camera moves.
    private const int Outline = 16, Shapes = 6, Colours = 10, Sizes = 3, Motions = 14, Extents = 6, Cameras = 9;

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
                var (first, count, label) = attribute switch
                {
                    0 => (Outline, Shapes, (Func<SceneObject, int>)(o => (int)o.Shape)),
                    1 => (Outline + Shapes, Colours, o => (int)o.Colour),
                    2 => (Outline + Shapes + Colours, Sizes, o => (int)o.Size),
                    _ => (Outline + Shapes + Colours + Sizes, Motions, o => (int)o.Motion),
                };
                for (var value = 0; value < count; value++)
                {
                    var expected = Shares(whole, i => i > 0 && label(scene.Objects[i - 1]) == value);
                    var off = Enumerable.Range(0, Grid.Places).Average(at => Math.Abs(map[((first + value) * Grid.Places) + at] - expected[at]));
                    Assert.InRange(off, 0, 0.02);
                }
            }
            var objects = Shares(whole, i => i > 0);
            Assert.InRange(objects.Sum(), 1, 100);
            var outline = Enumerable.Range(0, Grid.Places).Select(at => Enumerable.Range(0, Outline).Sum(i => map[(i * Grid.Places) + at]) / 4).ToArray();
            Assert.InRange(objects.Zip(outline).Average(pair => Math.Abs(pair.First - pair.Second)), 0, 0.02);
        }
    }

    /// <summary>Edges, in places, are those of the mask, seen from each place that shows the object; the map has them in thirds.</summary>
    [Fact]
    public void PlacesKnowWhereTheirObjectsEndAndWhereTheyGo()
    {
        const double Pixel = 1.0 / Patch, Sample = 0.25;
        for (var seed = 0ul; seed < 6; seed++)
        {
            var scene = SceneSampler.Draw(new Rng(5, seed), new SceneOptions { Frames = Shape.Frames, Count = 1, Motion = (Motion)((int)Motion.SlideLeft + (int)(seed % 2)), Shape = global::Sora.World.Shape.Cube });
            var map = Map(scene);
            var whole = Renderer.RenderSome(scene, Shape.Width, Shape.Height, [0, 2, 6]).Objects.Chunk(Shape.Width * Shape.Height).ToArray();
            var edges = whole.Select(frame =>
            {
                var seen = Enumerable.Range(0, frame.Length).Where(pixel => frame[pixel] > 0).ToList();
                var (x, y) = (seen.Select(pixel => pixel % Shape.Width).ToList(), seen.Select(pixel => pixel / Shape.Width).ToList());
                return (double[])[x.Min() * Pixel, (x.Max() + 1) * Pixel, y.Min() * Pixel, (y.Max() + 1) * Pixel];
            }).ToArray();
            var shares = Shares([.. whole.SelectMany(frame => frame)], i => i > 0);
            for (var at = 0; at < Grid.Places; at++)
            {
                var (frame, row, column) = (at / (Places * Places), at / Places % Places, at % Places);
                var way = frame + 1 < Grid.Frames ? edges[frame + 1].Zip(edges[frame], (next, now) => next - now).ToArray() : new double[4];
                double[] expected =
                [
                    edges[frame][0] - column, edges[frame][1] - column, edges[frame][2] - row, edges[frame][3] - row, way[0] + way[1], way[2] + way[3],
                ];
                for (var i = 0; i < Extents; i++)
                {
                    var value = map[((Outline + Shapes + Colours + Sizes + Motions + i) * Grid.Places) + at];
                    // Both the share and the edges are known to a sample.
                    Assert.InRange(value - (expected[i] * shares[at] / 3), -Sample * (1 + Math.Abs(expected[i]) / 2) / 2, Sample * (1 + Math.Abs(expected[i]) / 2) / 2);
                }
            }
            Assert.Contains(shares, share => share > 0.5);
        }
    }

    [Fact]
    public void TheCamerasMoveIsEverywhere()
    {
        var scene = SceneSampler.Draw(new Rng(4), new SceneOptions { Frames = Shape.Frames, Camera = CameraMove.ZoomIn, Split = Split.Any });
        var moves = Map(scene)[^(Cameras * Grid.Places)..].Chunk(Grid.Places).ToArray();
        for (var move = 0; move < Cameras; move++) Assert.All(moves[move], value => Assert.Equal(move == (int)CameraMove.ZoomIn ? 1f / 3 : 0, value));
    }

    private static float[] Map(Scene scene)
    {
        var map = new float[SceneMap.Channels * Grid.Places];
        Assert.Equal(Outline + Shapes + Colours + Sizes + Motions + Extents + Cameras, SceneMap.Channels);
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
            if (wanted(objects[pixel])) shares[(row / Patch * Places) + (column / Patch)] += 1.0 / (Patch * Patch);
        }
        return shares;
    }
}
