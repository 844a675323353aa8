using Sora.Models;
using Sora.Sampling;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Sampling;

/// <summary>
/// Steps of the sampler on the meta device, whose tensors have no values: whatever reads one back to the host, asks how
/// large a result is, or mixes in a tensor of the CPU, throws. On a GPU each of these waits for all that was begun.
/// </summary>
public class DeviceTests
{
    [Theory]
    [InlineData("wan21-t2v", Family.Renoise)]
    [InlineData("wan22-ti2v", Family.TokenTimesteps)]
    [InlineData("wan21-i2v", Family.MaskChannels)]
    [InlineData("wan21-flf2v", Family.MaskChannels)]
    [InlineData("wan22-a14b-i2v", Family.MaskChannels)]
    [InlineData("wan21-vace", Family.Control)]
    public void A_step_reads_nothing_back(string name, Family family)
    {
        var model = ModelFolder.Open(Golden.Path("models", name));
        Assert.Equal(family, GuideBuilder.FamilyOf(model));
        var settings = ModelDefaults.Of(model).Settings with { Width = 64, Height = 64, Frames = 9, Guidance = 5, Steps = 4 };
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var (transformer, shape) = (model.Transformer, settings.LatentShape(model.Vae));
        Tensor Meta(params long[] sizes) => empty(sizes, float32, META);
        var place = Meta([1, 1, .. shape[2..]]);
        var guide = new Guide(family, (transformer.PatchSize.Rows, transformer.PatchSize.Columns))
        {
            Known = Meta(shape),
            Mask = place,
            Hints = place,
            Noise = Meta(shape),
            Channels = family == Family.MaskChannels ? Meta([1, transformer.InChannels - transformer.OutChannels, .. shape[2..]]) : null,
            Image = transformer.ImageDim is { } width ? Meta(transformer.PosEmbedSeqLen is { } length ? 2 : 1, transformer.PosEmbedSeqLen / 2 ?? 257, width) : null,
            Control = family == Family.Control ? Meta([1, transformer.VaceInChannels, .. shape[2..]]) : null,
            ControlScale = transformer.VaceLayers?.Select(_ => 1.0).ToArray(),
        };
        var text = new Sora.Sampling.TextRows(Meta(1, 7, transformer.TextDim), Meta(1, 3, transformer.TextDim), settings.TextLength);
        using var experts = new Experts(model, new Precision(META, float32), CancellationToken.None);
        var denoiser = experts.Denoiser(settings, guide, text);
        foreach (var sampler in SchedulerConfig.Samplers)
        {
            var chosen = settings with { Sampler = sampler };
            var config = new SchedulerConfig();
            var run = new SamplerRun(chosen.MakeSchedule(config), chosen.ChooseSampler(config).Step, denoiser, _ => Meta(shape));
            var end = run.Run(new SamplerState(0, Meta(shape)), int.MaxValue);
            Assert.True(guide.Finish(end.Latents).is_meta);
        }
    }

    /// <summary>The test above can fail.</summary>
    [Fact]
    public void Meta_tensors_refuse_what_a_step_must_not_do()
    {
        using var scope = NewDisposeScope();
        var x = empty([4], float32, META);
        Assert.ThrowsAny<Exception>(() => x.sum().item<float>());
        Assert.ThrowsAny<Exception>(() => x.cpu());
        Assert.ThrowsAny<Exception>(() => x.unique());
        Assert.ThrowsAny<Exception>(() => x + zeros(4));
    }
}
