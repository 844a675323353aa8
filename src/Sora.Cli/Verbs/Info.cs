using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sora.Clips;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Tensors;

namespace Sora.Cli.Verbs;

/// <summary>Says what a clip or a model is.</summary>
internal static class Info
{
    private static readonly Argument<string> ClipName = Options.Clip();
    private static readonly Option<string?> Model = Options.Model();
    private static readonly Option<bool> Models = new("--models") { Description = "List the models that are installed" };
    private static readonly Option<bool> OfSystem = new("--system")
    {
        Description = "Show what sora runs on here: libtorch, devices, threads, kernels, memory, ffmpeg",
    };
    private static readonly Option<bool> AsJson = new("--json") { Description = "One JSON object per clip, each on its own line" };
    private static readonly Option<bool> Command = new("--command") { Description = "Print the pipeline that remakes the clip" };
    private static readonly Option<string?> Sheet = new("--sheet")
    {
        Description = "Draw frames of each clip into this picture, one row per clip, and one of their depth below it if the clip has any",
        HelpName = "FILE",
    };
    private static readonly Option<string?> Prompt = new("--prompt")
    {
        Description = "Show a prompt as the model sees it: the cleaned text, its tokens, and the words it doesn't know",
        HelpName = "TEXT",
    };
    private static readonly Option<bool> Raw = new("--raw") { Description = "With --prompt: don't clean the text" };

    public static Verb Create() =>
        new Verb("info", "Describes a clip or a model", (parse, run) => Parse(parse).Execute(run))
        {
            Details =
            [
                "For a clip it shows the size and length, the model and prompt that made it, and the verbs that were applied: "
                    + "--command prints those as a pipeline.",
                "For a model it shows the parts, their sizes and the fingerprint of the VAE, "
                    + "which tells whether a clip is in the same latent space. "
                    + "For a single file of weights it shows the tensors, under the names that sora uses.",
            ],
            Examples =
            [
                new("sora info ball.latent", "Show what a clip is"),
                new("sora info --command ball.latent", "Show how it was made"),
                new("sora info --model mini", "Show what a model is"),
                new("sora info --system", "Show what sora runs on"),
                new("sora info --prompt \"a red ball\" --json", "Show the tokens of a prompt"),
            ],
        }.With([ClipName, AsJson, Command, Sheet, Model, .. ModelOptions.All, Models, OfSystem, Prompt, Raw]);

    private static Args Parse(ParseResult parse) =>
        new(
            parse.GetValue(ClipName)!,
            parse.GetValue(Model),
            ModelOptions.Paths(parse),
            Models: parse.GetValue(Models),
            OfSystem: parse.GetValue(OfSystem),
            AsJson: parse.GetValue(AsJson),
            Command: parse.GetValue(Command),
            Sheet: parse.GetValue(Sheet),
            Prompt: parse.GetValue(Prompt),
            Raw: parse.GetValue(Raw)
        );

    /// <summary>What the command line says.</summary>
    private sealed record Args(
        string ClipName,
        string? Model,
        PartPaths Parts,
        bool Models,
        bool OfSystem,
        bool AsJson,
        bool Command,
        string? Sheet,
        string? Prompt,
        bool Raw
    )
    {
        public void Execute(Run run)
        {
            if (Raw && Prompt == null)
                throw SoraException.Usage("--raw needs --prompt");
            if (OfSystem)
                ShowSystem(run, AsJson);
            else if (Prompt is not null)
                ShowPrompt(run, PromptSummary.Of(Raw ? Prompt : PromptCleaner.Clean(Prompt), Model), AsJson);
            else if (Sheet is not null)
                FrameSheet.Draw(run, ClipPipe.Read(run, ClipName), Model, Sheet);
            else if (Models)
                ShowModels(run, AsJson);
            else if ((Model ?? ModelFolderIn(ClipName)) is { } named)
                ShowModel(run, VideoModel.Open(named, Parts), AsJson);
            else if (Command)
                Show(run, ClipName, clip => WriteCommand(run, clip), NoCommand);
            else
                Show(run, ClipName, clip => ShowClip(run, clip, AsJson), weights => ShowWeights(run, weights, AsJson));
        }
    }

    /// <summary>Clips from a file or a pipe; a file may also hold weights.</summary>
    private static void Show(Run run, string name, Action<ClipHeader> showClip, Action<TensorSource> showWeights)
    {
        if (name != "-" && !FileType.IsPipe(name))
        {
            using var file = CheckpointFile.Open(name);
            if (ClipHeader.IsClip(file))
                showClip(ClipHeader.Read(file));
            else
                showWeights(file);
            return;
        }
        using var input = run.OpenInput(name);
        foreach (var header in new ClipReader().ReadHeaders(input, name == "-" ? "standard input" : name, run.Cancel))
            showClip(header);
    }

    /// <summary>The argument, if it is the folder of a model and not a clip.</summary>
    private static string? ModelFolderIn(string name) => Directory.Exists(name) && ModelLocator.IsModel(name) ? name : null;

    private static void WriteCommand(Run run, ClipHeader clip) =>
        run.Out.WriteLine(
            clip.History.Count > 0
                ? History.Command(clip.History)
                : throw SoraException.Failed($"{clip.Origin}: the clip has no history", "only clips written by sora have one")
        );

    private static void NoCommand(TensorSource weights) => throw SoraException.Failed($"{weights.Origin}: weights, not a clip");

    private static void ShowClip(Run run, ClipHeader clip, bool asJson)
    {
        if (asJson)
            WriteJson(run, to => ClipSummary.WriteJson(clip, to));
        else
            ClipSummary.WriteText(clip, run.Out);
    }

    private static void ShowWeights(Run run, TensorSource weights, bool asJson)
    {
        if (asJson)
            WriteJson(run, to => ModelSummary.WriteJson(weights, to));
        else
            ModelSummary.WriteText(weights, run.Out);
    }

    private static void ShowModel(Run run, VideoModel model, bool asJson)
    {
        if (asJson)
            WriteJson(run, to => ModelSummary.WriteJson(model, to));
        else
            ModelSummary.WriteText(model, run.Out);
    }

    private static void ShowModels(Run run, bool asJson)
    {
        if (asJson)
        {
            WriteJson(
                run,
                to =>
                {
                    to.WriteStartArray();
                    foreach (var name in ModelLocator.Installed())
                        to.WriteStringValue(name);
                    to.WriteEndArray();
                }
            );
            return;
        }
        foreach (var name in ModelLocator.Installed())
            run.Out.WriteLine(name);
    }

    private static void ShowSystem(Run run, bool asJson)
    {
        var system = SystemSummary.Of();
        if (asJson)
            WriteJson(run, system.WriteJson);
        else
            system.WriteText(run.Out);
    }

    private static void ShowPrompt(Run run, PromptSummary prompt, bool asJson)
    {
        if (asJson)
            WriteJson(run, prompt.WriteJson);
        else
            prompt.WriteText(run.Out);
    }

    private static void WriteJson(Run run, Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            write(json);
        run.Out.WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }
}
