using Sora.Models.Text;
using Sora.Tensors;
using Sora.Tests.Models;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Text;

public class TextEncoderTests
{
    public static TheoryData<string> Cases =>
        [
            .. Directory
                .GetFiles(Golden.Path("cases", "text"), "wan-prompt-embeds-*")
                .Select(path => Path.GetFileNameWithoutExtension(path))
                .Order(),
        ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void EmbedsPromptsAsTheOriginalPipelines(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"text/{name}");
        var prompts = golden.Params.GetProperty("prompts").EnumerateArray().Select(prompt => prompt.GetString()!).ToArray();
        var length = golden.Params.GetProperty("max_sequence_length").GetInt32();
        var videos = golden.Params.GetProperty("num_videos_per_prompt").GetInt64();
        using var encoder = TextEncoder.Open(Path.Combine(golden.Model, "tokenizer"), Path.Combine(golden.Model, "text_encoder"));

        var padded = prompts.Select(prompt => encoder.Tokenizer.EncodePadded(PromptCleaner.Clean(prompt), length)).ToArray();
        Assert.Equal(golden.InIntegers("input_ids"), padded.SelectMany(each => each.Ids).Select(id => (long)id));
        Assert.Equal(golden.InIntegers("attention_mask"), padded.SelectMany(each => each.Mask).Select(one => (long)one));

        var embeddings = encoder.Encode(prompts, length);
        golden.Check("prompt_embeds", embeddings.repeat_interleave(videos, 0));
        for (var i = 0; i < prompts.Length; i++)
            Assert.Equal(0, embeddings[i].narrow(0, padded[i].Mask.Sum(), length - padded[i].Mask.Sum()).abs().sum().item<float>());
    }

    [Fact]
    public void AnEmbeddingIsComputedOnceAndThenReadFromTheCache()
    {
        using var scope = NewDisposeScope();
        var folder = Directory.CreateTempSubdirectory("sora-cache-").FullName;
        var fresh = Encode(new EmbeddingCache(folder));
        var file = Assert.Single(Directory.GetFiles(folder));
        Assert.Equal(TensorIO.ToHost(fresh).Data, TensorIO.ToHost(Encode(new EmbeddingCache(folder))).Data);

        // What lies there is what is used.
        var zeros = HostTensor.FromFloats(new float[fresh.numel()], fresh.shape);
        new EmbeddingCache(folder).Store(Path.GetFileNameWithoutExtension(file), zeros);
        Assert.Equal(0, Encode(new EmbeddingCache(folder)).abs().sum().item<float>());
    }

    [Fact]
    public void ACacheThatCannotBeWrittenIsAWarning()
    {
        using var scope = NewDisposeScope();
        var file = Path.GetTempFileName();
        var reporter = new Warnings();
        Assert.Equal([3, 48], Encode(new EmbeddingCache(Path.Combine(file, "below")), reporter).shape);
        Assert.Contains("below", Assert.Single(reporter.Lines));
        File.Delete(file);
    }

    [Fact]
    public void TheCacheKeepsAndFindsWhatItWasGiven()
    {
        var folder = Path.Combine(Directory.CreateTempSubdirectory("sora-cache-").FullName, "new");
        var cache = new EmbeddingCache(folder);
        var key = EmbeddingCache.Key("0123", DType.BF16, [4, 5, 1]);
        Assert.Null(cache.Find(key));
        var embedding = HostTensor.FromFloats([1, -2.5f, 3, 0, 7, 8], [3, 2], DType.BF16);
        Parallel.For(0, 8, _ => cache.Store(key, embedding));
        var found = cache.Find(key)!;
        Assert.Equal(DType.BF16, found.DType);
        Assert.Equal(embedding.Data, found.Data);
        Assert.Equal([3, 2], found.Shape);
        Assert.Single(Directory.GetFiles(folder));
    }

    [Fact]
    public void AKeyDependsOnModelTypeAndTokens()
    {
        string[] keys =
        [
            EmbeddingCache.Key("a", DType.F32, [1, 23]),
            EmbeddingCache.Key("b", DType.F32, [1, 23]),
            EmbeddingCache.Key("a", DType.BF16, [1, 23]),
            EmbeddingCache.Key("a", DType.F32, [12, 3]),
        ];
        Assert.Equal(4, keys.Distinct().Count());
    }

    private static Tensor Encode(EmbeddingCache cache, Reporter? reporter = null)
    {
        var model = Golden.Path("models", "umt5-tiny");
        using var encoder = TextEncoder.OpenCached(
            Path.Combine(model, "tokenizer"),
            Path.Combine(model, "text_encoder"),
            cache,
            reporter ?? Reporter.Silent
        );
        return encoder.Rows("a ball", 512);
    }

    private sealed class Warnings : Reporter
    {
        public List<string> Lines { get; } = [];

        public override void Note(string message) { }

        public override void Warn(string message) => Lines.Add(message);

        public override void Progress(string stage, long done, long total) { }
    }
}
