using Sora.Clips;
using Sora.Models;

namespace Sora.Cli;

/// <summary>Which model a clip belongs to.</summary>
internal static class ClipModel
{
    /// <summary>The model whose VAE the clip's latents belong to; only configs and headers are read.</summary>
    /// <exception cref="SoraException">The clip's latents are from a different VAE.</exception>
    public static VideoModel Of(Clip clip, string? given, PartPaths? parts = null)
    {
        var model = VideoModel.Open(given ?? clip.Info.Model, parts);
        var channels = clip.VisibleLatents.Shape[1];
        if (channels != model.Geometry.Channels || (clip.Info.Vae is { } vae && vae != model.VaeFingerprint()))
        {
            throw SoraException.Failed(
                $"{clip.Origin}: its latents are from a different VAE than that of {model.Name}"
                    + (
                        channels != model.Geometry.Channels
                            ? $": {channels} channels, not {model.Geometry.Channels}"
                            : $" (fingerprint {clip.Info.Vae})"
                    ),
                clip.Info.Model is { } maker && maker != model.Reference
                    ? $"it was made with --model {maker}"
                    : "pass the model that made it with --model"
            );
        }
        return model;
    }
}
