using Sora.World;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>Rendered clips with the right answers, as the judge's training and test take them.</summary>
internal sealed record JudgeBatch
{
    /// <summary>Pixels [B, T, H, W, 3].</summary>
    public required byte[] Rgb { get; init; }

    /// <summary>What part of each cell is covered by what, [B T, 1 + C, 32, 32].</summary>
    public required float[] Cover { get; init; }

    /// <summary>Ground, sky, camera, objects less one: [B, 4].</summary>
    public required long[] Scene { get; init; }

    /// <summary>For each colour shape, size and motion, [B, C, 3], or -100 where there is nothing to be learned.</summary>
    public required long[] Slots { get; init; }

    /// <summary>What a frame shows in a colour, [B, T, C]: a shape, or -100 where it shows too little to tell.</summary>
    public required long[] Shown { get; init; }

    /// <summary>How many clips.</summary>
    public required int Count { get; init; }

    /// <summary>The frames [B, T, 3, H, W] in [-1, 1].</summary>
    public Tensor Frames() =>
        tensor(Rgb, [Count, Judge.Moments.Count, Judge.Side, Judge.Side, 3], dtype: ScalarType.Byte)
            .to(float32)
            .permute(0, 1, 4, 2, 3)
            .contiguous()
            .div_(127.5)
            .sub_(1);
}

/// <summary>Draws scenes for the judge and renders the frames that it looks at.</summary>
internal static class JudgeClips
{
    /// <summary>What a class index is where there is none.</summary>
    public const long Nothing = -100;

    /// <summary>Pixels of an object without which a frame doesn't show what it is.</summary>
    private const int Visible = 40;

    private static readonly double[] Counts = [0.5, 0.35, 0.15],
        Kinds = [0.65, 0.15, 0.2];

    /// <summary>Draws clips of a split; the same seed gives the same clips.</summary>
    public static JudgeBatch Draw(ulong seed, int count, Split split, int threads)
    {
        var scenes = new Scene[count];
        var clips = new RenderedClip[count];
        Parallel.For(
            0,
            count,
            new ParallelOptions { MaxDegreeOfParallelism = threads },
            i =>
            {
                scenes[i] = DrawScene(new Rng(seed, (ulong)i), split);
                clips[i] = Renderer.RenderSome(scenes[i], Judge.Side, Judge.Side, Judge.Moments);
            }
        );
        return Of(scenes, clips);
    }

    /// <summary>
    /// A scene of a clip of 33 frames with every label as likely as the others; most are like those of the prompts, without
    /// interactions and afterthoughts, and a seventh are occlusions, where the answers for single frames count.
    /// </summary>
    public static Scene DrawScene(Rng rng, Split split)
    {
        var plain = new SceneOptions
        {
            Frames = Judge.ClipFrames,
            Split = split,
            Count = 1 + rng.Weighted(Counts),
            Motion = (Motion)rng.Below(14),
            Camera = (CameraMove)rng.Below(9),
            Then = FollowUp.None,
            Interaction = Interaction.None,
        };
        var any = new SceneOptions { Frames = Judge.ClipFrames, Split = split };
        var hidden = any with { Camera = CameraMove.Static, Count = 2, Interaction = Interaction.PassBehind };
        return SceneSampler.Draw(
            rng,
            rng.Weighted(Kinds) switch
            {
                0 => plain,
                1 => hidden,
                _ => any,
            }
        );
    }

    private static JudgeBatch Of(Scene[] scenes, RenderedClip[] clips)
    {
        var times = Judge.Moments.Count;
        var batch = new JudgeBatch
        {
            Rgb = [.. clips.SelectMany(clip => clip.Rgb)],
            Cover = new float[clips.Length * times * (1 + Judge.Colours) * Judge.Cells * Judge.Cells],
            Scene = [.. scenes.SelectMany(s => (long[])[(long)s.Ground, (long)s.Sky, (long)s.Camera.Move, s.Objects.Count - 1])],
            Slots = Enumerable.Repeat(Nothing, clips.Length * Judge.Colours * 3).ToArray(),
            Shown = Enumerable.Repeat(Nothing, clips.Length * times * Judge.Colours).ToArray(),
            Count = clips.Length,
        };
        for (var b = 0; b < clips.Length; b++)
        {
            Label(scenes[b], batch.Slots.AsSpan(b * Judge.Colours * 3, Judge.Colours * 3));
            for (var t = 0; t < times; t++)
            {
                var at = b * times + t;
                var pixels = clips[b].Objects.AsSpan(t * Judge.Side * Judge.Side, Judge.Side * Judge.Side);
                var cover = batch.Cover.AsSpan(
                    at * (1 + Judge.Colours) * Judge.Cells * Judge.Cells,
                    (1 + Judge.Colours) * Judge.Cells * Judge.Cells
                );
                Cover(scenes[b], pixels, cover, batch.Shown.AsSpan(at * Judge.Colours, Judge.Colours));
            }
        }
        return batch;
    }

    private static void Label(Scene scene, Span<long> slots)
    {
        foreach (var (i, o) in scene.Objects.Index())
        {
            // What something that was hit does isn't what its label says.
            var struck = scene.Interaction == Interaction.Collide && i == 1;
            long[] labels = [(long)o.Shape, (long)o.Size, struck ? Nothing : (long)o.Motion];
            labels.CopyTo(slots[((int)o.Colour * 3)..]);
        }
    }

    private static void Cover(Scene scene, ReadOnlySpan<byte> pixels, Span<float> cover, Span<long> shown)
    {
        const int cell = Judge.Side / Judge.Cells,
            plane = Judge.Cells * Judge.Cells;
        var seen = new int[4];
        for (var y = 0; y < Judge.Side; y++)
        {
            for (var x = 0; x < Judge.Side; x++)
            {
                var index = pixels[y * Judge.Side + x];
                seen[index]++;
                var part = index == 0 ? 0 : 1 + (int)scene.Objects[index - 1].Colour;
                cover[part * plane + y / cell * Judge.Cells + x / cell] += 1f / (cell * cell);
            }
        }
        foreach (var (i, o) in scene.Objects.Index())
            if (seen[i + 1] >= Visible)
                shown[(int)o.Colour] = (long)o.Shape;
    }
}
