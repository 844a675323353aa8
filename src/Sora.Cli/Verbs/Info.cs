using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sora.Clips;
using Sora.Models.Text;

namespace Sora.Cli.Verbs;

/// <summary>Says what a clip or a model is.</summary>
internal static class Info
{
    public static Verb Create()
    {
        var clip = Options.Clip();
        var model = Options.Model();
        var json = new Option<bool>("--json") { Description = "One JSON object for each clip, on a line of its own" };
        var command = new Option<bool>("--command") { Description = "Print the pipeline that makes the clip again" };
        var prompt = new Option<string?>("--prompt") { Description = "Show a prompt as the model sees it: cleaned, its tokens, the words that it doesn't know", HelpName = "TEXT" };
        var raw = new Option<bool>("--raw") { Description = "With --prompt: don't clean the text" };
        return new Verb("info", "Says what a clip or a model is", (args, run) =>
        {
            if (args.GetValue(raw) && args.GetValue(prompt) == null) throw SoraException.Usage("--raw has no meaning without --prompt");
            if (args.GetValue(prompt) is { } text) WritePrompt(run, args.GetValue(model), args.GetValue(raw) ? text : PromptCleaner.Clean(text), args.GetValue(json));
            else if (args.GetValue(command)) ForEach(run, args.GetValue(clip)!, header => WriteCommand(run, header));
            else if (args.GetValue(json)) ForEach(run, args.GetValue(clip)!, header => WriteJson(run, to => ClipSummary.WriteJson(header, to)));
            else ForEach(run, args.GetValue(clip)!, header => ClipSummary.WriteText(header, run.Out));
        })
        {
            Details =
            [
                "A clip says how large and how long it is, which model made it from which prompt, and with which verbs: --command prints them as a pipeline.",
            ],
            Examples =
            [
                new("sora info ball.latent", "Show what a clip is"),
                new("sora info --command ball.latent", "Show how it was made"),
                new("sora info --prompt \"a red ball\" --json", "Show the tokens of a prompt"),
            ],
        }.With(clip, json, command, model, prompt, raw);
    }

    private static void ForEach(Run run, string name, Action<ClipHeader> show)
    {
        if (name != "-" && !FileType.IsPipe(name))
        {
            using var file = SafeTensorsFile.Open(name);
            show(ClipHeader.Read(file));
            return;
        }
        using var input = run.OpenInput(name);
        foreach (var header in new ClipReader().ReadHeaders(input, name == "-" ? "standard input" : name, run.Cancel)) show(header);
    }

    private static void WriteCommand(Run run, ClipHeader clip) => run.Out.WriteLine(clip.History.Count > 0
        ? History.Command(clip.History)
        : throw SoraException.Failed($"{clip.Origin}: the clip doesn't say how it was made", "only clips that sora wrote have a history"));

    private static void WritePrompt(Run run, string? model, string text, bool asJson)
    {
        var tokenizer = Tokenizer.Load(Path.Combine(model ?? "", "tokenizer"));
        var ids = tokenizer.Encode(text);
        var tokens = tokenizer.Tokens(ids);
        var unknown = tokenizer.UnknownWords(text);
        if (asJson)
        {
            WriteJson(run, to =>
            {
                to.WriteStartObject();
                to.WriteString("cleaned", text);
                to.WriteStartArray("ids");
                foreach (var id in ids) to.WriteNumberValue(id);
                to.WriteEndArray();
                WriteStrings(to, "tokens", tokens);
                WriteStrings(to, "unknown", unknown);
                to.WriteEndObject();
            });
            return;
        }
        ClipSummary.Row(run.Out, "cleaned", text);
        ClipSummary.Row(run.Out, "tokens", string.Join(' ', tokens));
        ClipSummary.Row(run.Out, "ids", string.Join(' ', ids));
        ClipSummary.Row(run.Out, "unknown", unknown.Count == 0 ? "none" : string.Join(' ', unknown));
    }

    private static void WriteStrings(Utf8JsonWriter to, string name, IEnumerable<string> values)
    {
        to.WriteStartArray(name);
        foreach (var value in values) to.WriteStringValue(value);
        to.WriteEndArray();
    }

    private static void WriteJson(Run run, Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) write(json);
        run.Out.WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }
}
