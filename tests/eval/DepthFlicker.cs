using System.CommandLine;
using Sora.Media;
using Sora.Models;
using Sora.Models.Depth;

namespace Sora.Eval;

/// <summary>
/// <c>eval depth</c>: how much a model's relative depth flickers from frame to frame, as it is and after it is steadied. Flicker is the
/// mean absolute change of a pixel between neighbouring frames of a shot, over the standard deviation of all depths of the video:
/// scale and shift don't matter. What moves counts, too, and so does a camera's own motion.
/// </summary>
internal static class DepthFlicker
{
    private const int WorldClips = 2;

    public static Command Create()
    {
        var model = new Option<string>("--model", "-m") { Description = "Depth Anything V2 model", Required = true };
        var data = new Option<string>("--data")
        {
            Description = "Folder with vtest.avi, as tests/eval/run.sh prepares it",
            Required = true,
        };
        var count = new Option<int>("--count") { Description = "Frames of vtest.avi", DefaultValueFactory = _ => 100 };
        var command = new Command("depth", "Measures how much depth flickers, before and after it is steadied") { model, data, count };
        command.SetAction(args => Run(args.GetValue(model)!, new Footage(args.GetValue(data)!), args.GetValue(count)));
        return command;
    }

    /// <summary>The flicker of maps, all of one shot.</summary>
    public static double Of(IReadOnlyList<DepthMap> maps)
    {
        var change = maps.Skip(1).Zip(maps, Change).Average();
        double sum = 0,
            squares = 0,
            count = 0;
        foreach (var value in maps.SelectMany(map => map.Values))
        {
            sum += value;
            squares += (double)value * value;
            count++;
        }
        return change / Math.Sqrt(Math.Max(double.Epsilon, squares / count - sum / count * (sum / count)));
    }

    private static double Change(DepthMap a, DepthMap b) => a.Values.Zip(b.Values, (one, other) => Math.Abs((double)one - other)).Average();

    private static void Run(string model, Footage footage, int count)
    {
        using var estimator = DepthEstimator.Open(ModelLocator.Find(model));
        if (estimator.IsMetric)
            throw SoraException.Usage($"{model} is metric, and metric depth isn't steadied", "pass a relative model");
        Report.Section("Flicker of depth, in standard deviations", "", "as it is", "steadied", "steadied / as it is");
        using (var reader = VideoReader.Open(footage.Clips()[0], new VideoReaderOptions { Frames = count }))
            Score($"vtest.avi ({count} frames)", estimator, reader.Frames());
        for (var i = 0; i < WorldClips; i++)
            Score($"world clip {i + 1} ({Judge.ClipFrames} frames)", estimator, Footage.World(i));
    }

    private static void Score(string name, DepthEstimator estimator, IEnumerable<Image> frames)
    {
        var (steadier, plain, steadied) = (new DepthSteadier(), new List<DepthMap>(), new List<DepthMap>());
        foreach (var frame in frames)
        {
            // Of vtest.avi's size all maps would take gigabytes.
            plain.Add(estimator.Estimate(frame, new FrameSize(frame.Width / 2, frame.Height / 2)));
            steadied.Add(steadier.Next(plain[^1], isCut: plain.Count == 1));
        }
        var (before, after) = (Of(plain), Of(steadied));
        Report.Row(name, Report.Number(before, 4), Report.Number(after, 4), Report.Number(after / before, 3));
    }
}
