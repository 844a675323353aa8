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

    // Outline in 4 x 4 fourths, 6 shapes, 10 colours, 3 sizes, 14 motions, 9 camera moves.
    private const int Outline = 16, Shapes = 6, Colours = 10, Sizes = 3, Motions = 14, Cameras = 9;

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
        Assert.Equal(Outline + Shapes + Colours + Sizes + Motions + Cameras, SceneMap.Channels);
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
