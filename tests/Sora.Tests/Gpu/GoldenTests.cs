using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Depth;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tests.Models;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Gpu;

/// <summary>References of transformer, VAE and depth, computed on the device.</summary>
[Trait("Category", "Gpu")]
public class GoldenTests
{
    public static TheoryData<string> Transformers => WanTransformerTests.Cases;

    public static TheoryData<string> Decodes => CausalVaeTests.Decodes;

    /// <summary>float32 without TF32: rounding in another order; bfloat16: as near as eight bits allow.</summary>
    [GpuTheory]
    [MemberData(nameof(Transformers))]
    public void ForwardEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        foreach (var (type, tolerance) in new[] { (float32, 1e-4), (bfloat16, 0.03) })
        {
            using var scope = NewDisposeScope();
            var folder = Path.Combine(
                golden.Model,
                golden.Params.TryGetProperty("component", out var part) ? part.GetString()! : "transformer"
            );
            using var weights = Checkpoint.Load(folder, new WeightsOptions { Device = Cuda.First, DType = type });
            using var transformer = new WanTransformer(WanTransformerConfig.Read(Path.Combine(folder, "config.json")), weights);
            var sample = transformer.Forward(OnDevice(WanTransformerTests.Input(golden)));
            Assert.Equal(DeviceType.CUDA, sample.device_type);
            Assert.InRange(GoldenTensors.Distance(sample, golden.Output("sample")), 0, tolerance);
        }
    }

    /// <summary>cuDNN's convolutions take TF32, which has ten bits.</summary>
    [GpuTheory]
    [MemberData(nameof(Decodes))]
    public void DecodeEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        var folder = Path.Combine(golden.Model, "vae");
        using var weights = Checkpoint.Load(folder, new WeightsOptions { Device = Cuda.First, DType = float32 });
        var vae = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(folder, "config.json")), weights)
        {
            Tiling = CausalVaeTests.Tiling(golden),
        };
        Assert.InRange(GoldenTensors.Distance(vae.Decode(golden.Input("latents").to(Cuda.First)), golden.Output("video")), 0, 2e-3);
    }

    /// <summary>TF32 again, in the neck and the head.</summary>
    [GpuTheory]
    [MemberData(nameof(DepthEstimatorTests.Cases), MemberType = typeof(DepthEstimatorTests))]
    public void DepthEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("depth/" + name);
        using var estimator = DepthEstimator.Open(golden.Model, Cuda.First);
        var depth = estimator.Estimate(DepthEstimatorTests.ImageOf(golden));
        Assert.InRange(GoldenCase.RelativeError(depth.Values, golden.Out("depth")), 0, 2e-3);
    }

    private static TransformerInput OnDevice(TransformerInput input) =>
        input with
        {
            HiddenStates = input.HiddenStates.to(Cuda.First),
            Timestep = input.Timestep.to(Cuda.First),
            TimestepIndex = input.TimestepIndex?.to(Cuda.First),
            Text = input.Text?.to(Cuda.First),
            Image = input.Image?.to(Cuda.First),
            Control = input.Control?.to(Cuda.First),
        };
}
