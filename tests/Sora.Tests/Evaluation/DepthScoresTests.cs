using System.Text.Json.Nodes;
using Sora.Eval;
using Sora.Media;
using Sora.Models;
using Sora.Models.Depth;
using Sora.Tensors;
using Sora.Training;
using Sora.World;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Evaluation;

public class DepthScoresTests
{
    private const int Side = 128,
        Frames = 9;

    /// <summary>The exact depths of a scene agree wherever its camera goes; a tenth more in every other frame doesn't.</summary>
    [Theory]
    [InlineData(CameraMove.PanLeft)]
    [InlineData(CameraMove.TiltUp)]
    [InlineData(CameraMove.ZoomIn)]
    [InlineData(CameraMove.OrbitRight)]
    public void ExactDepthsAreAligned(CameraMove move)
    {
        var scene = SceneSampler.Draw(new Rng(3), new SceneOptions { Frames = Frames, Camera = move });
        var clip = Renderer.Render(scene, 64, 64, Frames);
        float[] inverse = [.. clip.Depth.Select(depth => 1 / depth)];
        Assert.InRange(DepthAlignment.Of(scene, clip, inverse), 0, 1e-4);
        float[] flickering = [.. inverse.Select((value, i) => i / (64 * 64) % 2 == 0 ? value : value / 1.1f)];
        Assert.InRange(DepthAlignment.Of(scene, clip, flickering), 0.08, 0.11);
    }

    [Fact]
    public void CellsHoldTheMeanInverseDepthOfTheirPixelsAndFrames()
    {
        // Inverse depth is the number of the frame: 0, then 1 to 4, 5 to 8.
        var clip = new RenderedClip(32, 32, Frames, [], new float[32 * 32 * Frames], []);
        for (var i = 0; i < clip.Depth.Length; i++)
            clip.Depth[i] = 1f / (i / (32 * 32));
        var cells = DepthScores.Cells(clip, new LatentGeometry(96, 4, 16));
        // Middles of the groups: 0, 2.5 and 6.5; in between it is linear.
        for (var frame = 0; frame < Frames; frame++)
        {
            var wanted = frame <= 2.5 ? frame : Math.Min(frame, 6.5);
            Assert.Equal(wanted, cells[frame * 32 * 32 + 100], 4);
        }
    }

    [Fact]
    public void APartKeepsTheNumbersOfTheOthers()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, """{ "ground": 1, "depth_absrel": 7 }""");
            var report = new Report();
            report.Value("depth_absrel", 0.05);
            report.Save(path, keepOthers: true);
            Assert.Equal("""{"ground":1,"depth_absrel":0.05}""", JsonNode.Parse(File.ReadAllText(path))!.ToJsonString());
            report.Save(path);
            Assert.Equal("""{"depth_absrel":0.05}""", JsonNode.Parse(File.ReadAllText(path))!.ToJsonString());
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Two clips that training can't show, in the bounds that are aimed at for all of them.</summary>
    [Fact]
    public void TheBuiltInHeadMeasuresHeldOutClips()
    {
        using var noGradients = no_grad();
        var model = VideoModel.Open(null);
        using var head = LatentDepthHead.Open(model);
        using var codec = FrameCodec.Open(model, CPU);
        Assert.NotNull(head);
        for (ulong seed = 0; seed < 2; seed++)
        {
            using var scope = NewDisposeScope();
            var scene = SceneSampler.Draw(new Rng(seed), new SceneOptions { Frames = Frames, Split = Split.HeldOut });
            var clip = Renderer.Render(scene, Side, Side, Frames);
            var pictures = clip.Rgb.Chunk(Side * Side * Image.Channels).Select(rgb => new Image(Side, Side, rgb));
            var latents = TensorIO.ToTensor(codec.Encode(pictures, CancellationToken.None).Latents);
            var maps = head.Measure(model.Normalise(latents)).ToList();
            Assert.Equal(Frames, maps.Count);
            var accuracy = DepthAccuracy.Of(maps.SelectMany(map => map.Values).ToArray(), clip.Depth);
            Assert.InRange(accuracy.AbsRel, 0, 0.08);
            Assert.InRange(accuracy.Delta1, 0.95, 1);
        }
    }
}
