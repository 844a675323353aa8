using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Sora.Media;
using Sora.Media.Spatial;
using Sora.Models.Depth;
using Sora.Stereo;

namespace Sora.Cli;

/// <summary>What the command line says of the second eye.</summary>
/// <param name="Target">What is made.</param>
/// <param name="Options">How depth becomes two pictures.</param>
/// <param name="IsMetricOnly">Whether something was asked for that only metric depth has.</param>
/// <param name="FillsByModel">Whether the clip's model fills what an eye sees and the camera didn't, once the options' way did.</param>
internal sealed record StereoArgs(StereoTarget Target, StereoOptions Options, bool IsMetricOnly, bool FillsByModel)
{
    private const string ByModel = "model";

    private static readonly StereoOptions Defaults = new();

    private static readonly Option<StereoTarget?> Stereo = StereoOption();
    private static readonly Option<string> Eyes = Cli.Options.Choice(
        "--eyes",
        "Where the eyes stand: half of the distance to either side of the clip's camera, or the left one in its place",
        "symmetric",
        "left"
    );
    private static readonly Option<double?> Baseline = Cli.Options.Number(
        "--baseline",
        "METRES",
        $"Distance between the eyes, for metric depth; by default {Text(Defaults.Baseline)}, an adult's"
    );
    private static readonly Option<double?> Convergence = Cli.Options.Number(
        "--convergence",
        "DEPTH",
        "Depth that lies in the screen: 0 (far) to 1 (near), or metres, or infinity; by default it follows the depth of each shot"
    );
    private static readonly Option<double?> MaxDisparity = Cli.Options.Number(
        "--max-disparity",
        "PERCENT",
        $"Largest difference between the eyes, in percent of the width; by default {Text(Defaults.MaxDisparity)}, "
            + "as BSkyB's 3D guidelines allow"
    );
    private static readonly Option<double?> FieldOfView = Cli.Options.Number(
        "--fov",
        "DEGREES",
        $"What the camera sees from left to right, for metric depth; by default {Text(Defaults.FieldOfView)}, a 35 mm lens"
    );
    private static readonly Option<int?> Dilate = Cli.Options.Whole(
        "--dilate",
        "PIXELS",
        $"Grow what is near, since estimated depth often ends inside of objects; by default {Defaults.EdgeDilation}, 0 for exact depth",
        least: 0
    );
    private static readonly Option<string> Fill = Cli.Options.Choice(
        "--fill",
        "What fills places that an eye sees and the camera didn't: what other frames show there, the background beside them, "
            + "or what the clip's model makes there with the clip's prompt, which takes as long as sora edit for each eye",
        "frames",
        "background",
        ByModel
    );

    /// <summary>In the order in which help lists them.</summary>
    public static readonly Symbol[] All = [Stereo, Eyes, Baseline, Convergence, MaxDisparity, FieldOfView, Dilate, Fill];

    /// <summary>What the command line says; null without <c>--stereo</c>.</summary>
    /// <exception cref="SoraException">A value means nothing, or there is one without <c>--stereo</c>.</exception>
    public static StereoArgs? Parse(ParseResult parse)
    {
        if (parse.GetValue(Stereo) is not { } target)
        {
            var given = All.OfType<Option>().FirstOrDefault(option => parse.GetResult(option) is OptionResult { Implicit: false });
            return given is null ? null : throw SoraException.Usage($"{given.Name} is for two eyes", "add --stereo sbs, or leave it out");
        }
        var options = new StereoOptions
        {
            Eyes = parse.GetValue(Eyes) == "left" ? StereoEyes.LeftKept : StereoEyes.Symmetric,
            Baseline = parse.GetValue(Baseline) ?? Defaults.Baseline,
            Convergence = parse.GetValue(Convergence),
            MaxDisparity = parse.GetValue(MaxDisparity) ?? Defaults.MaxDisparity,
            FieldOfView = parse.GetValue(FieldOfView) ?? Defaults.FieldOfView,
            EdgeDilation = parse.GetValue(Dilate) ?? Defaults.EdgeDilation,
            Fill = parse.GetValue(Fill) == ByModel ? StereoFill.Frames : Enum.Parse<StereoFill>(parse.GetValue(Fill)!, ignoreCase: true),
        };
        options.Validate();
        var isMetricOnly = parse.GetValue(Baseline) is not null || parse.GetValue(FieldOfView) is not null;
        return new StereoArgs(target, options, isMetricOnly, parse.GetValue(Fill) == ByModel);
    }

    /// <summary>Says what of the command line has no effect, or makes a file that a player doesn't recognise.</summary>
    /// <param name="run">Where to say it.</param>
    /// <param name="kind">What the depth's numbers mean.</param>
    /// <param name="file">The file's name.</param>
    public void Warn(Run run, DepthKind kind, string file)
    {
        if (IsMetricOnly && kind == DepthKind.Relative && !Target.IsSpatial)
            run.Reporter.Note("the depth is relative: --baseline and --fov have no effect, --max-disparity has");
        var name = Path.GetFileNameWithoutExtension(file);
        if (Target.Suffix is { } suffix && !name.EndsWith(suffix, StringComparison.Ordinal))
            run.Reporter.Note($"players know such a video by its name: {name}{suffix}{Path.GetExtension(file)}");
    }

    /// <summary>Pictures that hold both eyes'.</summary>
    /// <param name="pairs">Those of each eye.</param>
    /// <param name="size">Their size.</param>
    /// <param name="halvesChroma">Whether the format halves the colour differences.</param>
    /// <returns>One for each frame; it is overwritten once the next one is asked for.</returns>
    public IEnumerable<Image> Pictures(IEnumerable<StereoPair> pairs, FrameSize size, bool halvesChroma)
    {
        var (width, height) = Target.Layout.EyeSize(size.Width, size.Height, halvesChroma);
        Image? both = null;
        foreach (var pair in pairs)
            yield return both = Target.Layout.Pack(pair.Left.Extended(width, height), pair.Right.Extended(width, height), both);
    }

    /// <summary>Writes a video of each eye into one file.</summary>
    /// <param name="run">Cancels it, and is told how far it is.</param>
    /// <param name="pairs">The pictures of each eye.</param>
    /// <param name="options">What would be written without the second eye.</param>
    /// <param name="file">The file's name.</param>
    public void WriteSpatial(Run run, IEnumerable<StereoPair> pairs, VideoWriterOptions options, string file)
    {
        var spatial = new SpatialVideoOptions
        {
            Width = options.Width,
            Height = options.Height,
            Fps = options.Fps,
            Crf = options.Crf,
            Baseline = Options.Baseline,
            HorizontalFieldOfView = Options.FieldOfView,
        };
        using var writer = SpatialVideoWriter.Create(file, spatial, run.Cancel);
        foreach (var pair in run.Reporter.Counted("decoding", pairs, options.Frames!.Value))
            writer.Write(pair.Left, pair.Right);
        writer.Complete();
    }

    /// <summary>Each frame's pictures of both eyes; a pair is overwritten once the next one is asked for.</summary>
    /// <param name="frames">The frames of a clip.</param>
    /// <param name="depth">Their depth.</param>
    /// <param name="size">Their size.</param>
    public IEnumerable<StereoPair> Pairs(IEnumerable<Image> frames, DepthFrames depth, FrameSize size) =>
        new StereoVideo(size.Width, size.Height, depth.Kind, Options).Render(WithDepth(frames, depth, size));

    private static IEnumerable<StereoFrame> WithDepth(IEnumerable<Image> frames, DepthFrames depth, FrameSize size)
    {
        var (row, cuts, number) = (new float[size.Width * size.Height], new ShotCuts(), 0);
        foreach (var frame in frames)
        {
            depth.Read(number++, row);
            yield return new StereoFrame(frame, row, cuts.Next(frame));
        }
    }

    private static Option<StereoTarget?> StereoOption()
    {
        var option = Cli.Options.Value(
            "--stereo",
            "TARGET",
            "Write two eyes' pictures of a clip with depth: " + string.Join(", ", StereoTarget.All.Select(target => target.Name)),
            StereoTarget.Parse
        );
        option.CompletionSources.Add([.. StereoTarget.All.Select(target => target.Name)]);
        return option;
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
