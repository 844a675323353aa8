using Sora.Models.Wan;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>
/// Latents of clips with noise; if the network generates a scene, its channels follow theirs, with noise of their own level.
/// </summary>
/// <param name="State">x = (1 - sigma) x0 + sigma noise, <c>[B, C, T, h, w]</c>.</param>
/// <param name="Hidden">The same as the network sees it: followed by the scene's noise level.</param>
/// <param name="Level">The noise level sigma of each number, of a shape that expands to the state's.</param>
/// <param name="Velocity">noise - x0, <c>[B, C, T, h, w]</c>.</param>
internal readonly record struct NoisedClips(Tensor State, Tensor Hidden, Tensor Level, Tensor Velocity)
{
    /// <summary>Adds noise to latents and, if it has more channels than they do, to the scene.</summary>
    /// <param name="clean">Normalised latents, <c>[B, C, T, h, w]</c>.</param>
    /// <param name="scene">What the clips show, <c>[B, S, T, h, w]</c>; null: unknown.</param>
    /// <param name="noise"><c>[B, C + S, T, h, w]</c>.</param>
    /// <param name="level">Noise level of the latents, of a shape that expands to theirs.</param>
    /// <param name="sceneLevel">Noise level of the scene, <c>[B, 1, 1, 1, 1]</c>.</param>
    public static NoisedClips Of(Tensor clean, Tensor? scene, Tensor noise, Tensor level, Tensor sceneLevel)
    {
        var (shape, video) = (noise.shape, clean.shape[1]);
        var scenes = shape[1] - video;
        if (scenes > 0)
        {
            clean = cat([clean, scene ?? zeros_like(noise.narrow(1, video, scenes))], 1);
            Tensor Spread(Tensor value, long channels) => value.expand([shape[0], channels, .. shape[2..]]);
            level = cat([Spread(level, video), Spread(sceneLevel, scenes)], 1);
        }
        var velocity = noise - clean;
        var state = clean + (level * velocity);
        return new(state, scenes > 0 ? TransformerInput.OfScene(state, sceneLevel) : state, level, velocity);
    }
}
