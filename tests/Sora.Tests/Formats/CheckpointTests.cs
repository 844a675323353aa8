using System.Runtime.InteropServices;
using System.Text.Json;
using Sora.Models.Checkpoints;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Formats;

public class CheckpointTests
{
    /// <summary>A file, whose weights it holds, and rounded to what.</summary>
    public static TheoryData<string, string, DType> Plain =>
        new()
        {
            { "fmt-t2v-sharded", "fmt-t2v", DType.F32 },
            { "fmt-t2v-variant", "fmt-t2v", DType.F16 },
            { "fmt-t2v-bf16", "fmt-t2v", DType.BF16 },
            { "fmt-i2v-variant-sharded", "fmt-i2v", DType.F16 },
            { "fmt-t2v-single/original.safetensors", "fmt-t2v", DType.F32 },
            { "fmt-t2v-single/comfy-f16.safetensors", "fmt-t2v", DType.F16 },
            { "fmt-i2v-single/original.safetensors", "fmt-i2v", DType.F32 },
            { "fmt-umt5-single/comfy-f16.safetensors", "fmt-umt5", DType.F16 },
            { "fmt-umt5-single/original-bf16.safetensors", "fmt-umt5", DType.BF16 },
        };

    [Theory]
    [MemberData(nameof(Plain))]
    public void EveryFormatGivesTheSameTensors(string file, string model, DType stored)
    {
        using var expected = Checkpoint.Open(Golden.Path("models", model));
        using var actual = Checkpoint.Open(Golden.Path(["models", .. file.Split('/')]));
        Assert.Equal(expected.Tensors.Keys.Order(StringComparer.Ordinal), actual.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, info) in expected.Tensors)
        {
            Assert.Equal(info.Shape, actual.Info(name).Shape);
            Assert.Equal(expected.Copy(name).To(stored).ToFloats(), actual.Floats(name));
        }
    }

    [Fact]
    public void LinksOfAHuggingFaceCacheAreFollowed()
    {
        // Made here, because links do not survive everywhere that a repository is copied to.
        using var folder = new Clips.TemporaryFolder();
        var blobs = Directory.CreateDirectory(folder["blobs"]);
        var snapshot = Directory.CreateDirectory(folder["snapshots/0123/transformer"]);
        File.Copy(Golden.Path("models", "fmt-i2v", "diffusion_pytorch_model.safetensors"), Path.Combine(blobs.FullName, "f40a"));
        File.CreateSymbolicLink(Path.Combine(snapshot.FullName, "diffusion_pytorch_model.safetensors"), "../../../blobs/f40a");
        using var expected = Checkpoint.Open(Golden.Path("models", "fmt-i2v"));
        using var actual = Checkpoint.Open(snapshot.FullName);
        Assert.All(expected.Tensors.Keys, name => Assert.Equal(expected.Copy(name).Data, actual.Copy(name).Data));
    }

    [Theory]
    [InlineData("fp8-scaled")]
    [InlineData("fp8-scaled-new")]
    public void BothSpellingsOfScaledFp8AreBitExact(string file)
    {
        using var golden = GoldenCase.Open("formats/fp8-scaled");
        using var actual = CheckpointFile.Open(Golden.Path("models", "fmt-t2v-single", file + ".safetensors"));
        using var plain = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        Assert.Equal(plain.Tensors.Keys.Order(StringComparer.Ordinal), actual.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var original in golden.Outputs)
            Assert.Equal(golden.Out(original), actual.Floats(KeyMaps.Transformer.Find(original)!));
    }

    [Fact]
    public void AScaledTensorReadsInParts()
    {
        using var file = CheckpointFile.Open(Golden.Path("models", "fmt-t2v-single", "fp8-scaled.safetensors"));
        const string name = "blocks.0.attn1.to_q.weight";
        var whole = file.Floats(name);
        Assert.Equal(DType.F32, file.Info(name).DType);
        Assert.Equal(whole, MemoryMarshal.Cast<byte, float>(file.Copy(name).Data).ToArray());
        var part = new float[100];
        file.ReadFloats(name, 123, part);
        Assert.Equal(whole.AsSpan(123, 100).ToArray(), part);
    }

    [Fact]
    public void PlainFp8IsRoundedFromTheSameWeights()
    {
        using var expected = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        using var actual = CheckpointFile.Open(Golden.Path("models", "fmt-t2v-single", "fp8-e4m3fn.safetensors"));
        foreach (var (name, info) in actual.Tensors)
            Assert.Equal(expected.Copy(name).To(info.DType).ToFloats(), actual.Floats(name));
        Assert.Equal(DType.F8E4M3, actual.Info("blocks.0.attn1.to_q.weight").DType);
    }

    [Fact]
    public void ScalesCanBeOneForEachRow()
    {
        using var folder = new Clips.TemporaryFolder();
        var weight = HostTensor.FromFloats([1, 2, 3, 4], [2, 2], DType.F8E4M3);
        Write(folder["rows.safetensors"], new() { ["a.weight"] = weight, ["a.scale_weight"] = HostTensor.FromFloats([10, 100], [2, 1]) });
        using var rows = CheckpointFile.Open(folder["rows.safetensors"]);
        Assert.Equal([10, 20, 300, 400], rows.Floats("a.weight"));
        Write(folder["wrong.safetensors"], new() { ["a.weight"] = weight, ["a.scale_weight"] = HostTensor.FromFloats([1, 2, 3], [3]) });
        Assert.Contains("a.scale_weight", Assert.Throws<SoraException>(() => CheckpointFile.Open(folder["wrong.safetensors"])).Message);
    }

    [Fact]
    public void AnUnknownQuantisationIsNamed()
    {
        using var folder = new Clips.TemporaryFolder();
        Write(
            folder["a.safetensors"],
            new()
            {
                ["a.weight"] = new HostTensor(DType.U8, [1], [1]),
                ["a.comfy_quant"] = new HostTensor(DType.U8, [19], "{\"format\": \"nvfp4\"}"u8.ToArray()),
            }
        );
        Assert.Contains("nvfp4", Assert.Throws<SoraException>(() => CheckpointFile.Open(folder["a.safetensors"])).Message);
    }

    [Fact]
    public void TheTextEncodersOfLlamaCppAndComfyUiHaveEveryTensor()
    {
        using var expected = Checkpoint.Open(Golden.Path("models", "fmt-umt5"));
        foreach (var file in (string[])["t5encoder.gguf", "comfy-fp8-scaled.safetensors"])
        {
            using var actual = CheckpointFile.Open(Golden.Path("models", "fmt-umt5-single", file));
            Assert.Equal(expected.Tensors.Keys.Order(StringComparer.Ordinal), actual.Tensors.Keys.Order(StringComparer.Ordinal));
            foreach (var (name, info) in expected.Tensors)
            {
                Assert.Equal(info.Shape, actual.Info(name).Shape);
                // Eight bits: three or more of mantissa, or 1/127 of the largest of 32.
                Assert.InRange(GoldenCase.RelativeError(actual.Floats(name), expected.Floats(name)), 0, 0.05);
            }
        }
    }

    [Fact]
    public void TheGgufTransformerHasOurNamesAndTheReferencesValues()
    {
        using var golden = GoldenCase.Open("formats/gguf-wan");
        using var actual = CheckpointFile.Open(Golden.Path("models", "fmt-gguf", "wan.gguf"));
        const string sampled = "every_257th.";
        foreach (var output in golden.Outputs.Where(name => name.StartsWith(sampled)))
        {
            var values = actual.Floats(KeyMaps.Transformer.Find(output[sampled.Length..])!);
            Assert.Equal(golden.Out(output), values.Where((_, i) => i % 257 == 0));
        }
        Assert.Equal([1, 6, 256], actual.Info("blocks.0.scale_shift_table").Shape);
    }

    [Theory]
    [InlineData("comfy-f16.safetensors")]
    [InlineData("comfy-fp8-scaled.safetensors")]
    public void TheTokenizerInsideATextEncoder(string file) =>
        Assert.Equal(
            File.ReadAllBytes(Golden.Path("models", "fmt-umt5", "spiece.model")),
            CheckpointFile.SentencePiece(Golden.Path("models", "fmt-umt5-single", file))
        );

    [Fact]
    public void KeyMapsAreTheReferences()
    {
        AssertMap("transformer", "original", "diffusers", KeyMaps.Transformer.Find);
        AssertMap("vae21", "original", "diffusers", KeyMaps.Vae21);
        AssertMap("vae22", "original", "diffusers", KeyMaps.Vae22);
        AssertMap("umt5", "original", "huggingface", KeyMaps.TextEncoder.Find);
        AssertMap("umt5", "gguf", "huggingface", KeyMaps.TextEncoderGguf.Find);
    }

    [Fact]
    public void AnExtraEmbeddingTableIsTheSharedOne()
    {
        using var folder = new Clips.TemporaryFolder();
        var table = HostTensor.FromFloats([1, 2], [2]);
        Write(folder["one.safetensors"], new() { ["encoder.embed_tokens.weight"] = table });
        Write(folder["both.safetensors"], new() { ["encoder.embed_tokens.weight"] = table, ["shared.weight"] = table });
        foreach (var file in (string[])["one.safetensors", "both.safetensors"])
        {
            using var source = CheckpointFile.Open(folder[file]);
            Assert.Equal(["shared.weight"], source.Tensors.Keys);
            Assert.Equal([1, 2], source.Floats("shared.weight"));
        }
    }

    private static void AssertMap(string file, string theirs, string ours, Func<string, string?> map)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "formats", $"keymap-{file}.json")));
        foreach (var entry in document.RootElement.GetProperty("entries").EnumerateArray())
        {
            Assert.Equal(
                entry.GetProperty(ours).GetString()!.Replace("{i}", "17"),
                map(entry.GetProperty(theirs).GetString()!.Replace("{i}", "17"))
            );
        }
    }

    private static void Write(string path, Dictionary<string, HostTensor> tensors) =>
        AtomicFile.Write(path, stream => SafeTensors.Write(stream, new Dictionary<string, string>(), tensors));
}
