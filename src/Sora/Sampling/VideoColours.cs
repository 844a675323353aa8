using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Colours as a viewer sees them: red, green and blue of each video frame. A latent frame holds several of these, and its
/// own channels say little about the step from the last known one to the first made one.
/// </summary>
internal sealed class VideoColours : IColours
{
    /// <summary>Known latent frames that tell how much change is usual.</summary>
    private const int Measured = 4;

    private readonly FrameCodec codec;
    private readonly CausalVaeConfig vae;

    /// <param name="codec">The VAE, one that <see cref="FrameCodec.DecodesGroups"/>.</param>
    /// <param name="vae">Its config.</param>
    /// <param name="latents">Normalised latents [1, C, T, h, w].</param>
    public VideoColours(FrameCodec codec, CausalVaeConfig vae, Tensor latents) => (this.codec, this.vae, Latents) = (codec, vae, latents.clone());

    public Tensor Latents { get; }

    public IReadOnlyList<Moments[]> Known(Join join)
    {
        using var scope = NewDisposeScope();
        var count = Math.Min(join.Count, Measured);
        var start = join.Away > 0 ? join.Edge : join.Edge - count + 1;
        var frames = codec.DecodeGroups(Raw(start - 1, count + 1)).SelectMany(Colours).ToList();
        if (join.Away < 0) frames.Reverse();
        return frames;
    }

    public Moments[] Made(Join join, Correction[] corrections)
    {
        using var scope = NewDisposeScope();
        var raw = Raw(join.Edge - join.Away - 1, 2);
        var (before, latent) = (raw.narrow(2, 0, 1), raw.narrow(2, 1, 1));
        var corrected = latent + Change(codec.DecodeGroup(before, latent), _ => corrections);
        var frames = Colours(codec.DecodeGroup(before, corrected));
        return join.Away < 0 ? frames[0] : frames[^1];
    }

    public void Correct((int Start, int End) run, Func<double, Correction[]> at)
    {
        using var scope = NewDisposeScope();
        var raw = Raw(run.Start - 1, run.End - run.Start + 1);
        var (first, last) = (0, (run.End - run.Start) * codec.Group - 1);
        foreach (var shown in codec.DecodeGroups(raw.clone()))
        {
            var latent = raw.narrow(2, first / codec.Group + 1, 1);
            latent.add_(Change(shown, frame => at((first + frame) / (double)last)));
            first += codec.Group;
        }
        Latents.narrow(2, run.Start, run.End - run.Start).copy_(vae.Normalise(raw.narrow(2, 1, run.End - run.Start)));
    }

    /// <summary>What is added to a latent frame so that what it shows is corrected, frame by frame: its encoder is linear.</summary>
    private Tensor Change(Tensor shown, Func<int, Correction[]> at)
    {
        using var scope = NewDisposeScope();
        var wanted = shown.clone();
        for (var frame = 0; frame < shown.shape[2]; frame++)
        {
            var corrections = at(frame);
            for (var c = 0; c < corrections.Length; c++)
            {
                var own = wanted.narrow(1, c, 1).narrow(2, frame, 1);
                var (mean, factor) = (own.mean(), Math.Exp(corrections[c].Contrast));
                own.copy_((own - mean) * factor + mean + corrections[c].Level);
            }
        }
        return (codec.EncodeGroup(wanted) - codec.EncodeGroup(shown)).MoveToOuterDisposeScope();
    }

    private Tensor Raw(int start, int count) => vae.Denormalise(Latents.narrow(2, start, count).to(float32));

    /// <summary>Of each frame of [1, 3, F, H, W].</summary>
    private static List<Moments[]> Colours(Tensor video)
    {
        using var scope = NewDisposeScope();
        var (channels, frames, pixels) = ((int)video.shape[1], (int)video.shape[2], (int)(video.shape[3] * video.shape[4]));
        var values = video.cpu().contiguous().data<float>().ToArray();
        return [.. Enumerable.Range(0, frames).Select(f =>
            Enumerable.Range(0, channels).Select(c => Moments.Of(values.AsSpan((c * frames + f) * pixels, pixels))).ToArray())];
    }
}
