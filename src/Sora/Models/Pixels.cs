using Sora.Media;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>Pictures as the VAE takes and gives them.</summary>
public static class Pixels
{
    /// <summary>Pictures of one size to <c>[1, 3, F, H, W]</c> in [-1, 1]: v / 127.5 - 1.</summary>
    public static Tensor ToTensor(IReadOnlyList<Image> pictures, Device device)
    {
        using var scope = NewDisposeScope();
        var (width, height) = (pictures[0].Width, pictures[0].Height);
        var frames = pictures.Select(picture => tensor(picture.Pixels, [1, height, width, Image.Channels]));
        return cat([.. frames]).permute(3, 0, 1, 2).unsqueeze(0).to(float32).to(device).div(127.5).sub(1).MoveToOuterDisposeScope();
    }

    /// <summary>The pictures of <c>[1, 3, F, H, W]</c>: 255 (v / 2 + 0.5), held between 0 and 255, halves to even.</summary>
    public static Image[] ToImages(Tensor video)
    {
        using var scope = NewDisposeScope();
        var (frames, height, width) = ((int)video.shape[2], (int)video.shape[3], (int)video.shape[4]);
        var bytes = video
            .detach()
            .to(float32)
            .div(2)
            .add(0.5)
            .clamp(0, 1)
            .mul(255)
            .round()
            .to(uint8)
            .squeeze(0)
            .permute(1, 2, 3, 0)
            .contiguous()
            .cpu()
            .bytes.ToArray(); // [F, H, W, 3]
        return [.. bytes.Chunk(height * width * Image.Channels).Select(pixels => new Image(width, height, pixels))];
    }
}
