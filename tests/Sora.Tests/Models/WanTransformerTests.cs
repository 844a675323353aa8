using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

public class WanTransformerTests
{
    public static TheoryData<string> Cases =>
        GoldenTensors.Names(
            "transformer-t2v",
            "transformer-i2v",
            "transformer-flf2v",
            "transformer-vace",
            "transformer-ti2v",
            "transformer-a14b"
        );

    [Theory]
    [MemberData(nameof(Cases))]
    public void ForwardEqualsTheReference(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden);
        var seen = new Dictionary<string, Tensor>();
        model.Transformer.Observer = (stage, value) => seen[stage] = value.clone().MoveToOtherDisposeScope(scope);
        golden.Check("sample", model.Transformer.Forward(Input(golden)));
        foreach (var stage in golden.Outputs.Where(stage => stage != "sample" && !stage.StartsWith("rope")))
            golden.Check(stage, Shaped(seen[stage], golden, stage));
    }

    /// <summary>Text embedded once serves every step.</summary>
    [Theory]
    [InlineData("transformer-t2v-trace")]
    [InlineData("transformer-i2v-batch2")]
    [InlineData("transformer-vace-scale")]
    public void AKeptContextGivesTheSame(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden);
        var input = Input(golden);
        using var context = model.Transformer.Embed(input.Text!, input.TextLength, input.Image);
        var kept = input with { Text = null, Image = null, Context = context };
        model.Transformer.Forward(kept);
        golden.Check("sample", model.Transformer.Forward(kept));
    }

    /// <summary>In bfloat16, what loses too much stays in float32: the result is as near as eight bits allow.</summary>
    [Theory]
    [InlineData("transformer-t2v-trace")]
    [InlineData("transformer-ti2v-tokens")]
    [InlineData("transformer-i2v-batch2")]
    [InlineData("transformer-vace-trace")]
    public void HalfPrecisionIsNear(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden, new WeightsOptions { DType = bfloat16 });
        var kept = model.Weights.Named().Where(pair => pair.Value.dtype == float32).Select(pair => pair.Key).ToList();
        Assert.Contains("scale_shift_table", kept);
        Assert.Contains("condition_embedder.time_embedder.linear_1.weight", kept);
        Assert.Contains("blocks.0.norm2.weight", kept);
        Assert.DoesNotContain("blocks.0.attn1.to_q.weight", kept);
        var sample = model.Transformer.Forward(Input(golden));
        Assert.Equal(bfloat16, sample.dtype);
        Assert.InRange(GoldenTensors.Distance(sample, golden.Output("sample")), 1e-5, 0.03);
    }

    /// <summary>Products in bfloat16 of float32 weights, as in training: closer than all in bfloat16, and so are gradients.</summary>
    [Theory]
    [InlineData("transformer-t2v-trace")]
    [InlineData("transformer-ti2v-tokens")]
    [InlineData("transformer-i2v-batch2")]
    public void MixedPrecisionIsNear(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> Gradients(ScalarType? products)
        {
            var model = new Model(golden, new WeightsOptions { DType = float32, Trainable = true }, products);
            var sample = model.Transformer.Forward(Input(golden));
            Assert.Equal(float32, sample.dtype);
            if (products is not null)
                Assert.InRange(GoldenTensors.Distance(sample, golden.Output("sample")), 1e-5, 0.015);
            sample.square().sum().backward();
            return model
                .Weights.Named()
                .Where(pair => pair.Value.grad is not null)
                .ToDictionary(pair => pair.Key, pair => pair.Value.grad!);
        }
        var (exact, mixed) = (Gradients(null), Gradients(bfloat16));
        Assert.Equal(exact.Keys.Order(), mixed.Keys.Order());
        Assert.Contains("blocks.0.ffn.net.0.proj.weight", exact.Keys);
        var (off, all) = exact.Aggregate(
            (0.0, 0.0),
            (sum, pair) =>
                (sum.Item1 + (mixed[pair.Key] - pair.Value).square().sum().ToDouble(), sum.Item2 + pair.Value.square().sum().ToDouble())
        );
        Assert.InRange(Math.Sqrt(off / all), 1e-5, 0.03);
    }

    [Fact]
    public void RotaryTablesEqualTheReference()
    {
        using var golden = GoldenCase.Open("wan/transformer-rope");
        using var scope = NewDisposeScope();
        var config = WanTransformerConfig.Read(Path.Combine(golden.Model, "transformer", "config.json"));
        var positions = new RotaryPositions(config.AttentionHeadDim);
        var shapes = golden
            .Params.GetProperty("shapes")
            .EnumerateArray()
            .Select(shape => shape.EnumerateArray().Select(size => size.GetInt64()).ToArray())
            .ToArray();
        for (var i = 0; i < shapes.Length; i++)
        {
            var parts = positions.Table(shapes[i][0], shapes[i][1] / 2, shapes[i][2] / 2, CPU).view_as_real().squeeze(1);
            golden.Check($"cos{i}", parts.select(-1, 0).repeat_interleave(2, 1));
            golden.Check($"sin{i}", parts.select(-1, 1).repeat_interleave(2, 1));
        }
    }

    /// <summary>The in-place path (no gradients) and the other one agree, and every parameter gets a gradient.</summary>
    [Theory]
    [InlineData("transformer-t2v-trace")]
    [InlineData("transformer-ti2v-tokens")]
    [InlineData("transformer-flf2v-trace")]
    [InlineData("transformer-vace-trace")]
    public void GradientsReachEveryParameter(string name)
    {
        using var golden = GoldenCase.Open("wan/" + name);
        using var scope = NewDisposeScope();
        using var model = new Model(golden, new WeightsOptions { Trainable = true });
        var sample = model.Transformer.Forward(Input(golden));
        golden.Check("sample", sample);
        sample.square().mean().backward();
        Assert.All(
            model.Weights.Named(),
            pair =>
            {
                using var gradient = pair.Value.grad;
                Assert.True(gradient is not null, pair.Key);
                Assert.True(gradient.abs().sum().item<float>() > 0, pair.Key);
            }
        );
    }

    /// <summary>A directional derivative against a difference of two passes.</summary>
    [Fact]
    public void GradientsAreRight()
    {
        using var golden = GoldenCase.Open("wan/transformer-ti2v-tokens");
        using var scope = NewDisposeScope();
        using var model = new Model(golden, new WeightsOptions { Trainable = true });
        var input = Input(golden);
        using var generator = new Generator(5);
        var target = randn(input.HiddenStates.shape, generator: generator);
        Tensor Loss() => model.Transformer.Forward(input).sub(target).square().mean();

        Loss().backward();
        var parameters = model.Weights.Named().Values.ToArray();
        var norm = Math.Sqrt(parameters.Sum(p => p.grad!.square().sum().item<float>()));
        using var _ = no_grad();
        const double step = 1e-3;
        foreach (var p in parameters)
            p.add_(p.grad!.mul(step / norm));
        var up = Loss().item<float>();
        foreach (var p in parameters)
            p.sub_(p.grad!.mul(2 * step / norm));
        var down = Loss().item<float>();
        Assert.Equal(1, (up - down) / (2 * step) / norm, 0.01);
    }

    public static TheoryData<string, long> Published =>
        new()
        {
            { nameof(WanTransformerConfig.Wan21T2V1_3B), 1_418_996_800 },
            { nameof(WanTransformerConfig.Wan21T2V14B), 14_288_491_584 },
            { nameof(WanTransformerConfig.Wan22TI2V5B), 4_999_787_712 },
            { nameof(WanTransformerConfig.Wan21I2V14B), 14_288_491_584 + ImageParameters + 40 * AddedParameters + ExtraChannels },
            {
                nameof(WanTransformerConfig.Wan21Flf2V14B),
                14_288_491_584 + ImageParameters + 40 * AddedParameters + ExtraChannels + 514 * 1280
            },
            { nameof(WanTransformerConfig.Wan22I2VA14B), 14_288_491_584 + ExtraChannels },
            {
                nameof(WanTransformerConfig.Wan21Vace1_3B),
                1_418_996_800 + (15 * VaceBlockParameters) + (1536 * 1537) + (1536 * (96 * 4 + 1))
            },
        };

    // Two layer norms and two linear layers of the image embedder.
    private const long ImageParameters = 2 * 1280 + 1280 * 1281 + 5120 * 1281 + 2 * 5120;

    // Keys and values of the image in one block, and the norm of its keys.
    private const long AddedParameters = 2 * 5120L * 5121 + 5120;

    // Mask and condition: 20 more channels of 1x2x2 patches.
    private const long ExtraChannels = 5120 * 20 * 4;

    // Eight square linear layers and the hint's, four norms, the affine norm, the feed-forward layers, the table.
    private const long VaceBlockParameters = 9 * 1536L * 1537 + 4 * 1536 + 2 * 1536 + 8960 * 1537 + 1536 * 8961 + 6 * 1536;

    [Theory]
    [MemberData(nameof(Published))]
    public void PublishedSizesHaveThePublishedNumberOfParameters(string preset, long expected)
    {
        var config = (WanTransformerConfig)typeof(WanTransformerConfig).GetProperty(preset)!.GetValue(null)!;
        using var weights = Weights.Meta();
        _ = new WanTransformer(config, weights);
        Assert.Equal(expected, weights.Named().Values.Sum(tensor => tensor.numel()));
    }

    internal static TransformerInput Input(GoldenCase golden) =>
        Timed(
            golden.Input("timestep"),
            new()
            {
                HiddenStates = golden.Input("hidden_states"),
                Timestep = golden.Input("timestep"),
                Text = golden.Input("encoder_hidden_states"),
                TextLength = golden.Params.GetProperty("text_length").GetInt64(),
                Image = golden.HasInput("encoder_hidden_states_image") ? golden.Input("encoder_hidden_states_image") : null,
                Control = golden.HasInput("control_hidden_states") ? golden.Input("control_hidden_states") : null,
                ControlScale = golden.HasInput("control_hidden_states_scale")
                    ? [.. golden.In("control_hidden_states_scale").Select(scale => (double)scale)]
                    : null,
            }
        );

    /// <summary>The reference has a timestep for each token where we have the different ones, and which of them it is.</summary>
    private static TransformerInput Timed(Tensor timestep, TransformerInput input)
    {
        if (timestep.dim() == 1)
            return input;
        var (distinct, inverse, _) = timestep.unique(sorted: true, return_inverse: true);
        return input with { Timestep = distinct, TimestepIndex = inverse };
    }

    /// <summary>The reference shows the patch embedding as it leaves the convolution, and embeds every token's timestep.</summary>
    private static Tensor Shaped(Tensor value, GoldenCase golden, string stage)
    {
        var expected = golden.OutShape(stage);
        if (stage.EndsWith("patch_embedding"))
            return value.transpose(1, 2).reshape(expected);
        if (stage is not ("time_sinusoid" or "temb" or "timestep_proj") || golden.InShape("timestep") is not [_, _])
            return value;
        var inverse = golden.Input("timestep").unique(return_inverse: true).inverse_indices;
        return value.index_select(0, inverse!.flatten()).view(expected);
    }

    private sealed class Model : IDisposable
    {
        public Model(GoldenCase golden, WeightsOptions? options = null, ScalarType? products = null)
        {
            var component = golden.Params.TryGetProperty("component", out var name) ? name.GetString()! : "transformer";
            var folder = Path.Combine(golden.Model, component);
            Weights = Checkpoint.Load(folder, options);
            Transformer = new WanTransformer(WanTransformerConfig.Read(Path.Combine(folder, "config.json")), Weights)
            {
                Products = products,
            };
            Assert.Empty(Weights.Unused());
        }

        public Weights Weights { get; }

        public WanTransformer Transformer { get; }

        public void Dispose() => Weights.Dispose();
    }
}
