using System.CommandLine;
using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Pipelines;

namespace Sora.Cli.Verbs;

/// <summary>Makes the clip between two clips.</summary>
internal static class Interpolate
{
    private static readonly Argument<string> First = new("FIRST") { Description = "Clip to start from; - is standard input" };
    private static readonly Argument<string> Second = new("SECOND") { Description = "Clip to lead into; - is standard input" };
    private static readonly Argument<string?> Prompt = new("PROMPT")
    {
        Description = "What happens; by default the first clip's prompt",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string> Output = Options.Output("Clip to write");
    private static readonly Option<ClipTime?> Duration = Options.Duration();
    private static readonly Option<ClipTime?> From = Options.Value<ClipTime>(
        "--from",
        "TIME",
        "Leave the first clip here; at its end by default",
        ClipTime.Parse
    );
    private static readonly Option<ClipTime?> To = Options.Value<ClipTime>(
        "--to",
        "TIME",
        "Enter the second clip here; at its start by default",
        ClipTime.Parse
    );

    public static Verb Create() =>
        new Verb("interpolate", "Makes the clip that leads from one clip into another", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "The result begins with the frame where the first clip is left and ends with the one where the second is entered; "
                    + "the model sees how both move.",
                "If one of the two is -, every clip of the pipe is paired with the other; "
                    + "if both are -, the clips of the pipe are taken in pairs.",
            ],
            Examples = [new("sora interpolate a.latent b.latent --duration 2s -o ab.latent", "Two seconds from a to b")],
        }.With([First, Second, Prompt, Output, Duration, From, To, .. SamplingOptions.All]);

    private static Args Parse(ParseResult parse) =>
        new(
            SamplingOptions.Parse(parse, keepsDash: true),
            parse.GetValue(First)!,
            parse.GetValue(Second)!,
            parse.GetValue(Prompt),
            parse.GetValue(Output)!,
            parse.GetValue(Duration),
            parse.GetValue(From),
            parse.GetValue(To)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        SamplingArgs Sampling,
        string First,
        string Second,
        string? Prompt,
        string Output,
        ClipTime? Duration,
        ClipTime? From,
        ClipTime? To
    )
    {
        public void Execute(Run run) =>
            Sampling.WriteEach(
                run,
                Output,
                () => Pairs(run, First, Second),
                (pair, pipelines) => Between(run, pair.From, pair.To, pipelines)
            );

        private Clip? Between(Run run, Clip from, Clip to, Pipelines pipelines)
        {
            var (model, found) = Sampling.ForClip(run, from);
            var (_, other) = Sampling.ForClip(run, to);
            RequireAlike((from, found), (to, other), Sampling.Model, Second);
            var seed = Sampling.Seed ?? SamplingArgs.DrawSeed(run);
            var settings = found with { Prompt = Prompt ?? from.Info.Prompt ?? "", Seed = seed };
            var frames = (Duration ?? ClipTime.Seconds(2)).Length(settings.Fps);
            var leaves = (From ?? ClipTime.End).FrameIndex(found.Fps, found.Frames);
            var enters = (To ?? ClipTime.Frames(0)).FrameIndex(other.Fps, other.Frames);
            var piece = settings with { Frames = new JoinLengths(model, settings).Between(leaves + 1, other.Frames - enters, frames) };
            var longest = Math.Max(Math.Max(found.Frames, other.Frames), frames);
            if (!Sampling.Plan(run, model, new GenerationRequest(piece) { KnowsLatents = true, JoinedFrames = longest }))
                return null;
            SamplingArgs.WarnOfLate(run, settings, frames);
            var between = new ClipJoiner(pipelines.For(model), settings, run.Cancel).Between((from, leaves), (to, enters), frames);
            return between with { History = [Entry(seed, from, to)] };
        }

        /// <summary>The verb in the clip's history, with those of both clips; one from standard input gets a name of its own.</summary>
        private HistoryEntry Entry(long seed, Clip from, Clip to)
        {
            var entry = Sampling.Entry(seed);
            var (words, clips) = (entry.Arguments.ToList(), new Dictionary<string, IReadOnlyList<HistoryEntry>>());
            var at = 0;
            foreach (var (word, clip) in new[] { (First, from), (Second, to) })
            {
                at = words.IndexOf(word, at);
                if (word == "-" && clip.History.Count > 0)
                    words[at] = $"standard input {clips.Count + 1}";
                clips[words[at++]] = clip.History;
            }
            return entry with { Arguments = words, Clips = clips };
        }
    }

    /// <summary>The pairs: every clip of a pipe with the one of a file, or the clips of a pipe two by two.</summary>
    private static IEnumerable<(Clip From, Clip To)> Pairs(Run run, string first, string second)
    {
        if (first != "-" || second != "-")
            return from one in ClipPipe.Read(run, first) from other in ClipPipe.Read(run, second) select (one, other);
        return ClipPipe
            .Read(run, "-")
            .Chunk(2)
            .Select(pair =>
                pair is [var one, var other]
                    ? (one, other)
                    : throw SoraException.Failed(
                        "standard input has an odd number of clips, but they are taken in pairs",
                        "cat a.latent b.latent | sora interpolate - -"
                    )
            );
    }

    private static void RequireAlike(
        (Clip Clip, SamplingSettings Settings) from,
        (Clip Clip, SamplingSettings Settings) to,
        string? given,
        string second
    )
    {
        var (one, other) = (Kind(from), Kind(to));
        if (
            one.Size == other.Size
            && one.Fps == other.Fps
            && one.Channels == other.Channels
            && (one.Vae ?? other.Vae) == (other.Vae ?? one.Vae)
        )
            return;
        string Name((Clip Clip, SamplingSettings) which) =>
            one.Size == other.Size && one.Fps == other.Fps ? $" from {which.Clip.Info.Model ?? "an unnamed model"}" : "";
        var model = (given ?? from.Clip.Info.Model) is { } name && name != "mini" ? $" --model {ShellWords.Quote(name)}" : "";
        // What was read from standard input is gone: it must be saved first.
        var file = second == "-" ? "second.latent" : ShellWords.Quote(second);
        throw SoraException.Usage(
            FormattableString.Invariant(
                $"the clips differ: {one.Size} at {one.Fps} frames per second{Name(from)} and {other.Size} at {other.Fps}{Name(to)}"
            ),
            FormattableString.Invariant($"sora decode {file} | sora encode{model} --size {one.Size} --fps {one.Fps} -o same.latent")
        );
    }

    /// <summary>What two clips must have in common.</summary>
    private static (FrameSize Size, double Fps, long Channels, string? Vae) Kind((Clip Clip, SamplingSettings Settings) of) =>
        (new(of.Settings.Width, of.Settings.Height), of.Settings.Fps, of.Clip.FinishedLatents.Shape[1], of.Clip.Info.Vae);
}
