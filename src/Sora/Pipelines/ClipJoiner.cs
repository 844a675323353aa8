using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines.Blending;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// Makes clips longer, closes them into loops, and joins them. Latents can be continued as they are. They can't be
/// appended to something, because the first one of a clip is a single frame and the others are four: what moves back is
/// decoded, and encoded again after the frames that precede it.
/// </summary>
public sealed class ClipJoiner(VideoPipeline pipeline, SamplingSettings settings, CancellationToken cancel)
{
    /// <summary>Where a part that is filled in lies, in latent frames.</summary>
    /// <param name="Noise">The place whose noise its first one takes, counted from the start of the original clip.</param>
    /// <param name="Time">Its place in the result.</param>
    private readonly record struct Place(int Noise, int Time);

    private readonly VideoGenerator generator = new(pipeline);
    private readonly LatentGeometry geometry = pipeline.Model.Geometry;

    private int Overlap => geometry.LatentFrames(settings.Overlap);

    /// <summary>
    /// The clip with <paramref name="frames"/> more frames after it, rounded
    /// up to latent frames; its own are kept bit for bit.
    /// </summary>
    /// <param name="clip">The original clip.</param>
    /// <param name="frames">Video frames to add.</param>
    /// <param name="options">What watches the run.</param>
    public Clip After(Clip clip, int frames, RunOptions? options = null)
    {
        generator.Require(Ability.Extend);
        using var scope = NewDisposeScope();
        var (old, raw) = (pipeline.Normalised(clip), pipeline.Raw(clip));
        Tensor Longer(Tensor latents) =>
            cat(
                [latents, zeros([1, latents.shape[1], geometry.AddedLatentFrames(frames), .. latents.shape[3..]], device: latents.device)],
                2
            );
        var known = new Conditioning
        {
            Known = Longer(old),
            Mask = Longer(ones_like(old.narrow(1, 0, 1))),
            Exact = Longer(raw),
        };
        var carrier = Carrier(clip, (int)old.shape[2] + geometry.AddedLatentFrames(frames));
        return generator.Make(
            new GenerationRequest(settings with { Frames = carrier.Info.Frames!.Value })
            {
                Conditioning = known,
                Run = (options ?? new()) with { Carrier = carrier },
            }
        );
    }

    /// <summary>The clip with <paramref name="frames"/> more frames before it, rounded up to latent frames.</summary>
    public Clip Before(Clip clip, int frames)
    {
        generator.Require(Ability.Extend);
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model, pipeline.Device);
        // What precedes is made in pieces, the last one first; each sees the start of what follows.
        var piece = Math.Max(1, geometry.LatentFrames(settings.Window) - Overlap - 1);
        var following = Frames(clip, codec).Take(geometry.VideoFrames(1 + Overlap)).ToList();
        var (start, fresh, first) = (following[0], new List<Image>(), zeros(0));
        int made = 0,
            all = geometry.AddedLatentFrames(frames);
        while (made < all)
        {
            var latents = Math.Min(all - made, piece);
            made += latents;
            // One more than the groups: the new first latent frame, which is a single video frame.
            var filled = Fill(null, latents + 1, After(following, codec), new Place(-made, all - made));
            var pictures = Arriving([.. Decode(filled, codec).Take(geometry.VideoFrames(latents + 1))], following[0])[..^1];
            fresh.InsertRange(0, pictures);
            following = [.. pictures.Concat(following).Take(geometry.VideoFrames(1 + Overlap))];
            first = pipeline.Model.Denormalise(filled.narrow(2, 0, latents)).cpu();
        }
        return Longer(
            clip,
            TensorIO.ToHost(
                new LatentRefiner(codec, cancel).Encode(
                    fresh.Concat(Frames(clip, codec)),
                    first,
                    new Still(fresh.Count, start, Fit.Stretch)
                )
            )
        );
    }

    /// <summary>The clip with this many more frames that lead back to its first one, which the last one shows again.</summary>
    public Clip Loop(Clip clip, int frames)
    {
        generator.Require(Ability.Loop);
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model, pipeline.Device);
        var old = pipeline.Normalised(clip);
        var tail = (int)Math.Min(old.shape[2], Overlap);
        var start = Frames(clip, codec).Take(geometry.VideoFrames(1 + Overlap)).ToList();
        var begins = (int)old.shape[2] - tail;
        var filled = Fill(old.narrow(2, begins, tail), geometry.AddedLatentFrames(frames), After(start, codec), new Place(begins, begins));
        var loop = TensorIO.ToTensor(Kept(clip, filled, tail, geometry.AddedLatentFrames(frames)));
        var known = ones([1, 1, .. loop.shape[2..]]);
        known.narrow(2, old.shape[2], geometry.AddedLatentFrames(frames)).fill_(0);
        var last = new Still(geometry.VideoFrames(loop.shape[2]) - 1, start[0], Fit.Stretch);
        return Longer(clip, TensorIO.ToHost(new LatentRefiner(codec, cancel).Pin(loop, known, [last])));
    }

    /// <summary>A clip of one frame and <paramref name="frames"/> more that leads from a frame of one clip to a frame of another.</summary>
    public Clip Between((Clip Clip, int Frame) from, (Clip Clip, int Frame) to, int frames)
    {
        generator.Require(Ability.Interpolate);
        using var scope = NewDisposeScope();
        using var codec = FrameCodec.Open(pipeline.Model, pipeline.Device);
        var before = Frames(from.Clip, codec).Take(from.Frame + 1).TakeLast(geometry.VideoFrames(1 + Overlap)).ToList();
        before = before[^geometry.WholeFrames(before.Count)..];
        var after = Frames(to.Clip, codec).Skip(to.Frame).Take(geometry.VideoFrames(1 + Overlap)).ToList();
        var known = pipeline.Model.Normalise(new LatentRefiner(codec, cancel).Encode(before)).to(pipeline.Device);
        var filled = Fill(known, geometry.AddedLatentFrames(frames), After(after, codec), new Place(0, 1 - (int)known.shape[2]));
        var between = Decode(filled, codec)
            .Skip(before.Count - 1)
            .Take(geometry.VideoFrames(1 + geometry.AddedLatentFrames(frames)))
            .ToList();
        between[0] = before[^1];
        between = Arriving(between, after[0]);
        return from.Clip with
        {
            Latents = TensorIO.ToHost(
                new LatentRefiner(codec, cancel).Encode(between, seam: new Still(between.Count - 1, after[0], Fit.Stretch))
            ),
            Tensors = new Dictionary<string, HostTensor>(),
            Info = from.Clip.Info with { Frames = between.Count, Prompt = settings.Prompt, Seed = settings.Seed, Space = LatentSpace.Raw },
        };
    }

    private IEnumerable<Image> Frames(Clip clip, FrameCodec codec)
    {
        pipeline.RequireVae(clip);
        return codec.Decode(clip.FinishedLatents, clip.Info.Space, cancel);
    }

    /// <summary>The frames with the last one replaced by the given one; those before it fade towards that.</summary>
    private List<Image> Arriving(List<Image> frames, Image last)
    {
        var (guess, fade) = (frames[^1], Math.Min(2 * geometry.TemporalFactor, frames.Count - 1));
        for (var back = 0; back < fade; back++)
        {
            var (frame, faded, share) = (frames[^(back + 1)], new Image(last.Width, last.Height), 1 - (double)back / fade);
            for (var i = 0; i < faded.Pixels.Length; i++)
                faded.Pixels[i] = (byte)Math.Clamp(Math.Round(frame.Pixels[i] + share * (last.Pixels[i] - guess.Pixels[i])), 0, 255);
            frames[^(back + 1)] = faded;
        }
        return frames;
    }

    /// <summary>
    /// The latents, from the second on, of frames after copies of their first one, [1, C, 1 + k, h, w], normalised: first
    /// that of copies alone, a hint of what the latent frame that ends with the first frame shows, then those of the
    /// others.
    /// </summary>
    private Tensor After(List<Image> frames, FrameCodec codec)
    {
        var encoded = new LatentRefiner(codec, cancel).Encode([.. Enumerable.Repeat(frames[0], geometry.TemporalFactor), .. frames]);
        return pipeline.Model.Normalise(encoded.narrow(2, 1, encoded.shape[2] - 1)).to(pipeline.Device);
    }

    private IEnumerable<Image> Decode(Tensor normalised, FrameCodec codec) =>
        codec.Decode(pipeline.ToRaw(normalised), LatentSpace.Raw, cancel);

    /// <summary>
    /// [before, filled in, after], normalised, where either end may be missing; the
    /// first of what comes after is a hint for the last one filled in.
    /// </summary>
    private Tensor Fill(Tensor? before, int latents, Tensor? after, Place place)
    {
        var like = before ?? after!;
        var (head, hints) = (before?.shape[2] ?? 0, after is null ? 0 : 1);
        var tail = (after?.shape[2] ?? 0) - hints;
        var (rows, columns) = (like.shape[3], like.shape[4]);
        var gap = zeros([1, like.shape[1], latents - hints, rows, columns], device: like.device);
        Tensor Places(long length, double value) => full([1, 1, length, rows, columns], value, device: like.device);
        Tensor?[] parts = [before, gap, after];
        var total = (int)(head + latents + tail);
        var whole = settings with
        {
            Frames = geometry.VideoFrames(total),
            FirstLatent = place.Noise,
            Later =
            [
                .. settings.Later.Select(later => later with { Frame = Math.Max(0, later.Frame - place.Time * geometry.TemporalFactor) }),
            ],
        };
        return new SlidingWindows(pipeline, whole).Fill(
            new Conditioning
            {
                Known = cat([.. parts.OfType<Tensor>()], 2),
                Mask = cat([Places(head, 1), Places(latents, 0), Places(tail, 1)], 2),
                Hints = after is null ? null : cat([Places(head + latents - 1, 0), Places(1, 1), Places(tail, 0)], 2),
            }
        );
    }

    /// <summary>The clip's own latents, bit for bit, followed by those of what was filled in from <paramref name="first"/> on.</summary>
    private HostTensor Kept(Clip clip, Tensor filled, long first, int latents)
    {
        var fresh = TensorIO.ToTensor(pipeline.ToRaw(filled.narrow(2, first, latents)));
        return TensorIO.ToHost(cat([pipeline.Raw(clip), fresh], 2));
    }

    private Clip Longer(Clip clip, HostTensor latents) => Carrier(clip, (int)latents.Shape[2]) with { Latents = latents };

    /// <summary>The clip's metadata with this many latent frames.</summary>
    private Clip Carrier(Clip clip, int latents) =>
        clip with
        {
            // Depth and the like belong to the old frames.
            Tensors = new Dictionary<string, HostTensor>(),
            Info = clip.Info with
            {
                Frames = geometry.VideoFrames(latents),
                Prompt = settings.Prompt,
                Seed = settings.Seed,
                Space = LatentSpace.Raw,
            },
        };
}
