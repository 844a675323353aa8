using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Pipelines;
using Sora.Tensors;

namespace Sora.Tests.Sampling;

/// <summary>Runs in one line, as most tests need them.</summary>
internal static class GenerationHelpers
{
    public static Clip Generate(
        this VideoPipeline pipeline,
        SamplingSettings settings,
        Conditioning? known = null,
        HostTensor? noise = null,
        RunOptions? options = null
    )
    {
        var request = new GenerationRequest(settings)
        {
            Conditioning = known ?? Conditioning.Nothing,
            Noise = noise,
            Run = options ?? new(),
        };
        return new VideoGenerator(pipeline).Generate(request);
    }

    public static Clip Resume(this VideoPipeline pipeline, Clip clip, RunOptions? options = null) =>
        new VideoGenerator(pipeline).Resume(clip, options);
}
