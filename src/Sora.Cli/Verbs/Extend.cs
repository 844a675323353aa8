using System.CommandLine;
using Sora.Clips;
using Sora.Conditions;
using Sora.Pipelines;

namespace Sora.Cli.Verbs;

/// <summary>Makes clips longer, forward and backward, or closes them to a loop.</summary>
internal static class Extend
{
    private static readonly Argument<string[]> Words = new("[CLIP] [PROMPT]")
    {
        Description = "Clip to extend (standard input when left out or -), and what happens; by default the clip's own prompt",
        Arity = new ArgumentArity(0, 2),
    };
    private static readonly Option<string> Output = Options.Output("Clip to write");
    private static readonly Option<ClipTime?> After = Options.Value<ClipTime>(
        "--after",
        "TIME",
        "Add this much at the end (2s, 33f)",
        ClipTime.Parse
    );
    private static readonly Option<ClipTime?> Before = Options.Value<ClipTime>(
        "--before",
        "TIME",
        "Add this much at the beginning",
        ClipTime.Parse
    );
    private static readonly Option<bool> Loop = new("--loop")
    {
        Description = "Lead back to the first frame, in the time of --after (1s by default)",
    };

    public static Verb Create() =>
        new Verb("extend", "Makes a clip longer, or closes it to a loop", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "With --after the clip is kept bit for bit. "
                    + "With --before and --loop, kept frames that move to a later position pass through the VAE once more.",
                "Any length works: windows (--window) slide along the video and overlap (--overlap). "
                    + "--prompt-at changes the prompt along the way.",
                "A single argument that is not a file is the prompt; the clip then comes from standard input.",
            ],
            Examples =
            [
                new("sora extend ball.latent --after 3s \"it stops and spins\" -o long.latent", "Continue a clip"),
                new("sora extend ball.latent --loop | sora decode -o loop.mp4", "Make a video that loops without a seam"),
            ],
        }.With([Words, Output, After, Before, Loop, SamplingOptions.Checkpoint, .. SamplingOptions.All]);

    private static Args Parse(ParseResult parse)
    {
        var (name, prompt) = parse.GetValue(Words)! switch
        {
            [] => ("-", null),
            [var word] => ClipPipe.IsClip(word) ? (word, (string?)null) : ("-", word),
            [var word, var text, ..] => (word, text),
        };
        return new Args(
            SamplingOptions.Parse(parse),
            name,
            prompt,
            parse.GetValue(Output)!,
            parse.GetValue(After),
            parse.GetValue(Before),
            parse.GetValue(Loop)
        );
    }

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        SamplingArgs Sampling,
        string Name,
        string? Prompt,
        string Output,
        ClipTime? After,
        ClipTime? Before,
        bool Loop
    )
    {
        public void Execute(Run run)
        {
            if (After is null && Before is null && !Loop)
                throw SoraException.Usage("nothing to do", "add --after 2s, --before 2s or --loop");
            if (Loop && Before is not null)
                throw SoraException.Usage("--loop does not go with --before", "extend the clip first, then close the loop");
            if (Sampling.Checkpoint is not null && (Loop || Before is not null))
            {
                throw SoraException.Usage(
                    "--checkpoint saves the state of a single sampling run, but --before and --loop return to frames between several",
                    "leave --checkpoint out, or extend with --after first"
                );
            }
            Sampling.WriteEach(run, Output, () => ClipPipe.Read(run, Name), (clip, pipelines) => Longer(run, clip, pipelines));
        }

        private Clip? Longer(Run run, Clip clip, Pipelines pipelines)
        {
            var (model, found) = Sampling.ForClip(run, clip);
            var seed = Sampling.Seed ?? SamplingArgs.DrawSeed(run);
            var settings = found with { Prompt = Prompt ?? clip.Info.Prompt ?? "", Seed = seed };
            var added = (After ?? (Loop ? ClipTime.Seconds(1) : null))?.Length(settings.Fps) ?? 0;
            var ahead = Before?.Length(settings.Fps) ?? 0;
            var lengths = new JoinLengths(model, settings);
            var piece =
                Loop ? lengths.Loop(settings.Frames, added)
                : added > 0 ? lengths.After(settings.Frames, added)
                : 0;
            if (ahead > 0)
                piece = Math.Max(piece, lengths.Before(settings.Frames + added, ahead));
            var frames = settings.Frames + added + ahead;
            var request = new GenerationRequest(settings with { Frames = piece })
            {
                KnowsLatents = true,
                JoinedFrames = Loop || ahead > 0 ? frames : null,
            };
            if (!Sampling.Plan(run, model, request))
                return null;
            SamplingArgs.WarnOfLate(run, settings, frames);
            var joins = new ClipJoiner(pipelines.For(model), settings, run.Cancel);
            var entry = Sampling.Entry(seed, ClipPipe.Source(Name, clip));
            var made = clip;
            if (Loop)
                made = joins.Loop(clip, added);
            else if (added > 0)
                made = joins.After(clip, added, new RunOptions { Checkpoint = Sampling.Keep(entry) });
            if (ahead > 0)
                made = joins.Before(made, ahead);
            return made.After(entry);
        }
    }
}
