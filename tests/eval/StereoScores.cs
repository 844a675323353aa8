using System.CommandLine;
using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Pipelines;
using Sora.Stereo;
using Sora.World;

namespace Sora.Eval;

/// <summary>
/// <c>eval stereo</c>: how near the right eye made from the left one and its exact depth is to what a second camera in the
/// synthetic world sees, for each way to fill what the left one doesn't see.
/// </summary>
internal static class StereoScores
{
    private const int Frames = 17;

    /// <summary>The distance of an adult's eyes.</summary>
    private const double Baseline = 0.063;

    public static Command Create()
    {
        var scenes = new Option<int>("--scenes") { Description = "Scenes", DefaultValueFactory = _ => 20 };
        var side = new Option<int>("--size") { Description = "Columns and rows", DefaultValueFactory = _ => 128 };
        var model = new Option<string?>("--model") { Description = "Model that fills; by default the built-in one" };
        var strength = new Option<double>("--strength")
        {
            Description = "How much of it the model remakes",
            DefaultValueFactory = _ => StereoModelFill.DefaultStrength,
        };
        var command = new Command("stereo", "Scores the second eye on the synthetic world") { scenes, side, model, strength };
        command.SetAction(parse =>
            Print(parse.GetValue(scenes), parse.GetValue(side), VideoModel.Open(parse.GetValue(model)), parse.GetValue(strength))
        );
        return command;
    }

    /// <summary>PSNR in dB over all pixels, over those that both eyes see, and over those that only the right one sees.</summary>
    public sealed record Score(double All, double Visible, double Hidden, double Flicker);

    /// <summary>The right eye's pictures of a clip.</summary>
    public static List<Image> RightEyes(IReadOnlyList<EyeWorld> clip, StereoFill fill) => RightEyes(Pairs(clip, fill));

    /// <summary>The same, filled by a model that is told what the scene shows.</summary>
    public static List<Image> RightEyes(IReadOnlyList<EyeWorld> clip, VideoModel model, double strength)
    {
        Clip left;
        using (var codec = FrameCodec.Open(model))
        {
            left = new Clip
            {
                Latents = codec.Encode(clip.Select(moment => moment.Left), CancellationToken.None).Latents,
                Info = new ClipInfo { Prompt = Captions.Canonical(clip[0].Scene), Fps = SceneOptions.DefaultFps },
            };
        }
        var fill = StereoModelFill.Create(model, left, strength);
        var pairs = Pairs(clip, StereoFill.Frames);
        return RightEyes(fill.Fill(pairs, Path.GetTempPath(), () => { }, Reporter.Silent, CancellationToken.None));
    }

    private static List<Image> RightEyes(IEnumerable<StereoPair> pairs) =>
        [.. pairs.Select(pair => new Image(pair.Right.Width, pair.Right.Height, [.. pair.Right.Pixels]))];

    private static IEnumerable<StereoPair> Pairs(IReadOnlyList<EyeWorld> clip, StereoFill fill)
    {
        var (width, height) = (clip[0].Left.Width, clip[0].Left.Height);
        var options = new StereoOptions
        {
            Eyes = StereoEyes.LeftKept,
            Baseline = clip[0].Baseline,
            FieldOfView = clip[0].FieldOfView,
            Convergence = double.PositiveInfinity,
            MaxDisparity = 100,
            EdgeDilation = 0,
            Fill = fill,
        };
        var video = new StereoVideo(width, height, DepthKind.Metric, options);
        return video.Render(clip.Select(Frame));

        // A zoom changes the field of view, as if all were nearer.
        StereoFrame Frame(EyeWorld moment, int number)
        {
            var nearer = (float)(moment.LeftCamera.HalfHeight / clip[0].LeftCamera.HalfHeight);
            return new StereoFrame(moment.Left, Array.ConvertAll(moment.Depth, metres => metres * nearer), number == 0);
        }
    }

    /// <summary>How near pictures of the right eye are to the exact ones.</summary>
    public static Score Of(IReadOnlyList<EyeWorld> clip, List<Image> made)
    {
        List<Image> exact = [.. clip.Select(moment => moment.Right)];
        return new(
            Quality.Psnr(made, exact),
            Quality.Psnr(made, exact, (f, y, x) => clip[f].IsVisible(y, x)),
            Quality.Psnr(made, exact, (f, y, x) => !clip[f].IsVisible(y, x)),
            Flicker(made)
        );
    }

    /// <summary>Mean difference of each pixel from the mean of the frames before and after it, of 255.</summary>
    public static double Flicker(IReadOnlyList<Image> frames)
    {
        double sum = 0;
        for (var f = 1; f < frames.Count - 1; f++)
        for (var i = 0; i < frames[f].Pixels.Length; i++)
            sum += Math.Abs(frames[f].Pixels[i] - (frames[f - 1].Pixels[i] + frames[f + 1].Pixels[i]) / 2.0);
        return sum / ((frames.Count - 2) * frames[0].Pixels.Length);
    }

    private static void Print(int scenes, int side, VideoModel model, double strength)
    {
        var fills = new Dictionary<string, Func<IReadOnlyList<EyeWorld>, List<Image>>>
        {
            ["background"] = clip => RightEyes(clip, StereoFill.Background),
            ["frames"] = clip => RightEyes(clip, StereoFill.Frames),
            ["model"] = clip => RightEyes(clip, model, strength),
        };
        var scores = fills.Keys.ToDictionary(fill => fill, _ => new List<Score>());
        var (left, right) = (0.0, 0.0);
        for (var number = 0; number < scenes; number++)
        {
            var clip = EyeWorld.Clip((ulong)number, side, side, Baseline, Frames);
            foreach (var (name, fill) in fills)
                scores[name].Add(Of(clip, fill(clip)));
            left += Flicker([.. clip.Select(moment => moment.Left)]) / scenes;
            right += Flicker([.. clip.Select(moment => moment.Right)]) / scenes;
        }
        Console.WriteLine($"{scenes} scenes, {Frames} frames of {side}x{side}; PSNR in dB, mean of the scenes; {model.Name}");
        Console.WriteLine("fill        all    visible  hidden  flicker");
        foreach (var (fill, of) in scores)
        {
            var (all, visible) = (of.Average(score => score.All), of.Average(score => score.Visible));
            var (hidden, flicker) = (of.Average(score => score.Hidden), of.Average(score => score.Flicker));
            Console.WriteLine($"{fill, -10} {all, 5:f2}  {visible, 7:f2}  {hidden, 6:f2}  {flicker, 7:f3}");
        }
        Console.WriteLine($"flicker of the left eye {left:f3}, of the right eye's camera {right:f3}");
    }
}
