using Sora.Clips;
using Sora.Models;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>Blocks that are read from their files when they run.</summary>
public sealed class BlockListTests : IDisposable
{
    private static readonly WanTransformerConfig Config = new()
    {
        NumAttentionHeads = 2, AttentionHeadDim = 16, InChannels = 4, OutChannels = 4, TextDim = 8, FreqDim = 8, FfnDim = 64, NumLayers = 12,
    };

    private readonly string folder = Directory.CreateTempSubdirectory("sora-blocks-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("transformer-t2v-trace")]
    [InlineData("transformer-i2v-batch2")]
    [InlineData("transformer-flf2v-trace")]
    [InlineData("transformer-ti2v-tokens")]
    [InlineData("transformer-vace-scale")]
    public void HoweverManyStayTheResultIsTheSame(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        var all = Pass(golden, null);
        for (var keep = 0; keep < 3; keep++) Assert.Equal(all, Pass(golden, keep));
    }

    /// <summary>Two are in memory at a time, the one that runs and the next, and what isn't in blocks.</summary>
    [Fact]
    public void TheMostThatIsHeldFallsWithTheNumberThatStays()
    {
        Save();
        var (all, four, none) = (Held(null), Held(4), Held(0));
        using var file = Checkpoint.Open(folder);
        var blocks = file.Tensors.Values.Where(tensor => tensor.Name.StartsWith("blocks.")).Sum(tensor => tensor.Bytes);
        var rest = file.Tensors.Values.Sum(tensor => tensor.Bytes) - blocks;
        Assert.Equal(rest + blocks, all);
        Assert.InRange(four, rest + 4 * blocks / 12, rest + 6 * blocks / 12);
        Assert.InRange(none, rest + blocks / 12, rest + 2 * blocks / 12);
    }

    [Fact]
    public void ABrokenBlockIsFoundBeforeAnythingIsComputed()
    {
        Save();
        using (var fewer = Weights.Open(folder))
            Assert.Contains("blocks.12.", Assert.Throws<SoraException>(() => new WanTransformer(Config with { NumLayers = 13 }, fewer, 0)).Message);
        var path = Path.Combine(folder, "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        using (var file = SafeTensorsFile.Open(path))
        {
            var broken = file.Info("blocks.11.ffn.net.2.weight");
            var end = bytes.Length - file.Tensors.Values.Sum(tensor => tensor.Bytes) + broken.Offset + broken.Bytes;
            BitConverter.TryWriteBytes(bytes.AsSpan((int)end - 4), float.NaN);
        }
        File.WriteAllBytes(path, bytes);
        using var weights = Weights.Open(folder);
        var error = Assert.Throws<SoraException>(() => new WanTransformer(Config, weights, 0));
        Assert.Contains("blocks.11.ffn.net.2.weight", error.Message);
    }

    [Fact]
    public void WhatIsAskedForCountsAsUsed()
    {
        Save();
        using var weights = Weights.Open(folder);
        using var transformer = new WanTransformer(Config, weights, 3);
        Assert.Empty(weights.Unused());
        Assert.DoesNotContain("blocks.3.attn1.to_q.weight", weights.Named().Keys);
    }

    private static float[] Pass(GoldenCase golden, int? keep)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var part = Path.Combine(golden.Model, golden.Params.TryGetProperty("component", out var name) ? name.GetString()! : "transformer");
        using var weights = Weights.Open(part);
        using var transformer = new WanTransformer(WanTransformerConfig.Read(Path.Combine(part, "config.json")), weights, keep);
        var input = WanTransformerTests.Input(golden);
        using var context = transformer.Embed(input.Text!, input.TextLength, input.Image);
        // Twice: what was read ahead for the next pass is used.
        transformer.Forward(input with { Context = context });
        var sample = transformer.Forward(input with { Context = context });
        golden.Check("sample", sample);
        return TensorIO.ToHost(sample).ToFloats();
    }

    private long Held(int? keep)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var weights = Weights.Open(folder);
        using var transformer = new WanTransformer(Config, weights, keep);
        for (var pass = 0; pass < 2; pass++)
        {
            transformer.Forward(new TransformerInput
            {
                HiddenStates = zeros([1, 4, 1, 4, 4]), Timestep = ones([1]), Text = zeros([1, 2, 8]),
            });
        }
        return weights.MostHeld;
    }

    private void Save()
    {
        using var made = Weights.Initialise(1);
        _ = new WanTransformer(Config, made);
        made.Save(Path.Combine(folder, "model.safetensors"));
    }
}
