using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Models.Wan;

/// <summary>Encodes one stream of frames, however long, in bounded memory.</summary>
public sealed class VaeEncoder : IVaeStream
{
    private readonly CausalVae vae;
    private readonly IVaeNetwork network;
    private TiledStream? stream;
    private int chunk;

    internal VaeEncoder(CausalVae vae, IVaeNetwork network) => (this.vae, this.network) = (vae, network);

    /// <summary>
    /// Encodes the next frames, <c>[B, 3, F, H, W]</c> in [-1, 1]: first 1 + 4k
    /// of them, then any multiple of 4 (the VAE's time factor).
    /// </summary>
    /// <returns>The mean of their latents, <c>[B, z, t, h, w]</c>.</returns>
    /// <exception cref="ArgumentException">The number of frames is wrong.</exception>
    public Tensor Push(Tensor part)
    {
        using var scope = NewDisposeScope();
        return PushMoments(part).narrow(1, 0, vae.Config.ZDim).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>As <see cref="Push"/>, mean and log variance (not clamped): <c>[B, 2 z, t, h, w]</c>.</summary>
    internal Tensor PushMoments(Tensor frames)
    {
        var count = frames.shape[2];
        var fresh = stream is null;
        if ((fresh ? count - 1 : count) % vae.Config.TemporalFactor != 0 || count == 0)
            throw new ArgumentException(
                $"a chunk of {count} frames; the first takes 1 + {vae.Config.TemporalFactor}k, later ones {vae.Config.TemporalFactor}k"
            );
        using var scope = NewDisposeScope();
        var x = Patches.Fold(frames, vae.Config.PatchSize);
        stream ??= NewStream(frames);
        if (!fresh)
            return Next(x).MoveToOuterDisposeScope();

        var first = Next(x.narrow(2, 0, 1));
        return (count == 1 ? first : cat([first, Next(x.narrow(2, 1, count - 1))], 2)).MoveToOuterDisposeScope();
    }

    /// <summary>Frees what the layers remember.</summary>
    public void Dispose() => stream?.Dispose();

    private Tensor Next(Tensor x)
    {
        var trace = new Trace(vae.Observer, "encoder") { Suffix = $".chunk{chunk++}" };
        return stream!.Forward(x, (tile, memory) => network.Forward(tile, memory, trace));
    }

    private TiledStream NewStream(Tensor frames)
    {
        var (height, width, patch) = (frames.shape[3], frames.shape[4], vae.Config.PatchSize);
        if (vae.Tiling is not { } tiling || (height <= tiling.MinHeight && width <= tiling.MinWidth))
            return new TiledStream();
        // Sizes in pixels count folded pixels here, and real ones when decoding, as in diffusers.
        var ratio = vae.Config.SpatialFactor / patch;
        TileAxis Axis(long size, long tile, long stride) =>
            new(size / patch, tile, stride, size / patch / ratio, stride / ratio, tile / ratio - stride / ratio);
        return new TiledStream(Axis(height, tiling.MinHeight, tiling.StrideHeight), Axis(width, tiling.MinWidth, tiling.StrideWidth));
    }
}

/// <summary>Decodes one stream of latents, however long, in bounded memory.</summary>
public sealed class VaeDecoder : IVaeStream
{
    private readonly CausalVae vae;
    private readonly IVaeNetwork network;
    private TiledStream? stream;
    private int chunk;

    internal VaeDecoder(CausalVae vae, IVaeNetwork network) => (this.vae, this.network) = (vae, network);

    /// <summary>Decodes the next latent frames, raw, <c>[B, z, t, h, w]</c>, any number of them.</summary>
    /// <returns>Their video frames, <c>[B, 3, F, H, W]</c> in [-1, 1]: 4 for each latent frame, 1 for the stream's first.</returns>
    public Tensor Push(Tensor part)
    {
        using var scope = NewDisposeScope();
        var fresh = stream is null;
        stream ??= NewStream(part);
        var frames = part.shape[2];
        var x = !fresh || frames == 1 ? Next(part) : cat([Next(part.narrow(2, 0, 1)), Next(part.narrow(2, 1, frames - 1))], 2);
        var video = Patches.Unfold(x, vae.Config.PatchSize);
        return (vae.Clamps ? video.clamp(-1, 1) : video).MoveToOuterDisposeScope();
    }

    /// <summary>Frees what the layers remember.</summary>
    public void Dispose() => stream?.Dispose();

    private Tensor Next(Tensor x)
    {
        var trace = new Trace(vae.Observer, "decoder") { Suffix = $".chunk{chunk++}" };
        return stream!.Forward(x, (tile, memory) => network.Forward(tile, memory, trace));
    }

    private TiledStream NewStream(Tensor latents)
    {
        var (factor, patch) = (vae.Config.SpatialFactor, vae.Config.PatchSize);
        if (vae.Tiling is not { } tiling)
            return new TiledStream();
        TileAxis Axis(long size, long tile, long stride) =>
            new(size, tile / factor, stride / factor, size * factor / patch, stride / patch, tile / patch - stride / patch);
        var rows = Axis(latents.shape[3], tiling.MinHeight, tiling.StrideHeight);
        var columns = Axis(latents.shape[4], tiling.MinWidth, tiling.StrideWidth);
        return rows.Size <= rows.Tile && columns.Size <= columns.Tile ? new TiledStream() : new TiledStream(rows, columns);
    }
}

/// <summary>Squares of pixels to channels and back; channel = (c p + dx) p + dy: the column offset is the slower one.</summary>
internal static class Patches
{
    public static Tensor Fold(Tensor x, long patch)
    {
        if (patch == 1)
            return x;
        var (batch, channels, frames, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3], x.shape[4]);
        if (height % patch != 0 || width % patch != 0)
            throw new ArgumentException($"{width}x{height} pixels don't divide into patches of {patch}");
        using var scope = NewDisposeScope();
        return x.reshape(batch, channels, frames, height / patch, patch, width / patch, patch) // [B, C, T, h, dy, w, dx]
            .permute(0, 1, 6, 4, 2, 3, 5) // [B, C, dx, dy, T, h, w]
            .reshape(batch, channels * patch * patch, frames, height / patch, width / patch) // [B, C p p, T, h, w]
            .MoveToOuterDisposeScope();
    }

    public static Tensor Unfold(Tensor x, long patch)
    {
        if (patch == 1)
            return x;
        var (batch, channels, frames, height, width) = (x.shape[0], x.shape[1] / (patch * patch), x.shape[2], x.shape[3], x.shape[4]);
        using var scope = NewDisposeScope();
        return x.view(batch, channels, patch, patch, frames, height, width) // [B, C, dx, dy, T, h, w]
            .permute(0, 1, 4, 5, 3, 6, 2) // [B, C, T, h, dy, w, dx]
            .reshape(batch, channels, frames, height * patch, width * patch) // [B, C, T, H, W]
            .MoveToOuterDisposeScope();
    }
}
