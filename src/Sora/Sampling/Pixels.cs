using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>Pictures as the VAE takes them.</summary>
internal static class Pixels
{
    /// <summary>Pictures of one size to [1, 3, F, H, W] in [-1, 1].</summary>
    public static Tensor ToTensor(IReadOnlyList<Image> pictures, Device device)
    {
        using var scope = NewDisposeScope();
        var (width, height) = (pictures[0].Width, pictures[0].Height);
        var frames = pictures.Select(picture => tensor(picture.Pixels, [1, height, width, Image.Channels]));
        return cat([.. frames]).permute(3, 0, 1, 2).unsqueeze(0).to(float32).to(device).div(127.5).sub(1).MoveToOuterDisposeScope();
    }
}
