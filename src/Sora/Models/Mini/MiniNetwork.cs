using Sora.Diffusion;
using Sora.Models.Wan;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Mini;

/// <summary>Wan's transformer with the scene's noise level as input and a preconditioned output.</summary>
internal sealed class MiniNetwork(MiniModel model, int expert, Precision precision, CancellationToken cancel)
    : WanNetwork(model, expert, precision, cancel)
{
    /// <inheritdoc/>
    protected override TransformerInput Input(Tensor state, NoiseLevel level)
    {
        var input = base.Input(state, level);
        if (model.AuxiliaryChannels == 0)
            return input;
        var sigma = full([1, 1, 1, 1, 1], level.AuxiliarySigma, device: state.device);
        return input with { HiddenStates = TransformerInput.OfScene(cat([input.HiddenStates, Conditioning!.Auxiliary(state)], 1), sigma) };
    }

    /// <inheritdoc/>
    protected override Tensor Velocity(Tensor output, TransformerInput input, NoiseLevel level)
    {
        if (model.Preconditioning is not { } preconditioning)
            return output;
        Tensor Of(long channels, float sigma) => full([1, channels, 1, 1, 1], sigma, device: output.device);
        var (all, scene) = (output.shape[1], model.AuxiliaryChannels);
        var sigma = scene == 0 ? Of(1, level.Sigma) : cat([Of(all - scene, level.Sigma), Of(scene, level.AuxiliarySigma)], 1);
        return preconditioning.Velocity(output, input.HiddenStates.narrow(1, 0, all), sigma);
    }
}
