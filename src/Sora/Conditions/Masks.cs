using static TorchSharp.torch;

namespace Sora.Conditions;

/// <summary>Questions about masks [1, 1, T, h, w] of ones and zeros.</summary>
internal static class Masks
{
    /// <summary>For each latent frame, whether all of it is 1.</summary>
    public static bool[] WhollyKnown(Tensor mask)
    {
        using var scope = NewDisposeScope();
        return [.. mask.amin([0, 1, 3, 4]).cpu().data<float>().ToArray().Select(value => value > 0.5)];
    }
}
