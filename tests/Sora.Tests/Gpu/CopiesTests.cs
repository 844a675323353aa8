using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Text;
using Sora.Nn;
using Sora.Pipelines;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Gpu;

/// <summary>
/// Steps of the sampler with libtorch set to refuse whatever waits for the GPU: reading a value back to the host, or asking
/// how large a result is.
/// </summary>
[Trait("Category", "Gpu")]
public class CopiesTests
{
    [GpuTheory]
    [InlineData("wan21-t2v", ConditioningMode.Renoise)]
    [InlineData("wan22-ti2v", ConditioningMode.TokenTimesteps)]
    [InlineData("wan21-i2v", ConditioningMode.MaskChannels)]
    [InlineData("wan21-flf2v", ConditioningMode.MaskChannels)]
    [InlineData("wan22-a14b-i2v", ConditioningMode.MaskChannels)]
    [InlineData("wan21-vace", ConditioningMode.Control)]
    public void AStepReadsNothingBack(string name, ConditioningMode mode)
    {
        var model = Opened.Wan(Golden.Path("models", name));
        Assert.Equal(mode, model.Mode);
        var settings = ModelDefaults.Of(model).Settings with { Width = 64, Height = 64, Frames = 9, Guidance = 5, Steps = 4 };
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var (transformer, shape) = (model.Transformer, model.LatentShape(settings));
        TorchSharp.torch.Tensor Drawn(params long[] sizes) => randn(sizes, float32, Cuda.First);
        var place = Drawn([1, 1, .. shape[2..]]);
        var inputs = new Dictionary<string, TorchSharp.torch.Tensor>();
        if (mode == ConditioningMode.MaskChannels)
            inputs["channels"] = Drawn([1, transformer.InChannels - transformer.OutChannels, .. shape[2..]]);
        if (mode == ConditioningMode.Control)
            inputs["control"] = Drawn([1, transformer.VaceInChannels, .. shape[2..]]);
        if (transformer.ImageDim is { } width)
            inputs["image"] = Drawn(model.PicturesSeen, transformer.PosEmbedSeqLen / 2 ?? 257, width);
        var encoded = new EncodedConditioning(mode, (transformer.PatchSize.Rows, transformer.PatchSize.Columns))
        {
            Known = Drawn(shape),
            Mask = place,
            Hints = place,
            Noise = Drawn(shape),
            Inputs = inputs,
            ControlScale = transformer.VaceLayers?.Select(_ => 1.0).ToArray(),
        };
        var text = new PromptEmbeds(Drawn(1, 7, transformer.TextDim), Drawn(1, 3, transformer.TextDim), settings.TextLength);
        using var denoising = new DenoisingModel(model, new Precision(Cuda.First, float32), CancellationToken.None);
        var denoiser = denoising.Denoiser(settings, encoded, text);
        foreach (var sampler in SchedulerConfig.Samplers)
        {
            var chosen = settings with { Sampler = sampler };
            var config = new SchedulerConfig();
            var run = new SamplerRun(chosen.MakeSchedule(config), chosen.ChooseSampler(config).Step, denoiser, _ => Drawn(shape));
            var start = new SamplerState(0, Drawn(shape));
            // Weights are copied to the device in the first run.
            run.Run(start, int.MaxValue);
            Cuda.WithoutWaiting(() => run.Run(start, int.MaxValue));
        }
    }

    /// <summary>The test above can fail.</summary>
    [GpuFact]
    public void WaitingIsRefused()
    {
        using var scope = NewDisposeScope();
        var x = randn([4], float32, Cuda.First);
        Cuda.WithoutWaiting(() => Assert.ThrowsAny<Exception>(() => x.sum().item<float>()));
        Cuda.WithoutWaiting(() => Assert.ThrowsAny<Exception>(() => x.cpu()));
    }
}
