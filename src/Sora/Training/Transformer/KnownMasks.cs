namespace Sora.Training;

/// <summary>Which latent frames and places of a clip the transformer is given, and which it must fill in.</summary>
public enum KnownTask
{
    /// <summary>Nothing: text to video.</summary>
    None,

    /// <summary>The first frame: an animated still.</summary>
    FirstFrame,

    /// <summary>The last latent frame.</summary>
    LastFrame,

    /// <summary>First and last frame.</summary>
    FirstAndLast,

    /// <summary>Some frames from the start on: extend forward.</summary>
    Prefix,

    /// <summary>Some frames up to the end: extend backward.</summary>
    Suffix,

    /// <summary>Some frames at each end: join two clips.</summary>
    BothEnds,

    /// <summary>All but a run inside, whose neighbours on both sides are known: close a loop, mend a gap.</summary>
    Loop,

    /// <summary>Everything outside a rectangle, in all frames: inpainting.</summary>
    Region,

    /// <summary>A frame inside: a keyframe.</summary>
    Keyframe,
}

/// <summary>Draws known masks of every task (every verb fills in the unknown part of a latent video).</summary>
internal static class KnownMasks
{
    // Making everything from the prompt is the hardest task, and what it teaches serves the others.
    private static readonly (KnownTask Task, double Weight)[] Shares =
    [
        (KnownTask.None, 0.70),
        (KnownTask.FirstFrame, 0.09),
        (KnownTask.LastFrame, 0.02),
        (KnownTask.FirstAndLast, 0.03),
        (KnownTask.Prefix, 0.04),
        (KnownTask.Suffix, 0.03),
        (KnownTask.BothEnds, 0.02),
        (KnownTask.Loop, 0.02),
        (KnownTask.Region, 0.03),
        (KnownTask.Keyframe, 0.02),
    ];

    /// <summary>A task for a clip of <paramref name="frames"/> latent frames; stills know nothing or all but a region.</summary>
    public static KnownTask DrawTask(ref Rng random, int frames)
    {
        if (frames == 1)
            return random.Uniform() < 0.9 ? KnownTask.None : KnownTask.Region;
        var at = random.Uniform() * Shares.Sum(s => s.Weight);
        foreach (var (task, weight) in Shares)
        {
            if ((at -= weight) < 0)
                return frames > 2 || task is not (KnownTask.BothEnds or KnownTask.Loop or KnownTask.Keyframe) ? task : KnownTask.FirstFrame;
        }
        return KnownTask.None;
    }

    /// <summary>The mask <c>[T, h, w]</c> of a task, 1 where known. At least one token stays unknown.</summary>
    public static float[] Draw(ref Rng random, KnownTask task, int frames, int height, int width)
    {
        var mask = new float[frames * height * width];
        void Frames(int from, int to) => mask.AsSpan(from * height * width, (to - from) * height * width).Fill(1);
        switch (task)
        {
            case KnownTask.None:
                break;
            case KnownTask.FirstFrame:
                Frames(0, 1);
                break;
            case KnownTask.LastFrame:
                Frames(frames - 1, frames);
                break;
            case KnownTask.FirstAndLast:
                Frames(0, 1);
                if (frames > 2)
                    Frames(frames - 1, frames);
                break;
            case KnownTask.Prefix:
                Frames(0, 1 + random.Below(frames - 1));
                break;
            case KnownTask.Suffix:
                Frames(1 + random.Below(frames - 1), frames);
                break;
            case KnownTask.BothEnds:
                var head = 1 + random.Below(frames - 2);
                Frames(0, head);
                Frames(head + 1 + random.Below(frames - head - 1), frames);
                break;
            case KnownTask.Loop:
                var gap = 1 + random.Below(Math.Max(1, (frames - 1) / 2));
                var start = 1 + random.Below(frames - 1 - gap);
                Frames(0, start);
                Frames(start + gap, frames);
                break;
            case KnownTask.Keyframe:
                var at = 1 + random.Below(frames - 2);
                Frames(at, at + 1);
                break;
            case KnownTask.Region:
                Frames(0, frames);
                var (h, w) = (1 + random.Below(height), 1 + random.Below(width));
                var (top, left) = (random.Below(height - h + 1), random.Below(width - w + 1));
                for (var t = 0; t < frames; t++)
                {
                    for (var y = top; y < top + h; y++)
                        mask.AsSpan((((t * height) + y) * width) + left, w).Clear();
                }
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(task), task, null);
        }
        return mask;
    }
}
