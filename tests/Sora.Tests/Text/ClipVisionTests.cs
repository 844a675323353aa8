using Sora.Media;
using Sora.Models;
using Sora.Tests.Models;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Text;

public class ClipVisionTests
{
    [Theory]
    [MemberData(nameof(GoldenTensors.Names), new object[] { new[] { "clip-" } }, MemberType = typeof(GoldenTensors))]
    public void ImageToPenultimateState(string name)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"wan/{name}");
        using var weights = Weights.Open(Path.Combine(golden.Model, "image_encoder"));
        var seen = new HashSet<string>();
        var clip = new ClipVision(ClipVisionConfig.Read(Path.Combine(golden.Model, "image_encoder", "config.json")), weights)
        {
            Observer = (part, value) =>
            {
                if (golden.Outputs.Contains(part) && seen.Add(part)) golden.Check(part, value);
            },
        };

        var shape = golden.InShape("image");
        var image = new Image((int)shape[1], (int)shape[0], golden.File.Copy("in.image").Data);
        var processor = ClipPixels.Read(Path.Combine(golden.Model, "image_processor", "preprocessor_config.json"));
        var (width, height) = processor.ResizedTo(image.Width, image.Height);
        var resized = Resample.Bicubic(image, width, height);
        var pixels = processor.Normalise(resized.Pixels, width, height);
        golden.Check("pixel_values", pixels);
        golden.Check("hidden", clip.Forward(pixels));
        // The trace of one case has every part but the last layer, which is not run.
        if (golden.Params.GetProperty("trace").GetBoolean()) Assert.Equal(6, seen.Count);
    }
}
