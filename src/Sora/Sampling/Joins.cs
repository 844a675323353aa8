using Sora.Clips;
using Sora.Media;
using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Sampling;

/// <summary>
/// Clips made longer, closed to a loop, and joined. Latents can be continued as they are. They can't be put behind
/// something, for the first one of a clip is a single frame and the others four: what moves back is decoded, and encoded
/// again behind the frames that precede it.
/// </summary>
public sealed class Joins(Pipeline pipeline, SamplingSettings settings, CancellationToken cancel)
{
    private readonly int group = pipeline.Model.Vae.TemporalFactor;

    private int Overlap => Windows.Latents(settings.Overlap, group);

    /// <summary>The clip with <paramref name="frames"/> more frames behind it, rounded up to latent frames; it itself is kept bit for bit.</summary>
    public Clip After(Clip clip, int frames)
    {
        pipeline.Require(Ability.Extend);
        using var scope = NewDisposeScope();
        var old = pipeline.Normalised(clip);
        var filled = Fill(old, Groups(frames), null, 0);
        return Longer(clip, Kept(clip, filled, old.shape[2], Groups(frames)));
    }

    /// <summary>The clip with <paramref name="frames"/> more frames before it, rounded up to latent frames.</summary>
    public Clip Before(Clip clip, int frames)
    {
        pipeline.Require(Ability.Extend);
        // What precedes is made in pieces that see the start of what follows.
        var piece = Math.Max(1, Windows.Latents(settings.Window, group) - Overlap - 1);
        for (var left = Groups(frames); left > 0; left -= piece) clip = BeforeOnce(clip, Math.Min(left, piece));
        return clip;
    }

    /// <summary>The clip with so many frames more that lead back to its first one.</summary>
    public Clip Loop(Clip clip, int frames)
    {
        pipeline.Require(Ability.Loop);
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model);
        var old = pipeline.Normalised(clip);
        var tail = (int)Math.Min(old.shape[2], Overlap);
        var head = Behind([.. codec.Decode(clip.FinishedLatents, clip.Info.Space, cancel).Take(1 + Overlap * group)], codec);
        var filled = Fill(old.narrow(2, old.shape[2] - tail, tail), Groups(frames), head, (int)old.shape[2] - tail);
        return Longer(clip, Kept(clip, filled, tail, Groups(frames)));
    }

    /// <summary>A clip of one frame and <paramref name="frames"/> more that goes from a frame of one clip to a frame of another.</summary>
    public Clip Between((Clip Clip, int Frame) from, (Clip Clip, int Frame) to, int frames)
    {
        pipeline.Require(Ability.Interpolate);
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model);
        var before = Frames(from.Clip, codec).Take(from.Frame + 1).TakeLast(1 + Overlap * group).ToList();
        before = before[^FrameCodec.Encodable(before.Count, pipeline.Model.Vae)..];
        var after = Frames(to.Clip, codec).Skip(to.Frame).Take(1 + Overlap * group).ToList();
        var known = pipeline.Model.Vae.Normalise(Encode(before, codec)).to(pipeline.Device);
        var filled = Fill(known, Groups(frames), Behind(after, codec), 0);
        var between = codec.Decode(pipeline.ToRaw(filled), LatentSpace.Raw, cancel)
            .Skip(before.Count - 1).Take(1 + Groups(frames) * group).ToList();
        (between[0], between[^1]) = (before[^1], after[0]);
        return from.Clip with
        {
            Latents = codec.Encode(between, cancel).Latents,
            Tensors = new Dictionary<string, HostTensor>(),
            Info = from.Clip.Info with { Frames = between.Count, Prompt = settings.Prompt, Seed = settings.Seed, Space = LatentSpace.Raw },
        };
    }

    private Clip BeforeOnce(Clip clip, int latents)
    {
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model);
        var frames = Frames(clip, codec).ToList();
        var head = Behind([.. frames.Take(1 + Overlap * group)], codec);
        // One more than the groups asked for: the new first latent frame, which is a single video frame.
        var filled = Fill(null, latents + 1, head, 0);
        var fresh = codec.Decode(pipeline.ToRaw(filled), LatentSpace.Raw, cancel).Take(latents * group);
        var encoded = TensorIO.ToTensor(codec.Encode(fresh.Concat(frames), cancel).Latents);
        var whole = cat([pipeline.Model.Vae.Denormalise(filled.narrow(2, 0, latents)).cpu(), encoded.narrow(2, latents, encoded.shape[2] - latents)], 2);
        return Longer(clip, TensorIO.ToHost(whole));
    }

    private IEnumerable<Image> Frames(Clip clip, FrameCodec codec) => codec.Decode(clip.FinishedLatents, clip.Info.Space, cancel);

    private int Groups(int frames) => (frames + group - 1) / group;

    /// <summary>The latents, from the second on, of frames behind copies of their first one: [1, C, k, h, w], normalised.</summary>
    private Tensor Behind(IReadOnlyList<Image> frames, FrameCodec codec)
    {
        var encoded = Encode([.. Enumerable.Repeat(frames[0], group), .. frames], codec);
        // A lone frame has no second latent: then it is that of its copies.
        var from = Math.Min(2, encoded.shape[2] - 1);
        return pipeline.Model.Vae.Normalise(encoded.narrow(2, from, encoded.shape[2] - from)).to(pipeline.Device);
    }

    private Tensor Encode(IReadOnlyList<Image> frames, FrameCodec codec) => TensorIO.ToTensor(codec.Encode(frames, cancel).Latents);

    /// <summary>[before, filled in, after], normalised, where either end may be missing.</summary>
    private Tensor Fill(Tensor? before, int latents, Tensor? after, int firstLatent)
    {
        var like = before ?? after!;
        var (head, tail) = (before?.shape[2] ?? 0, after?.shape[2] ?? 0);
        var (rows, columns) = (like.shape[3], like.shape[4]);
        var gap = zeros([1, like.shape[1], latents, rows, columns], device: like.device);
        Tensor Places(long length, double value) => full([1, 1, length, rows, columns], value, device: like.device);
        Tensor?[] parts = [before, gap, after];
        var total = (int)(head + latents + tail);
        var whole = settings with { Frames = (total - 1) * group + 1, FirstLatent = firstLatent };
        return new Windows(pipeline, whole).Fill(new Conditioning
        {
            Known = cat([.. parts.OfType<Tensor>()], 2),
            Mask = cat([Places(head, 1), Places(latents, 0), Places(tail, 1)], 2),
        });
    }

    /// <summary>The clip's own latents, bit for bit, and behind them those from <paramref name="first"/> on of what was filled in.</summary>
    private HostTensor Kept(Clip clip, Tensor filled, long first, int latents)
    {
        var own = TensorIO.ToTensor(clip.FinishedLatents).to(float32);
        if (clip.Info.Space == LatentSpace.Normalised) own = pipeline.Model.Vae.Denormalise(own);
        var fresh = TensorIO.ToTensor(pipeline.ToRaw(filled.narrow(2, first, latents)));
        return TensorIO.ToHost(cat([own, fresh], 2));
    }

    private Clip Longer(Clip clip, HostTensor latents) => clip with
    {
        Latents = latents,
        // Depth and the like belong to the frames that were.
        Tensors = new Dictionary<string, HostTensor>(),
        Info = clip.Info with
        {
            Frames = (int)(latents.Shape[2] - 1) * group + 1,
            Prompt = settings.Prompt,
            Seed = settings.Seed,
            Space = LatentSpace.Raw,
        },
    };
}
