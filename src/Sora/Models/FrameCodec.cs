using Sora.Clips;
using Sora.Media;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>
/// Streams of frames to latents and back through a model's VAE. Frames pass in groups and only latents are kept, so
/// memory grows with the duration of a video only by its latents. Computes in float32, on a GPU if there is one.
/// </summary>
public sealed class FrameCodec : IDisposable
{
    private readonly VideoVae vae;

    private FrameCodec(VideoVae vae) => this.vae = vae;

    /// <summary>Where it computes by default.</summary>
    public static Device DefaultDevice => cuda.is_available() ? CUDA : CPU;

    /// <summary>Loads the VAE of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="device">Where it computes; null for <see cref="DefaultDevice"/>.</param>
    /// <exception cref="SoraException">Its weights are missing or broken.</exception>
    public static FrameCodec Open(VideoModel model, Device? device = null) => new(model.OpenVae(device ?? DefaultDevice));

    /// <summary>Where it computes.</summary>
    public Device Device => vae.Device;

    /// <summary>How frames map to latents.</summary>
    public LatentGeometry Geometry => vae.Geometry;

    /// <inheritdoc cref="VideoVae.DecodesGroups"/>
    public bool DecodesGroups => vae.DecodesGroups;

    /// <inheritdoc cref="VideoVae.Reach"/>
    public int Reach => vae.Reach;

    /// <summary>Encodes frames of one size, a multiple of the VAE's space factor, as they come.</summary>
    /// <param name="frames">At least one; those after the last whole group are left out.</param>
    /// <param name="cancel">Stops between groups.</param>
    /// <returns>The mean of the posterior, raw, float32 <c>[1, z, 1 + k, h, w]</c>, and the number of frames that came.</returns>
    public (HostTensor Latents, int FramesSeen) Encode(IEnumerable<Image> frames, CancellationToken cancel)
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        using var session = vae.NewEncoder();
        var parts = new List<Tensor>();
        var group = new List<Image>();
        var seen = 0;
        foreach (var frame in frames)
        {
            cancel.ThrowIfCancellationRequested();
            seen++;
            group.Add(frame);
            if (parts.Count == 0 ? group.Count == Geometry.FirstFrames : group.Count == vae.FramesPerPush(frame.Height, frame.Width))
                Push();
        }
        if (parts.Count == 0)
            throw SoraException.Failed($"{seen} frames, but the model's first latent frame is {Geometry.FirstFrames} of them");
        group.RemoveRange(group.Count / Geometry.TemporalFactor * Geometry.TemporalFactor, group.Count % Geometry.TemporalFactor);
        if (group.Count > 0)
            Push();
        return (TensorIO.ToHost(parts.Count == 1 ? parts[0] : cat([.. parts], 2), DType.F32), seen);

        void Push()
        {
            using var pixels = Pixels.ToTensor(group, Device);
            parts.Add(session.Push(pixels).cpu());
            group.Clear();
        }
    }

    /// <summary>Decodes latents frame by frame.</summary>
    /// <param name="latents"><c>[1, z, t, h, w]</c>.</param>
    /// <param name="space">Whether they are raw or normalised.</param>
    /// <param name="cancel">Stops between groups.</param>
    /// <returns>As many frames as <see cref="LatentGeometry.VideoFrames"/> says.</returns>
    public IEnumerable<Image> Decode(HostTensor latents, LatentSpace space, CancellationToken cancel)
    {
        using var session = vae.NewDecoder();
        var (frames, height, width) = (
            latents.Shape[2],
            latents.Shape[3] * Geometry.SpatialFactor,
            latents.Shape[4] * Geometry.SpatialFactor
        );
        using var all = TensorIO.ToTensor(latents);
        for (long first = 0, count = 1; first < frames; first += count)
        {
            cancel.ThrowIfCancellationRequested();
            count = first == 0 ? 1 : Math.Min(vae.FramesPerPush(height, width) / Geometry.TemporalFactor, frames - first);
            foreach (var frame in Push(all, first, count))
                yield return frame;
        }

        Image[] Push(Tensor from, long first, long count)
        {
            using var noGradients = no_grad();
            using var scope = NewDisposeScope();
            var part = from.narrow(2, first, count).to(float32).to(Device);
            return Pixels.ToImages(session.Push(space == LatentSpace.Raw ? part : vae.Denormalise(part)));
        }
    }

    /// <summary>The first frame of a stream, <c>[1, 3, 1, H, W]</c>.</summary>
    /// <param name="latent">Its latent frame, raw, <c>[1, z, 1, h, w]</c>.</param>
    public Tensor DecodeFirst(Tensor latent)
    {
        using var session = vae.NewDecoder();
        return session.Push(latent);
    }

    /// <summary>What one latent frame of a stream shows, <c>[1, 3, F, H, W]</c>, with gradients where they are enabled.</summary>
    /// <param name="before">The one before it, raw, <c>[1, z, 1, h, w]</c>.</param>
    /// <param name="latent">The latent frame.</param>
    /// <exception cref="InvalidOperationException">The VAE looks back further.</exception>
    public Tensor DecodeGroup(Tensor before, Tensor latent)
    {
        RequireGroups();
        using var session = vae.NewDecoder();
        session.Push(before).Dispose();
        return session.Push(latent);
    }

    /// <summary>What latent frames of a stream show, <c>[1, 3, F, H, W]</c> each, as they are taken; the caller disposes of them.</summary>
    /// <param name="latents">Raw, <c>[1, z, 1 + n, h, w]</c>: the one before them, then these.</param>
    /// <exception cref="InvalidOperationException">The VAE looks back further.</exception>
    public IEnumerable<Tensor> DecodeGroups(Tensor latents)
    {
        RequireGroups();
        using var session = vae.NewDecoder();
        session.Push(latents.narrow(2, 0, 1)).Dispose();
        for (var i = 1; i < latents.shape[2]; i++)
            yield return session.Push(latents.narrow(2, i, 1));
    }

    /// <summary>
    /// The latent frame of <see cref="LatentGeometry.TemporalFactor"/> frames
    /// <c>[1, 3, F, H, W]</c> of a stream, or of its first one, raw.
    /// </summary>
    /// <exception cref="InvalidOperationException">The VAE looks back.</exception>
    public Tensor EncodeGroup(Tensor frames)
    {
        RequireGroups();
        using var session = vae.NewEncoder();
        var first = session.Push(frames.narrow(2, 0, 1));
        if (frames.shape[2] == 1)
            return first;
        first.Dispose();
        return session.Push(frames);
    }

    private void RequireGroups()
    {
        if (!DecodesGroups)
            throw new InvalidOperationException("this VAE decodes from the start only");
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose() => vae.Dispose();
}
