using System.Diagnostics;
using Sora.Clips;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Clips;

public class ClipTests
{
    private static readonly long[] Shape = [1, 16, 3, 4, 6];

    [Fact]
    public void AClipComesBackWhole()
    {
        var clip = Sample(1)
            .With("depth", HostTensor.FromFloats([0, 0.5f], [1, 1, 2], DType.F16))
            .With("mask of another tool", HostTensor.FromFloats([1], [1]))
            .WithMetadata("workflow", "{\"nodes\": []}");
        var again = new ClipReader().ReadAll(Written(clip), "pipe").Single();
        Assert.Equal(clip.Info, again.Info);
        Assert.Equal(Shape, again.FinishedLatents.Shape);
        Assert.Equal(clip.FinishedLatents.Data, again.FinishedLatents.Data);
        Assert.Equal(["depth", "mask of another tool"], again.Tensors.Keys.Order());
        Assert.Equal(DType.F16, again.Tensors["depth"].DType);
        Assert.Equal(clip.Tensors["depth"].Data, again.Tensors["depth"].Data);
        Assert.Equal(clip.Metadata, again.Metadata);
        Assert.Equal(History.ToJson(clip.History), History.ToJson(again.History));
    }

    [Fact]
    public void WhatComfyUiNeedsIsThere()
    {
        var document = SafeTensors.Read(Written(Sample(1)), "pipe")!;
        Assert.Equal(["latent_format_version_0", "latent_tensor"], document.Tensors.Keys.Order());
        Assert.Equal([0], document.Info("latent_format_version_0").Shape);
        Assert.Equal(DType.F32, document.Info("latent_format_version_0").DType);
    }

    [Fact]
    public void AComfyUiFileKeepsItsGraphAndIsRaw()
    {
        using var folder = new TemporaryFolder();
        var latents = Values(1);
        WriteForeign(
            folder["a.latent"],
            new() { ["latent_tensor"] = latents, ["latent_format_version_0"] = HostTensor.FromFloats([], [0]) },
            new() { ["prompt"] = "{\"3\": {}}", ["workflow"] = "{}" }
        );
        var clip = new ClipReader().ReadFile(folder["a.latent"]);
        Assert.Equal(latents.Data, clip.FinishedLatents.Data);
        Assert.Null(clip.Info.Prompt);
        var again = new ClipReader().ReadAll(Written(clip with { Info = clip.Info with { Prompt = "a ball" } }), "pipe").Single();
        Assert.Equal("a ball", again.Info.Prompt);
        Assert.Equal("{\"3\": {}}", again.Metadata["comfyui_prompt"]);
        Assert.Equal("{}", again.Metadata["workflow"]);
    }

    [Fact]
    public void TheOldestComfyUiFilesAreRescaledAndItIsSaid()
    {
        using var folder = new TemporaryFolder();
        WriteForeign(folder["a.latent"], new() { ["latent_tensor"] = Values(1) }, []);
        var notes = new Notes();
        var clip = new ClipReader { Reporter = notes }.ReadFile(folder["a.latent"]);
        Assert.Equal(Values(1).ToFloats()[5] / 0.18215f, clip.FinishedLatents.ToFloats()[5], 1e-5f);
        Assert.Contains("0.18215", Assert.Single(notes.Lines));
    }

    [Theory]
    [InlineData("latents")]
    [InlineData("anything")]
    public void PlainLatentsAreNeitherRescaledNorGuessedToBeNormalised(string name)
    {
        using var folder = new TemporaryFolder();
        WriteForeign(folder["a.safetensors"], new() { [name] = Values(2) }, []);
        var clip = new ClipReader { Space = LatentSpace.Normalised }.ReadFile(folder["a.safetensors"]);
        Assert.Equal(LatentSpace.Normalised, clip.Info.Space);
        Assert.Equal(Values(2).Data, clip.FinishedLatents.Data);
        Assert.Equal(LatentSpace.Raw, new ClipReader().ReadFile(folder["a.safetensors"]).Info.Space);
    }

    [Fact]
    public void HalfPrecisionOnRequest()
    {
        var stream = new MemoryStream();
        new ClipWriter(stream) { Storage = DType.BF16 }.Write(Sample(3));
        stream.Position = 0;
        var again = new ClipReader().ReadAll(stream, "pipe").Single();
        Assert.Equal(DType.BF16, again.FinishedLatents.DType);
        Assert.Equal(Values(3).To(DType.BF16).Data, again.FinishedLatents.Data);
    }

    [Fact]
    public void AnUnfinishedSamplingIsNoClip()
    {
        var unfinished = Sample(1) with { Latents = null };
        unfinished = unfinished.With("noise_state", Values(1)).WithMetadata("sampling", "{\"step\": 10}");
        var document = SafeTensors.Read(Written(unfinished), "pipe")!;
        Assert.Equal(["noise_state"], document.Tensors.Keys);
        var again = new ClipReader().ReadAll(Written(unfinished), "pipe").Single();
        Assert.True(again.IsUnfinished);
        Assert.Contains("--resume", Assert.Throws<SoraException>(() => again.FinishedLatents).Hint);
    }

    [Fact]
    public void SeveralClipsInAPipeOneInAFile()
    {
        using var folder = new TemporaryFolder();
        var stream = Written(Sample(1), Sample(2), Sample(3));
        Assert.Equal([1, 2, 3], new ClipReader().ReadAll(stream, "pipe").Select(clip => (int)clip.Info.Seed!));
        File.WriteAllBytes(folder["three.latent"], stream.ToArray());
        Assert.Contains(
            "after the last tensor",
            Assert.Throws<SoraException>(() => new ClipReader().ReadFile(folder["three.latent"])).Message
        );
        var writer = new ClipWriter(new MemoryStream(), isSingle: true);
        writer.Write(Sample(1));
        Assert.Equal(ErrorKind.Usage, Assert.Throws<SoraException>(() => writer.Write(Sample(2))).Kind);
    }

    [Fact]
    public void AStreamThatEndsInTheSecondClipGivesTheFirst()
    {
        var bytes = Written(Sample(1), Sample(2)).ToArray();
        using var clips = new ClipReader().ReadAll(new MemoryStream(bytes, 0, bytes.Length - 7), "standard input").GetEnumerator();
        Assert.True(clips.MoveNext());
        Assert.Contains("standard input (clip 2): cut off", Assert.Throws<SoraException>(() => clips.MoveNext()).Message);
    }

    [Fact]
    public void AnEmptyStreamIsAnError() =>
        Assert.Contains(
            "no clip arrived",
            Assert.Throws<SoraException>(() => new ClipReader().ReadAll(new MemoryStream(), "standard input").First()).Message
        );

    [Theory]
    [InlineData(new long[] { 1, 4, 8, 8 }, "still-image")]
    [InlineData(new long[] { 2, 16, 1, 2, 2 }, "batch of 2")]
    [InlineData(new long[] { 1, 16, 0, 2, 2 }, "not the latents of a video")]
    [InlineData(new long[] { 6 }, "not the latents of a video")]
    public void OtherShapesAreRefused(long[] shape, string message)
    {
        using var folder = new TemporaryFolder();
        WriteForeign(
            folder["a.latent"],
            new()
            {
                ["latent_tensor"] = HostTensor.FromFloats(new float[Shapes.Elements(shape)], shape),
                ["latent_format_version_0"] = HostTensor.FromFloats([], [0]),
            },
            []
        );
        Assert.Contains(message, Assert.Throws<SoraException>(() => new ClipReader().ReadFile(folder["a.latent"])).Message);
    }

    [Theory]
    [InlineData("fps", "fast")]
    [InlineData("width", "-3")]
    [InlineData("frames", "99999999999")]
    [InlineData("latent_space", "outer")]
    [InlineData("history", "{}")]
    [InlineData("history", "[{\"verb\": 1}]")]
    [InlineData("history", "not json")]
    [InlineData("sora_clip", "2")]
    public void BadMetadataIsNamed(string key, string value)
    {
        using var folder = new TemporaryFolder();
        var document = SafeTensors.Read(Written(Sample(1)), "pipe")!;
        WriteForeign(
            folder["a.latent"],
            document.Tensors.Keys.ToDictionary(name => name, document.Copy),
            new(document.Metadata) { [key] = value }
        );
        var fault = Assert.Throws<SoraException>(() => new ClipReader().ReadFile(folder["a.latent"]));
        Assert.StartsWith(folder["a.latent"], fault.Message);
        Assert.DoesNotContain('\n', fault.Message);
    }

    [Fact]
    public void AModelFileIsNoClip()
    {
        var path = Golden.Path("models", "fmt-t2v", "diffusion_pytorch_model.safetensors");
        Assert.Contains("not a clip", Assert.Throws<SoraException>(() => new ClipReader().ReadFile(path)).Message);
    }

    [Fact]
    public async Task AFifoIsReadLikeAPipe()
    {
        using var folder = new TemporaryFolder();
        Process.Start("mkfifo", folder["pipe"]).WaitForExit();
        var writing = Task.Run(() => AtomicFile.Write(folder["pipe"], stream => new ClipWriter(stream).Write(Sample(5))));
        Assert.Equal(5, new ClipReader().ReadFile(folder["pipe"]).Info.Seed);
        await writing;
        Assert.Equal(["pipe"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void TheCommandRemakesTheClip()
    {
        IReadOnlyList<HistoryEntry> other = [HistoryEntry.Of("encode", "my film.mp4")];
        IReadOnlyList<HistoryEntry> history =
        [
            HistoryEntry.Of("generate", "it's a \"red\" $ball", "--seed", "7"),
            HistoryEntry.Of("interpolate", "-", "b.latent") with
            {
                Clips = new Dictionary<string, IReadOnlyList<HistoryEntry>> { ["b.latent"] = other },
            },
        ];
        var again = History.Parse(History.ToJson(history));
        Assert.Equal(
            "sora generate 'it'\\''s a \"red\" $ball' --seed 7 | sora interpolate - <(sora encode \"my film.mp4\")",
            History.Command(again)
        );
    }

    [Theory]
    [InlineData("a b\tc")]
    [InlineData("it's $HOME `x` \\ \"q\" !")]
    [InlineData("")]
    [InlineData("~/*?[a]{b,c};|&<>()#\nnext")]
    public void QuotedWordsSurviveAShell(string word)
    {
        var start = new ProcessStartInfo("bash", ["-c", $"printf %s {ShellWords.Quote(word)}"]) { RedirectStandardOutput = true };
        using var shell = Process.Start(start)!;
        Assert.Equal(word, shell.StandardOutput.ReadToEnd());
    }

    private static HostTensor Values(int seed)
    {
        var random = new Random(seed);
        return HostTensor.FromFloats(
            [.. Enumerable.Range(0, (int)Shapes.Elements(Shape)).Select(_ => (float)random.NextDouble() - 0.5f)],
            Shape
        );
    }

    private static Clip Sample(int seed) =>
        new()
        {
            Latents = Values(seed),
            Info = new ClipInfo
            {
                Model = "mini",
                Vae = "f00d",
                Width = 48,
                Height = 32,
                Frames = 9,
                Fps = 23.976,
                Seed = seed,
                Prompt = "ein roter Ball – \"rollt\"\n",
            },
            History = [HistoryEntry.Of("generate", "ein roter Ball", "--seed", $"{seed}")],
        };

    private static MemoryStream Written(params Clip[] clips)
    {
        var stream = new MemoryStream();
        var writer = new ClipWriter(stream);
        foreach (var clip in clips)
            writer.Write(clip);
        stream.Position = 0;
        return stream;
    }

    private static void WriteForeign(string path, Dictionary<string, HostTensor> tensors, Dictionary<string, string> metadata) =>
        AtomicFile.Write(path, stream => SafeTensors.Write(stream, metadata, tensors));

    private sealed class Notes : Reporter
    {
        public List<string> Lines { get; } = [];

        public override void Note(string message) => Lines.Add(message);

        public override void Warn(string message) => Lines.Add(message);

        public override void Progress(string stage, long done, long total) { }
    }
}
