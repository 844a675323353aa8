using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Nn;
using Sora.Stereo;
using Sora.Tensors;

namespace Sora.Pipelines;

/// <summary>
/// Lets a clip's model fill what an eye sees and the camera didn't. The pictures of an eye, filled in another way before, are
/// encoded; the tokens with holes are noised and sampled again with the clip's prompt and seed; and of what is decoded, only the
/// holes, with a soft edge, come into the pictures.
/// </summary>
public sealed class StereoModelFill
{
    /// <summary>How much of what filled the holes before is remade, from 0 to 1.</summary>
    public const double DefaultStrength = 0.8;

    /// <summary>Pixels around a hole that are a mixture of what was visible and what was made.</summary>
    public const int Feather = 1;

    /// <summary>What to do where it can't be done.</summary>
    public const string Otherwise = "use --fill frames, which needs no generator";

    /// <summary>Tokens this many pixels from a hole are also remade, so that the soft edge lies in them.</summary>
    private const int Grow = 2;

    /// <summary>So many columns beside a hole say how much brighter or darker it must be.</summary>
    private const int EdgeColumns = 3;

    private readonly VideoModel model;
    private readonly SamplingSettings settings;
    private readonly Clip clip;

    private StereoModelFill(VideoModel model, Clip clip, double strength)
    {
        var defaults = ModelDefaults.Of(model).Settings;
        var (size, frames) = model.Geometry.VideoOf(clip.FinishedLatents.Shape);
        (this.model, this.clip) = (model, clip with { Tensors = new Dictionary<string, HostTensor>() });
        settings = defaults with
        {
            Prompt = clip.Info.Prompt ?? "",
            Seed = clip.Info.Seed ?? 0,
            Width = size.Width,
            Height = size.Height,
            Frames = frames,
            Fps = clip.Info.Fps ?? defaults.Fps,
            Strength = strength,
        };
    }

    /// <summary>One eye's run, for the plan of its memory; the other eye's is like it.</summary>
    public GenerationRequest Request => RequestFor(clip, []);

    /// <summary>Checks that a model can do it.</summary>
    /// <param name="model">The model whose latents the clip has.</param>
    /// <param name="clip">The clip, finished.</param>
    /// <param name="strength">How much of what filled the holes before is remade, from 0 to 1.</param>
    /// <exception cref="SoraException">The model can't remake a region of this clip, or a part of it is missing or broken.</exception>
    public static StereoModelFill Create(VideoModel model, Clip clip, double strength = DefaultStrength)
    {
        try
        {
            var fill = new StereoModelFill(model, clip, strength);
            fill.RequireAbilities();
            model.Check();
            return fill;
        }
        catch (SoraException fault)
        {
            throw new SoraException(fault.Kind, fault.Message, Otherwise, fault);
        }
    }

    /// <summary>Fills pairs, once all of them are rendered; they wait on disk.</summary>
    /// <param name="pairs">Of all frames of the clip, with holes that are filled in another way.</param>
    /// <param name="folder">Where there is room.</param>
    /// <param name="rendered">Called when the last pair is there, before anything is loaded.</param>
    /// <param name="reporter">Told how far it is.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>One for each pair; it is overwritten once the next one is asked for.</returns>
    public IEnumerable<StereoPair> Fill(
        IEnumerable<StereoPair> pairs,
        string folder,
        Action rendered,
        Reporter reporter,
        CancellationToken cancel
    )
    {
        using var spool = new StereoSpool(folder, settings.Width, settings.Height);
        foreach (var pair in reporter.Counted("rendering", pairs, settings.Frames))
            spool.Add(pair);
        rendered();
        var remade = Remake(spool, reporter, cancel);
        using var codec = FrameCodec.Open(model);
        using var left = Frames(Eye.Left);
        using var right = Frames(Eye.Right);
        var filled = new StereoPair(settings.Width, settings.Height);
        for (var frame = 0; frame < spool.Count; frame++)
        {
            spool.Read(frame, filled);
            if (left?.MoveNext() == true)
                Blend(filled.Left, filled.LeftHoles, left.Current, Eye.Left);
            if (right?.MoveNext() == true)
                Blend(filled.Right, filled.RightHoles, right.Current, Eye.Right);
            yield return filled;
        }

        IEnumerator<Image>? Frames(Eye eye) =>
            remade.TryGetValue(eye, out var latents) ? codec.Decode(latents, LatentSpace.Raw, cancel).GetEnumerator() : null;
    }

    /// <summary>
    /// Puts what was made into a picture's holes, brighter or darker by what the two differ where the hole ends at what lies behind,
    /// and less and less of it into the pixels there.
    /// </summary>
    /// <param name="picture">Changed.</param>
    /// <param name="holes"><c>[H, W]</c>: 255 in a hole, 0 elsewhere.</param>
    /// <param name="made">Of the same size.</param>
    /// <param name="eye">Whose picture it is: the right eye sees more to the right of what is near, the left one to the left.</param>
    internal static void Blend(Image picture, byte[] holes, Image made, Eye eye) =>
        Parallel.For(
            0,
            picture.Height,
            y =>
            {
                var ahead = eye == Eye.Right ? 1 : -1;
                var row = holes.AsSpan(y * picture.Width, picture.Width);
                for (var first = 0; first < row.Length; first++)
                {
                    if (row[first] == 0)
                        continue;
                    var end = first + 1;
                    while (end < row.Length && row[end] != 0)
                        end++;
                    var beside = Beside(row, eye == Eye.Right ? end : first - 1, ahead);
                    BlendRun(picture.Row(y), made.Row(y), first..end, beside, ahead);
                    first = end;
                }
            }
        );

    /// <summary>The columns of what lies behind, next to a run of holes: none at the end of the row.</summary>
    private static Range Beside(ReadOnlySpan<byte> holes, int next, int ahead)
    {
        var count = 0;
        while (count < EdgeColumns && next + count * ahead is var x && x >= 0 && x < holes.Length && holes[x] == 0)
            count++;
        return ahead > 0 ? next..(next + count) : (next + 1 - count)..(next + 1);
    }

    private static void BlendRun(Span<byte> picture, ReadOnlySpan<byte> made, Range run, Range beside, int ahead)
    {
        var (start, end, count) = (beside.Start.Value, beside.End.Value, beside.End.Value - beside.Start.Value);
        for (var c = 0; c < Image.Channels; c++)
        {
            double brighter = 0;
            for (var x = start; x < end; x++)
                brighter += (double)(picture[x * Image.Channels + c] - made[x * Image.Channels + c]) / count;
            for (var x = run.Start.Value; x < run.End.Value; x++)
                Mix(picture, made, x * Image.Channels + c, 1, brighter);
            for (var away = 1; away <= Math.Min(Feather, count); away++)
                Mix(picture, made, (ahead > 0 ? start + away - 1 : end - away) * Image.Channels + c, 1 - away / (Feather + 1.0), brighter);
        }
    }

    private static void Mix(Span<byte> picture, ReadOnlySpan<byte> made, int at, double share, double brighter) =>
        picture[at] = (byte)Math.Clamp(Math.Round(picture[at] + share * (made[at] + brighter - picture[at])), 0, 255);

    private void RequireAbilities()
    {
        Ability[] needed = SlidingWindows.Needed(model, settings) ? [Ability.Region, Ability.Extend] : [Ability.Region];
        foreach (var ability in needed)
            Abilities.Require(model, ability);
        var (size, (rows, columns)) = (new FrameSize(settings.Width, settings.Height), model.TokenSize);
        if (VideoSize.Floor(model, size) != size)
            throw SoraException.Failed($"{clip.Origin}: {model.Name} can't remake parts of {size}: its tokens are {columns}x{rows} pixels");
    }

    /// <summary>The latents of each eye that sees something that the camera didn't; of one model at a time.</summary>
    private Dictionary<Eye, HostTensor> Remake(StereoSpool spool, Reporter reporter, CancellationToken cancel)
    {
        var eyes = Enum.GetValues<Eye>().Where(spool.HasHoles).ToList();
        var clips = Encode(spool, eyes, reporter, cancel);
        var remade = new Dictionary<Eye, HostTensor>();
        using var pipeline = new VideoPipeline(model, Precision.Default(), reporter, cancel);
        var generator = new VideoGenerator(pipeline);
        foreach (var eye in eyes)
            remade[eye] = generator.Generate(RequestFor(clips[eye], spool.Masks(eye))).FinishedLatents;
        return remade;
    }

    private Dictionary<Eye, Clip> Encode(StereoSpool spool, List<Eye> eyes, Reporter reporter, CancellationToken cancel)
    {
        var (clips, done) = (new Dictionary<Eye, Clip>(), 0);
        if (eyes.Count == 0)
            return clips;
        using var codec = FrameCodec.Open(model);
        foreach (var eye in eyes)
            clips[eye] = clip with
            {
                Latents = codec.Encode(Pictures(eye), cancel).Latents,
                Info = clip.Info with { Space = LatentSpace.Raw },
            };
        return clips;

        IEnumerable<Image> Pictures(Eye eye)
        {
            foreach (var picture in spool.Pictures(eye))
            {
                yield return picture;
                reporter.Progress("encoding", ++done, eyes.Count * spool.Count);
            }
        }
    }

    private GenerationRequest RequestFor(Clip eye, IReadOnlyList<Image> holes) =>
        new(settings) { Edited = new EditedClip(eye, () => new Region { Masks = holes, Grow = Grow }) };
}
