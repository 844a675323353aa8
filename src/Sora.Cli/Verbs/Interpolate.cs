using System.CommandLine;
using Sora.Clips;
using Sora.Diffusion;
using Sora.Pipelines;
using Sora.Planning;

namespace Sora.Cli.Verbs;

/// <summary>Makes the clip between two clips.</summary>
internal static class Interpolate
{
    private static readonly Argument<string> First = new("FIRST") { Description = "Clip to start from; - is standard input" };
    private static readonly Argument<string> Second = new("SECOND") { Description = "Clip to lead into; - is standard input" };
    private static readonly Argument<string?> Prompt = new("PROMPT") { Description = "What happens; by default the first clip's prompt", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<string> Output = Options.Output("Clip to write");
    private static readonly Option<ClipTime?> Duration = Options.Duration();
    private static readonly Option<ClipTime?> From = Options.Value<ClipTime>("--from", "TIME", "Leave the first clip here; at its end by default", ClipTime.Parse);
    private static readonly Option<ClipTime?> To = Options.Value<ClipTime>("--to", "TIME", "Enter the second clip here; at its start by default", ClipTime.Parse);

    public static Verb Create() => new Verb("interpolate", "Makes the clip that leads from one clip into another", Body)
    {
        Details =
        [
            "The result begins with the frame where the first clip is left and ends with the one where the second is entered; the model sees how both move.",
            "If one of the two is -, every clip of the pipe is paired with the other; if both are -, the clips of the pipe are taken in pairs.",
        ],
        Examples = [new("sora interpolate a.latent b.latent --duration 2s -o ab.latent", "Two seconds from a to b")],
    }.With([First, Second, Prompt, Output, Duration, From, To, .. SamplingOptions.All]);

    private static void Body(ParseResult args, Run run)
    {
        var (first, second) = (args.GetValue(First)!, args.GetValue(Second)!);
        using var pipelines = new Pipelines(args, run);
        ClipPipe.Write(args, run, args.GetValue(Output)!, writer =>
        {
            foreach (var (from, to) in Pairs(run, first, second))
            {
                if (Between(args, run, from, to, pipelines) is { } between) writer.Write(between);
            }
        });
    }

    private static Clip? Between(ParseResult args, Run run, Clip from, Clip to, Pipelines pipelines)
    {
        var (first, second) = (args.GetValue(First)!, args.GetValue(Second)!);
        var (model, found) = SamplingOptions.ForClip(args, run, from);
        var (_, other) = SamplingOptions.ForClip(args, run, to);
        RequireAlike((from, found), (to, other), args.GetValue(SamplingOptions.Model), second);
        var seed = args.GetValue(SamplingOptions.Seed) ?? SamplingOptions.DrawSeed(run);
        var settings = found with { Prompt = args.GetValue(Prompt) ?? from.Info.Prompt ?? "", Seed = seed };
        var frames = (args.GetValue(Duration) ?? ClipTime.Seconds(2)).Length(settings.Fps);
        var leaves = (args.GetValue(From) ?? ClipTime.End).FrameIndex(found.Fps, found.Frames);
        var enters = (args.GetValue(To) ?? ClipTime.Frames(0)).FrameIndex(other.Fps, other.Frames);
        var piece = settings with { Frames = new JoinLengths(model, settings).Between(leaves + 1, other.Frames - enters, frames) };
        var longest = Math.Max(Math.Max(found.Frames, other.Frames), frames);
        if (!SamplingOptions.Plan(args, run, model, piece, new Given { Latents = true, Joined = longest })) return null;
        SamplingOptions.WarnOfLate(run, settings, frames);
        var between = new ClipJoiner(pipelines.For(model), settings, run.Cancel).Between((from, leaves), (to, enters), frames);
        return between with { History = [Entry(args, run, seed, [(first, from), (second, to)])] };
    }

    /// <summary>What leads where: every clip of a pipe from or to the one of a file, or those of a pipe two by two.</summary>
    private static IEnumerable<(Clip From, Clip To)> Pairs(Run run, string first, string second)
    {
        if (first != "-" || second != "-")
            return from one in ClipPipe.Read(run, first) from other in ClipPipe.Read(run, second) select (one, other);
        return ClipPipe.Read(run, "-").Chunk(2).Select(pair => pair is [var one, var other]
            ? (one, other)
            : throw SoraException.Failed("standard input has an odd number of clips, but they are taken in pairs", "cat a.latent b.latent | sora interpolate - -"));
    }

    /// <summary>The verb as it was called, with the histories of both clips; those from standard input get a name of their own.</summary>
    private static HistoryEntry Entry(ParseResult args, Run run, long seed, (string Word, Clip Clip)[] sources)
    {
        var entry = SamplingOptions.Entry(args, run, seed, keepsDash: true);
        var (words, clips) = (entry.Arguments.ToList(), new Dictionary<string, IReadOnlyList<HistoryEntry>>());
        var at = 0;
        foreach (var (word, clip) in sources)
        {
            at = words.IndexOf(word, at);
            if (word == "-" && clip.History.Count > 0) words[at] = $"standard input {clips.Count + 1}";
            clips[words[at++]] = clip.History;
        }
        return entry with { Arguments = words, Clips = clips };
    }

    private static void RequireAlike((Clip Clip, SamplingSettings Settings) from, (Clip Clip, SamplingSettings Settings) to, string? given, string second)
    {
        var (one, other) = (Kind(from), Kind(to));
        if (one.Size == other.Size && one.Fps == other.Fps && one.Channels == other.Channels && (one.Vae ?? other.Vae) == (other.Vae ?? one.Vae)) return;
        string Name((Clip Clip, SamplingSettings) which) => one.Size == other.Size && one.Fps == other.Fps ? $" from {which.Clip.Info.Model ?? "an unnamed model"}" : "";
        var model = (given ?? from.Clip.Info.Model) is { } name && name != "mini" ? $" --model {ShellWords.Quote(name)}" : "";
        // What was read from standard input is gone: it is to be saved first.
        var file = second == "-" ? "second.latent" : ShellWords.Quote(second);
        throw SoraException.Usage(
            FormattableString.Invariant($"the clips differ: {one.Size} at {one.Fps} frames per second{Name(from)} and {other.Size} at {other.Fps}{Name(to)}"),
            FormattableString.Invariant($"sora decode {file} | sora encode{model} --size {one.Size} --fps {one.Fps} -o same.latent"));
    }

    /// <summary>What two clips must have in common.</summary>
    private static (FrameSize Size, double Fps, long Channels, string? Vae) Kind((Clip Clip, SamplingSettings Settings) of) =>
        (new(of.Settings.Width, of.Settings.Height), of.Settings.Fps, of.Clip.FinishedLatents.Shape[1], of.Clip.Info.Vae);
}
