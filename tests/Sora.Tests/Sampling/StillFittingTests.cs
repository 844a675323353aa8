using Sora.Conditions;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines.Blending;
using Sora.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>Frames of a clip fitted to pictures, in the built-in model's VAE.</summary>
public class StillFittingTests
{
    [Fact]
    public void InStripsAFrameIsFittedAsItIsAsAWhole()
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        using var codec = FrameCodec.Open(VideoModel.Open(null), CPU);
        var latents = TensorIO.ToTensor(codec.Encode(Enumerable.Repeat(Waves(0.01), 9), CancellationToken.None).Latents);
        Still[] stills = [new Still(6, Waves(0.013), Fit.Stretch)];
        var whole = new StillFitting(codec, CancellationToken.None).Fit(latents, stills);
        var strips = new StillFitting(codec, CancellationToken.None) { StripPixels = 1 }.Fit(latents, stills);
        Assert.Equal(
            latents.narrow(2, 0, 2).contiguous().data<float>().ToArray(),
            whole.narrow(2, 0, 2).contiguous().data<float>().ToArray()
        );
        var change = (whole - latents).abs().max().ToDouble();
        Assert.True(change > 0.1);
        Assert.InRange((strips - whole).abs().max().ToDouble(), 0, change / 100);
    }

    private static Image Waves(double pitch) =>
        new(32, 192, [.. Enumerable.Range(0, 32 * 192 * 3).Select(i => (byte)(128 + 90 * Math.Sin(i * pitch)))]);
}
