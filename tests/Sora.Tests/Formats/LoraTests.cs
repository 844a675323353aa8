using Sora.Models.Checkpoints;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Formats;

public class LoraTests
{
    [Theory]
    [InlineData("lora-a", "a-peft")]
    [InlineData("lora-a", "a-peft-folded")]
    [InlineData("lora-a", "a-kohya")]
    [InlineData("lora-a", "a-comfy")]
    [InlineData("lora-a", "a-comfy-updown")]
    [InlineData("lora-b", "b-comfy")]
    [InlineData("lora-b", "b-peft")]
    [InlineData("lora-b", "b-comfy-diff")]
    public void EverySpellingGivesTheMergedWeights(string name, string file)
    {
        using var golden = GoldenCase.Open($"formats/{name}");
        var weight = golden.Params.GetProperty("loras")[0][1].GetDouble();
        using var merged = Merge("fmt-t2v", new LoraOption(PathOf($"{file}.safetensors"), weight));
        using var plain = Checkpoint.Open(golden.Model);
        var shown = golden.Outputs.Where(output => output != "sample").ToList();
        Assert.NotEmpty(shown);
        foreach (var output in shown)
        {
            Assert.InRange(GoldenCase.RelativeError(merged.Floats(output), golden.Out(output)), 0, golden.Tolerance);
            Assert.NotEqual(plain.Floats(output), merged.Floats(output));
        }
    }

    [Fact]
    public void DifferencesOfNormsAreLeftOutAndNamed()
    {
        var reporter = new Warnings();
        using var plain = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        using var merged = Lora.Merge(
            Checkpoint.Open(Golden.Path("models", "fmt-t2v")),
            [new LoraOption(PathOf("b-comfy-diff.safetensors"))],
            reporter
        );
        Assert.Contains("10 of 82", Assert.Single(reporter.Lines));
        foreach (var name in (string[])["blocks.0.norm2.weight", "blocks.0.attn1.norm_q.weight", "patch_embedding.bias"])
            Assert.Equal(plain.Floats(name), merged.Floats(name));
    }

    [Fact]
    public void SeveralAddUp()
    {
        var (a, b) = (PathOf("a-kohya.safetensors"), PathOf("b-comfy.safetensors"));
        using var plain = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        using var first = Merge("fmt-t2v", new LoraOption(a, 0.7));
        using var second = Merge("fmt-t2v", new LoraOption(b, -0.3));
        using var both = Merge("fmt-t2v", new LoraOption(a, 0.7), new LoraOption(b, -0.3));
        const string name = "blocks.1.attn1.to_v.weight";
        var expected = plain.Floats(name).Zip(first.Floats(name), second.Floats(name)).Select(w => w.Second + w.Third - w.First).ToArray();
        Assert.InRange(GoldenCase.RelativeError(both.Floats(name), expected), 0, 1e-6);
    }

    [Fact]
    public void APartIsMergedLikeTheWhole()
    {
        using var merged = Merge("fmt-t2v", new LoraOption(PathOf("a-peft.safetensors"), 0.7));
        var part = new float[111];
        merged.ReadFloats("blocks.0.attn1.to_q.weight", 33, part);
        Assert.Equal(merged.Floats("blocks.0.attn1.to_q.weight").AsSpan(33, 111).ToArray(), part);
    }

    [Theory]
    [InlineData("kohya-attention-only")]
    [InlineData("kohya-one-block-missing")]
    [InlineData("kohya-with-head")]
    [InlineData("kohya-without-alpha")]
    [InlineData("comfy-head-with-alpha")]
    [InlineData("comfy-no-blocks")]
    [InlineData("peft-with-alpha")]
    public void WhatDiffusersRefusesForNoReasonIsMerged(string file)
    {
        var reporter = new Warnings();
        Lora.Merge(Checkpoint.Open(Golden.Path("models", "fmt-t2v")), [new LoraOption(PathOf($"bad/{file}.safetensors"))], reporter)
            .Dispose();
        Assert.Empty(reporter.Lines);
    }

    [Theory]
    [InlineData("some-modules-missing", "blocks.99")]
    [InlineData("comfy-unknown-key", "self_attn.zz")]
    public void UnmatchedTensorsAreNamed(string file, string named)
    {
        var reporter = new Warnings();
        Lora.Merge(Checkpoint.Open(Golden.Path("models", "fmt-t2v")), [new LoraOption(PathOf($"bad/{file}.safetensors"))], reporter)
            .Dispose();
        Assert.Contains(named, Assert.Single(reporter.Lines));
    }

    [Fact]
    public void NamesThatDifferInNumbersAreOne()
    {
        string[] names =
        [
            "blocks.0.ffn.0",
            "blocks.1.ffn.0",
            "blocks.2.ffn.0",
            "head",
            "blocks.9.ffn.0",
            "blocks.4.norm3",
            "v.123456789012345678901",
        ];
        Assert.Equal("blocks.{0-2,9}.ffn.0, head, blocks.4.norm3, v.123456789012345678901", NameList.Text(names));
        Assert.EndsWith(
            ", s and 6 other kinds",
            NameList.Text(Enumerable.Range('a', 25).Select(letter => ((char)letter).ToString()).Prepend("blocks.1"))
        );
    }

    /// <summary>A LoRA on quantised weights changes what they stand for.</summary>
    [Fact]
    public void QuantisedWeightsAreMergedAsTheyAreRead()
    {
        var lora = new LoraOption(PathOf("a-kohya.safetensors"), 0.7);
        using var quantised = Checkpoint.Open(Golden.Path("models", "fmt-t2v-single", "fp8-scaled.safetensors"));
        using var merged = Lora.Merge(Checkpoint.Open(quantised.Origin), [lora], Reporter.Silent);
        using var plain = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        using var expected = Merge("fmt-t2v", lora);
        const string name = "blocks.1.ffn.net.0.proj.weight";
        Assert.True(merged.IsCompact);
        Assert.Equal(quantised.Stored(name).Bytes, merged.Stored(name).Bytes);
        Assert.Equal(DType.F8E4M3, merged.Stored(name).DType);
        var change = expected.Floats(name).Zip(plain.Floats(name), (after, before) => after - before).ToArray();
        var found = merged.Floats(name).Zip(quantised.Floats(name), (after, before) => after - before).ToArray();
        Assert.InRange(GoldenCase.RelativeError(found, change), 0, 1e-5);
    }

    [Theory]
    [InlineData("lora-a-without-b", "half of its pair")]
    [InlineData("no-lora-keys", "not a LoRA")]
    [InlineData("no-such-module", "another model")]
    [InlineData("other-model", "another model")]
    [InlineData("wrong-shape", "does not fit")]
    public void WhatCannotBeMergedIsRefusedInOneLine(string file, string message)
    {
        using var model = Checkpoint.Open(Golden.Path("models", "fmt-t2v"));
        var fault = Assert.Throws<SoraException>(() =>
            Lora.Merge(model, [new LoraOption(PathOf($"bad/{file}.safetensors"))], Reporter.Silent)
        );
        Assert.Contains(message, fault.Message);
        Assert.Contains($"{file}.safetensors", fault.Message);
        Assert.DoesNotContain('\n', fault.Message);
    }

    [Theory]
    [InlineData("a.safetensors", "a.safetensors", 1)]
    [InlineData("a.safetensors:0.7", "a.safetensors", 0.7)]
    [InlineData("c:/x:-1", "c:/x", -1)]
    [InlineData("a:b.safetensors", "a:b.safetensors", 1)]
    public void WeightsFollowAColon(string text, string path, double weight) =>
        Assert.Equal(new LoraOption(path, weight), LoraOption.Parse(text));

    private static TensorSource Merge(string model, params LoraOption[] loras) =>
        Lora.Merge(Checkpoint.Open(Golden.Path("models", model)), loras, Reporter.Silent);

    private static string PathOf(string file) => Golden.Path(["models", "fmt-lora", .. file.Split('/')]);

    private sealed class Warnings : Reporter
    {
        public List<string> Lines { get; } = [];

        public override void Note(string message) => Lines.Add(message);

        public override void Warn(string message) => Lines.Add(message);

        public override void Progress(string stage, long done, long total) { }
    }
}
