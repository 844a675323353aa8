using Sora.Models.Checkpoints;
using Sora.Models.Text;
using Sora.Nn;
using Sora.Tensors;
using Sora.Tests.Models;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Text;

public class T5EncoderTests
{
    [Fact]
    public void DistancesFallIntoTheReferenceBuckets()
    {
        using var golden = GoldenCase.Open("text/umt5-position-bias");
        var config = Config(golden);
        Assert.Equal(golden.OutIntegers("bucket"), golden.InIntegers("relative_position").Select(d => T5Encoder.Bucket(d, config)));
    }

    [Fact]
    public void PositionBiasOfEveryLayer()
    {
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open("text/umt5-position-bias");
        using var weights = Open(golden);
        var encoder = new T5Encoder(Config(golden), weights);
        for (var layer = 0; layer < encoder.Config.NumLayers; layer++)
            golden.Check($"bias.{layer}", encoder.PositionBias(layer, golden.Params.GetProperty("length").GetInt64()));
    }

    [Theory]
    [InlineData("umt5-hidden-short")]
    [InlineData("umt5-hidden-long")]
    [InlineData("umt5-hidden-full")]
    [InlineData("t5-hidden")]
    public void HiddenStatesOfRealTokens(string name)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"text/{name}");
        using var weights = Open(golden);
        var (ids, mask) = (golden.Input("input_ids"), golden.Input("attention_mask"));
        var seen = new List<string>();
        var encoder = new T5Encoder(Config(golden), weights)
        {
            Observer = (part, value) =>
            {
                if (!golden.Outputs.Contains(part))
                    return;
                seen.Add(part);
                Compare(golden, part, value, mask);
            },
        };
        Compare(golden, "last_hidden_state", encoder.Forward(ids, mask), mask);
        Assert.Equal(golden.Outputs.Count() - 1, seen.Count);
        Assert.Empty(weights.Unused());
    }

    /// <summary>Neither blocks nor embedding need to be in memory.</summary>
    [Theory]
    [InlineData("umt5-hidden-long")]
    [InlineData("t5-hidden")]
    public void HoweverManyBlocksStayTheResultIsTheSame(string name)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open($"text/{name}");
        (float[] Result, long Held) Run(int? keep)
        {
            using var weights = Open(golden, new WeightsOptions { Offload = new(keep) });
            using var encoder = new T5Encoder(Config(golden), weights);
            var (ids, mask) = (golden.Input("input_ids"), golden.Input("attention_mask"));
            encoder.Forward(ids, mask);
            var result = TensorIO.ToHost(encoder.Forward(ids, mask)).ToFloats();
            Assert.Empty(weights.Unused());
            return (result, weights.MostHeld);
        }
        var (all, one, none) = (Run(null), Run(1), Run(0));
        Assert.Equal(all.Result, one.Result);
        Assert.Equal(all.Result, none.Result);
        Assert.True(none.Held <= one.Held && one.Held < all.Held, $"{none.Held} <= {one.Held} < {all.Held}");
    }

    [Fact]
    public void PaddingChangesNothing()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var golden = GoldenCase.Open("text/umt5-hidden-long");
        using var weights = Open(golden);
        var encoder = new T5Encoder(Config(golden), weights);
        var real = golden.Input("attention_mask").sum().item<long>();
        var alone = encoder.Forward(golden.Input("input_ids").narrow(1, 0, real));
        var error = GoldenTensors.Distance(alone, golden.Output("last_hidden_state").narrow(1, 0, real));
        Assert.True(error <= golden.Tolerance, $"relative error {error:g3}");
    }

    [Fact]
    public void GradientsReachEveryWeight()
    {
        using var scope = NewDisposeScope();
        var config = new T5Config
        {
            VocabSize = 11,
            DModel = 8,
            DKv = 3,
            DFf = 12,
            NumLayers = 2,
            NumHeads = 2,
        };
        using var weights = Weights.Initialise(1);
        var encoder = new T5Encoder(config, weights);
        var ids = tensor(new long[] { 4, 5, 6, 1, 7, 1, 0, 0 }, [2, 4], int64);
        var result = encoder.Forward(ids, ids.ne(0));
        Assert.Equal([2, 4, 8], result.shape);
        result.mul(result.sin()).sum().backward();
        Assert.Equal(1 + 2 * 10 + 1, weights.Named().Count);
        Assert.All(weights.Named(), pair => Assert.True(pair.Value.grad is { } grad && grad.abs().sum().item<float>() > 0, pair.Key));
    }

    private static T5Config Config(GoldenCase golden) => T5Config.Read(Path.Combine(golden.Model, "text_encoder", "config.json"));

    private static Weights Open(GoldenCase golden, WeightsOptions? options = null) =>
        Checkpoint.Load(Path.Combine(golden.Model, "text_encoder"), options);

    /// <summary>Rows past a text's length mean nothing.</summary>
    private static void Compare(GoldenCase golden, string name, Tensor actual, Tensor mask)
    {
        using var scope = NewDisposeScope();
        var real = mask.unsqueeze(-1).to(float32);
        var error = GoldenTensors.Distance(actual * real, golden.Output(name) * real);
        Assert.True(error <= golden.Tolerance, $"{name}: relative error {error:g3}, tolerance {golden.Tolerance:g3}");
    }
}
