using System.Collections.Concurrent;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>Blocks that are read from their files when they run.</summary>
public sealed class BlockListTests : IDisposable
{
    private static readonly WanTransformerConfig Config = new()
    {
        NumAttentionHeads = 2,
        AttentionHeadDim = 16,
        InChannels = 4,
        OutChannels = 4,
        TextDim = 8,
        FreqDim = 8,
        FfnDim = 64,
        NumLayers = 12,
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
        for (var keep = 0; keep < 3; keep++)
            Assert.Equal(all, Pass(golden, keep));
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
        using (var fewer = Open(0))
            Assert.Contains(
                "blocks.12.",
                Assert.Throws<SoraException>(() => new WanTransformer(Config with { NumLayers = 13 }, fewer)).Message
            );
        var path = Path.Combine(folder, "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        using (var file = SafeTensorsFile.Open(path))
        {
            var broken = file.Info("blocks.11.ffn.net.2.weight");
            var end = bytes.Length - file.Tensors.Values.Sum(tensor => tensor.Bytes) + broken.Offset + broken.Bytes;
            BitConverter.TryWriteBytes(bytes.AsSpan((int)end - 4), float.NaN);
        }
        File.WriteAllBytes(path, bytes);
        using var weights = Open(0);
        var error = Assert.Throws<SoraException>(() => new WanTransformer(Config, weights));
        Assert.Contains("blocks.11.ffn.net.2.weight", error.Message);
    }

    [Fact]
    public void WhatIsAskedForCountsAsUsed()
    {
        Save();
        using var weights = Open(3);
        using var transformer = new WanTransformer(Config, weights);
        Assert.Empty(weights.Unused());
        Assert.DoesNotContain("blocks.3.attn1.to_q.weight", weights.Named().Keys);
    }

    /// <summary>What stays is never read again; the rest, once a pass, ahead of the computing thread if it would have to wait.</summary>
    [Fact]
    public void EveryBlockIsReadOnceAPass()
    {
        Save();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        foreach (var keep in (int?[])[null, 0, 5])
        {
            var source = new CountingSource(Checkpoint.Open(folder));
            using var weights = Weights.From(source, new WeightsOptions { Offload = new(keep) });
            using var transformer = new WanTransformer(Config, weights);
            using var context = transformer.Embed(zeros([1, 2, 8]));
            source.Reads.Clear();
            const int passes = 3;
            for (var pass = 0; pass < passes; pass++)
                transformer.Forward(Input() with { Context = context });
            transformer.Dispose();
            var kept = keep ?? Config.NumLayers;
            Assert.DoesNotContain(
                source.Reads,
                read => !read.Name.StartsWith("blocks.") || read.Name.Contains("attn2.to_k") || int.Parse(read.Name.Split('.')[1]) < kept
            );
            for (var i = kept; i < Config.NumLayers; i++)
            {
                // The first one is read for a fourth pass already.
                Assert.Equal(i == kept ? passes + 1 : passes, source.Reads.Count(read => read.Name == $"blocks.{i}.attn1.to_q.weight"));
            }
            Assert.Equal(kept < Config.NumLayers, source.Reads.Any(read => read.Thread != Environment.CurrentManagedThreadId));
        }
    }

    private static float[] Pass(GoldenCase golden, int? keep)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var part = Path.Combine(golden.Model, golden.Params.TryGetProperty("component", out var name) ? name.GetString()! : "transformer");
        using var weights = Checkpoint.Load(part, new WeightsOptions { Offload = new(keep) });
        using var transformer = new WanTransformer(WanTransformerConfig.Read(Path.Combine(part, "config.json")), weights);
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
        using var weights = Open(keep);
        using var transformer = new WanTransformer(Config, weights);
        for (var pass = 0; pass < 2; pass++)
            transformer.Forward(Input());
        return weights.MostHeld;
    }

    private static TransformerInput Input() =>
        new()
        {
            HiddenStates = zeros([1, 4, 1, 4, 4]),
            Timestep = ones([1]),
            Text = zeros([1, 2, 8]),
        };

    private Weights Open(int? keep) => Checkpoint.Load(folder, new WeightsOptions { Offload = new(keep) });

    private void Save()
    {
        using var made = Weights.Initialise(1);
        _ = new WanTransformer(Config, made);
        made.Save(Path.Combine(folder, "model.safetensors"));
    }

    /// <summary>Says which tensors were read, and by which thread.</summary>
    private sealed class CountingSource(TensorSource inner) : TensorSource
    {
        public ConcurrentBag<(string Name, int Thread)> Reads { get; } = [];

        public override string Origin => inner.Origin;

        public override IReadOnlyDictionary<string, string> Metadata => inner.Metadata;

        public override IReadOnlyDictionary<string, TensorInfo> Tensors => inner.Tensors;

        public override void Read(string name, long offset, Span<byte> destination)
        {
            Reads.Add((name, Environment.CurrentManagedThreadId));
            inner.Read(name, offset, destination);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
        }
    }
}
