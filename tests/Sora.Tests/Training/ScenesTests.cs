using System.Globalization;
using System.Text.Json.Nodes;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Checkpoints;
using Sora.Models.Mini;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Tensors;
using Sora.Tests.Sampling;
using Sora.Training;
using Sora.World;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Training;

/// <summary>A model that makes what is where along with its latents: how it begins, and how it is sampled.</summary>
[Collection(nameof(Alone))]
public sealed class ScenesTests : IDisposable
{
    private static readonly ClipShape Shape = ClipShape.Parse("32x32x5");
    private readonly string folder = Directory.CreateTempSubdirectory("sora-scenes-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    /// <summary>Clips are drawn as often as they have things, whose number is that of the marks that are named.</summary>
    [Fact]
    public void ClipsAreDrawnByTheirThings()
    {
        var source = new WorldSource();
        var set = new LatentSet(Shape, zeros([0]), [.. Enumerable.Range(0, 200).Select(i => (ulong)i)]);
        var things = set
            .Seeds.Select(seed =>
            {
                var named = new float[source.Marks.Count * source.ThingDescriptors];
                source.DescribeThings(seed, Shape, named);
                return named.Chunk(source.ThingDescriptors).Count(thing => thing[0] == 1);
            })
            .ToArray();
        Assert.Equal(things, set.Seeds.Select(seed => source.Things(seed, Shape)));
        var (random, drawn) = (new Rng(1), new double[source.Marks.Count + 1]);
        for (var i = 0; i < 4000; i++)
            drawn[things[set.Pick(source, ref random)]] += 1.0 / 4000;
        for (var n = 0; n < drawn.Length; n++)
            Assert.Equal(things.Where(own => own == n).Sum() / (double)things.Sum(), drawn[n], 0.03);
        set.Latents.Dispose();
    }

    /// <summary>Where objects are, as the map says it, is where a rendering of the same frames has them.</summary>
    [Fact]
    public void ThingsAreWhereObjectsAreSeen()
    {
        using var scope = NewDisposeScope();
        var (source, shape, grid) = (new WorldSource(), ClipShape.Parse("128x128x1"), new LatentGrid(1, 8, 8));
        var (whole, none) = (0, 0);
        for (ulong seed = 0; seed < 12; seed++)
        {
            var scene = SceneSampler.Draw(new Rng(seed), new SceneOptions { Frames = 1 });
            var objects = Renderer.Render(scene, 128, 128, 1).Objects;
            var presence = source.Presence(source.DescribeAll([seed], shape, grid)).data<float>().ToArray();
            for (var at = 0; at < presence.Length; at++)
            {
                var part =
                    Enumerable.Range(0, 256).Count(i => objects[((((at / 8) * 16) + (i / 16)) * 128) + ((at % 8) * 16) + (i % 16)] > 0)
                    / 256.0;
                // The map looks at 16 points of a place: it can be wrong by some of them.
                Assert.InRange(presence[at], Math.Clamp((4 * part) - 0.5, 0, 1), Math.Clamp((4 * part) + 0.5, 0, 1));
                if (part == 1)
                    whole++;
                if (part == 0)
                    none++;
            }
        }
        Assert.True(whole > 20 && none > 300, $"{whole} {none}");
    }

    /// <summary>A filter that no model has is refused by name, before anything is made with it.</summary>
    [Fact]
    public void AFilterThatCantBeIsRefused()
    {
        var model = Model("wrong", scenes: true, 1);
        var path = Path.Combine(model, "scheduler", "scheduler_config.json");
        var written = File.ReadAllText(path);
        foreach (var value in (int[])[0, -1])
        {
            var config = JsonNode.Parse(written)!;
            config["open_variance"] = value;
            File.WriteAllText(path, config.ToJsonString());
            var error = Assert.Throws<SoraException>(() => Opened.Mini(model));
            Assert.Contains($"an open_variance of {value}", error.Message);
        }
    }

    /// <summary>Until it learns, a network that is given scenes answers as it did; every part of its errors then becomes smaller.</summary>
    [Fact]
    public void AModelIsGivenScenesAndLearnsThem()
    {
        using var scope = NewDisposeScope();
        var (plain, first, trained) = (Model("plain", scenes: false, 1), Path.Combine(folder, "first"), Path.Combine(folder, "trained"));
        Train(first, new() { Folder = plain, Scenes = true }, 1, rate: 0);
        var (before, after) = (Opened.Mini(plain), Opened.Mini(first));
        after.Check();
        Assert.Equal((0, SceneMap.Channels), (before.Transformer.SceneChannels, after.Transformer.SceneChannels));
        Assert.Equal(96 + SceneMap.Channels, after.Preconditioning!.Later.Count);
        Assert.Equal(before.Preconditioning!.First, after.Preconditioning.First.Take(96));
        Assert.All(after.Preconditioning.First.Skip(96), variance => Assert.InRange(variance, 0.03, 100));
        Assert.Equal((double.PositiveInfinity, 0.3), (before.Preconditioning.OpenVariance, after.Preconditioning.OpenVariance));

        // The text encoder gets marks of what a caption mentions, and knows its words as before.
        var (words, marked) = (Tokenizer.Load(before.Part("tokenizer")), Tokenizer.Load(after.Part("tokenizer")));
        Assert.Equal([.. new WorldSource().Marks, .. words.Tokens(words.Encode("a red ball"))], marked.Tokens(marked.Encode("a red ball")));
        Assert.Equal(words.Count + 3, marked.Count);
        Assert.Equal(0, (Embeddings(after).narrow(0, 0, words.Count) - Embeddings(before)).abs().max().ToDouble());

        var (latents, text) = (randn([1, 96, 2, 2, 2]), randn([1, 5, before.Transformer.TextDim]));
        Tensor Answer(MiniModel model, Tensor input)
        {
            using var noGradient = no_grad();
            var weights = Weights.From(model.OpenWeights("transformer"), new WeightsOptions { DType = float32 });
            return new WanTransformer(model.Transformer, weights).Forward(
                new TransformerInput
                {
                    HiddenStates = input,
                    Timestep = full([1], 600f),
                    Text = text,
                    TextLength = 8,
                }
            );
        }
        var scene = randn([1, SceneMap.Channels + 1, 2, 2, 2]);
        var (old, widened) = (Answer(before, latents), Answer(after, cat([latents, scene], 1)));
        Assert.InRange(((widened.narrow(1, 0, 96) - old).norm() / old.norm()).ToDouble(), 0, 1e-6);
        Assert.Equal(0, widened.narrow(1, 96, SceneMap.Channels).abs().max().ToDouble());

        Train(trained, new() { Folder = first }, 30, rate: 2e-3);
        var losses = File.ReadLines(Path.Combine(trained, "training", "loss.csv"))
            .Skip(1)
            .Select(line => double.Parse(line.Split(',')[1], CultureInfo.InvariantCulture))
            .ToArray();
        Assert.InRange(losses[^5..].Average() / losses[..5].Average(), 0, 0.95);
        Assert.True(Answer(Opened.Mini(trained), cat([latents, scene], 1)).narrow(1, 96, SceneMap.Channels).abs().max().ToDouble() > 0);

        UnlabelledClipsAreRefused();
    }

    private static Tensor Embeddings(MiniModel model)
    {
        var weights = Weights.From(model.OpenWeights("text_encoder"), new WeightsOptions { DType = float32 });
        var config = T5Config.From(model.Config("text_encoder"));
        return weights.Get("shared.weight", Init.Zeros, config.VocabSize, config.DModel);
    }

    /// <summary>Clips from a folder don't say what is where in them.</summary>
    private void UnlabelledClipsAreRefused()
    {
        var fault = Assert.Throws<SoraException>(() =>
            TransformerTrainer.Train(
                new(new Unlabelled(), [(Shape, 2)]),
                Options(Path.Combine(folder, "other"), 1, 0),
                new TransformerStart(Path.Combine(folder, "other-latents"), 16) { VaeFolder = Path.Combine(folder, "vae"), Scenes = true },
                Reporter.Silent,
                CancellationToken.None
            )
        );
        Assert.Equal(ErrorKind.Usage, fault.Kind);
    }

    [Fact]
    public void AClipOfAModelWithScenesHoldsItsLatentsAlone()
    {
        var model = Opened.Mini(Model("model", scenes: true, 2));
        var settings = Settings(model) with { Steps = 4 };
        using var pipeline = new VideoPipeline(model, new Precision(CPU, float32), Reporter.Silent, CancellationToken.None);
        var whole = pipeline.Generate(settings, Conditioning.Nothing);
        Assert.Equal([1, 96, 2, 2, 2], whole.FinishedLatents.Shape);
        // The scene's noise is the seed's, whatever the latents begin as.
        var noise = new HostTensor(DType.F32, [1, 96, 2, 2, 2], Bytes(Noise.Normal((ulong)settings.Seed, 0, (96, 2, 2, 2))));
        Assert.Equal(whole.FinishedLatents.Data, pipeline.Generate(settings, Conditioning.Nothing, noise).FinishedLatents.Data);
        var stopped = pipeline.Generate(settings, Conditioning.Nothing, null, new RunOptions { Until = 2 });
        Assert.Equal([1, 96 + SceneMap.Channels, 2, 2, 2], stopped.Tensors["noise_latents"].Shape);
        Assert.Equal([1, 96, 2, 2, 2], stopped.Tensors["noise_estimate"].Shape);
        Assert.Equal(whole.FinishedLatents.Data, pipeline.Resume(stopped).FinishedLatents.Data);
    }

    /// <summary>
    /// A clip that is edited has latents and no scene: the network reads the scene from them, from noise, as at level 1. The
    /// first Euler step, computed here in float64 from the network's answers alone.
    /// </summary>
    [Fact]
    public void TheSceneOfAClipThatIsChangedIsReadFromIt()
    {
        using var scope = NewDisposeScope();
        var model = Opened.Mini(Model("model", scenes: true, 2));
        using var noGradient = no_grad();
        var settings = Settings(model) with { Steps = 4, Sampler = "euler", Strength = 0.5, Guidance = 1 };
        using var pipeline = new VideoPipeline(model, new Precision(CPU, float32), Reporter.Silent, CancellationToken.None);
        var known = randn([1, 96, 2, 2, 2]);
        float[]? after = null;
        pipeline.Generate(
            settings,
            new Conditioning { Known = known },
            null,
            new RunOptions { Checkpoint = now => after ??= now.Tensors["noise_latents"].ToFloats() }
        );

        var schedule = settings.MakeSchedule(pipeline.Defaults.Scheduler);
        var first = schedule.FirstCall(0.5, 1);
        var (sigma, next) = (schedule.Sigmas[first], schedule.Sigmas[first + 1]);
        Assert.InRange(sigma, 0.1, 0.99);
        var noise = tensor(Noise.Normal((ulong)settings.Seed, 0, (96 + SceneMap.Channels, 2, 2, 2)), [1, 96 + SceneMap.Channels, 2, 2, 2]);
        var latents = Samplers.Noised(known, noise.narrow(1, 0, 96), sigma);
        using var weights = Weights.From(model.OpenWeights("transformer"), new WeightsOptions { DType = float32 });
        var transformer = new WanTransformer(model.Transformer, weights);
        var text = PromptEmbeds.Encode(model, settings, new Precision(CPU, float32), Reporter.Silent);
        float[] Answer(Tensor state, float level) =>
            transformer
                .Forward(
                    new TransformerInput
                    {
                        HiddenStates = cat([state, full([1, 1, 2, 2, 2], level)], 1),
                        Timestep = full([1], schedule.Timesteps[first]),
                        Text = text.Prompt,
                        TextLength = text.Length,
                    }
                )
                .contiguous()
                .data<float>()
                .ToArray();
        double Variance(int i) => (i / 4 % 2 == 0 ? model.Preconditioning!.First : model.Preconditioning!.Later)[i / 8];

        var start = cat([latents, noise.narrow(1, 96, SceneMap.Channels)], 1).contiguous().data<float>().ToArray();
        var read = Answer(tensor(start, noise.shape), 1);
        for (var i = 96 * 8; i < start.Length; i++)
            start[i] = (float)(((1 - (double)sigma) * Math.Sqrt(Variance(i)) * read[i]) + (sigma * (double)start[i]));
        var output = Answer(tensor(start, noise.shape), sigma);
        var expected = start
            .Select(
                (x, i) =>
                {
                    // Of a scene's numbers the filter is that of what the others leave open.
                    var (s, v, open) = ((double)sigma, Variance(i), i < 96 * 8 ? Variance(i) : Math.Min(Variance(i), 0.3));
                    var total = ((1 - s) * (1 - s) * open) + (s * s);
                    var clean = ((1 - s) * open * x / total) + (s * Math.Sqrt(v / total) * output[i]);
                    return (float)(x + ((next - s) * (x - clean) / s));
                }
            )
            .ToArray();
        Assert.InRange(GoldenCase.RelativeError(after!, expected), 0, 1e-5);
    }

    /// <summary>
    /// What a transformer makes of latents under noise, clip by clip, computed here in float64 from the network's answers: the
    /// scene is noise. A decoder learns from it, and the transform in front of it stays.
    /// </summary>
    [Fact]
    public void ADecoderLearnsFromLatentsAsATransformerLeavesThem()
    {
        using var scope = NewDisposeScope();
        var (model, vae) = (Opened.Mini(Model("model", scenes: true, 2)), Path.Combine(folder, "vae"));
        using var noGradient = no_grad();
        var captions = (string[])["a red ball", "two cubes at night"];
        var (latents, sigma) = (randn([2, 96, 2, 2, 2]), tensor([0.5f, 0.75f], [2, 1, 1, 1, 1]));
        using var maker = new MadeLatents(model.Path, model.Vae);
        manual_seed(5);
        var made = maker.Of(latents, captions, sigma).contiguous().data<float>().ToArray();
        manual_seed(5);
        var both = randn([2, 96 + SceneMap.Channels, 2, 2, 2]);
        var (noise, scene) = (both.narrow(1, 0, 96), both.narrow(1, 96, SceneMap.Channels));
        using var weights = Weights.From(model.OpenWeights("transformer"), new WeightsOptions { DType = float32 });
        var transformer = new WanTransformer(model.Transformer, weights);
        for (var clip = 0; clip < 2; clip++)
        {
            var s = (double)sigma[clip, 0, 0, 0, 0].ToSingle();
            var x = Samplers.Noised(latents.narrow(0, clip, 1), noise.narrow(0, clip, 1), (float)s);
            var text = PromptEmbeds.Encode(
                model,
                Settings(model) with
                {
                    Prompt = captions[clip],
                    Guidance = 1,
                },
                new Precision(CPU, float32),
                Reporter.Silent
            );
            var answer = transformer
                .Forward(
                    new TransformerInput
                    {
                        HiddenStates = cat([x, scene.narrow(0, clip, 1), ones([1, 1, 2, 2, 2])], 1),
                        Timestep = full([1], 1000f * (float)s),
                        Text = text.Prompt,
                        TextLength = text.Length,
                    }
                )
                .contiguous()
                .data<float>()
                .ToArray();
            var values = x.contiguous().data<float>().ToArray();
            var expected = values
                .Select(
                    (value, i) =>
                    {
                        var v = (i / 4 % 2 == 0 ? model.Preconditioning!.First : model.Preconditioning!.Later)[i / 8];
                        var total = ((1 - s) * (1 - s) * v) + (s * s);
                        return (float)(((1 - s) * v * value / total) + (s * Math.Sqrt(v / total) * answer[i]));
                    }
                )
                .ToArray();
            Assert.InRange(GoldenCase.RelativeError(made.AsSpan(clip * expected.Length, expected.Length).ToArray(), expected), 0, 1e-5);
        }
        Assert.All(MadeLatents.DrawSigma(100).data<float>().ToArray(), level => Assert.InRange(level, 0.41f, 0.8f));
        Assert.Throws<SoraException>(() => new MadeLatents(model.Path, model.Vae with { ZDim = 48 }));

        OnlyTheRefinerLearns(vae, model.Path);
    }

    private void OnlyTheRefinerLearns(string vae, string transformer)
    {
        var (before, after) = (VaeWeights(vae), Path.Combine(folder, "refined"));
        using (enable_grad())
            VaeTrainer.Train(
                new(new WorldSource(), [(Shape, 6)]),
                Options(after, 3, 1e-3),
                new VaeStart(vae) { Transformer = transformer },
                Reporter.Silent,
                CancellationToken.None
            );
        var changed = VaeWeights(after).Where(p => !p.Value.SequenceEqual(before[p.Key])).Select(p => p.Key).ToList();
        Assert.NotEmpty(changed);
        Assert.All(changed, name => Assert.StartsWith("decoder.refiner", name));
    }

    private static Dictionary<string, float[]> VaeWeights(string model)
    {
        using var weights = Checkpoint.Load(Path.Combine(model, "vae"), new WeightsOptions { DType = float32, Trainable = true });
        _ = new CausalVae(ModelRegistry.VaeConfig(Path.Combine(model, "vae", "config.json")), weights);
        return weights.Named().ToDictionary(w => w.Key, w => w.Value.contiguous().data<float>().ToArray());
    }

    /// <summary>A keyframe is held in the latents; the scene is still generated.</summary>
    [Fact]
    public void HintsHoldLatentsAndNotScenes()
    {
        using var scope = NewDisposeScope();
        var (state, velocity, known) = (randn([1, 5, 2, 1, 1]), randn([1, 5, 2, 1, 1]), randn([1, 3, 2, 1, 1]));
        var hints = zeros([1, 1, 2, 1, 1]);
        hints.narrow(2, 1, 1).fill_(1);
        var encoded = new EncodedConditioning(ConditioningMode.TokenTimesteps, (1, 1))
        {
            Known = known,
            Mask = zeros_like(hints),
            Hints = hints,
            AuxiliaryChannels = 2,
        };
        var level = new NoiseLevel(0, 0.8f, 800);
        var (answer, input) = (
            encoded.Answer(velocity, state, level),
            cat([encoded.Held(encoded.Video(state), level).Latents, encoded.Auxiliary(state)], 1)
        );
        for (var channel = 0; channel < 5; channel++)
        {
            var held = channel < 3;
            var expected = held
                ? (state[0, channel, 1, 0, 0].ToSingle() - known[0, channel, 1, 0, 0].ToSingle()) / 0.8f
                : velocity[0, channel, 1, 0, 0].ToSingle();
            Assert.Equal(expected, answer[0, channel, 1, 0, 0].ToSingle(), 1e-5f);
            Assert.Equal(velocity[0, channel, 0, 0, 0].ToSingle(), answer[0, channel, 0, 0, 0].ToSingle());
            Assert.Equal((held ? known : state)[0, channel, 1, 0, 0].ToSingle(), input[0, channel, 1, 0, 0].ToSingle());
        }
        Assert.Equal([1, 3, 2, 1, 1], encoded.Finish(state).shape);
    }

    private static SamplingSettings Settings(MiniModel model) =>
        ModelDefaults.Of(model).Settings with
        {
            Prompt = "a red ball",
            Width = 32,
            Height = 32,
            Frames = 5,
            Seed = 7,
        };

    private static byte[] Bytes(float[] values)
    {
        var bytes = new byte[values.Length * sizeof(float)];
        Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
        return bytes;
    }

    private string Model(string name, bool scenes, long steps)
    {
        var vae = Path.Combine(folder, "vae");
        if (!Directory.Exists(vae))
            VaeTrainer.Train(
                new(new WorldSource(), [(Shape, 2)]),
                Options(vae, 1, 1e-3),
                new VaeStart { FitClips = 32 },
                Reporter.Silent,
                CancellationToken.None
            );
        var model = Path.Combine(folder, name);
        Train(model, new() { Scenes = scenes }, steps, rate: 1e-3);
        return model;
    }

    private sealed record Start
    {
        public string? Folder { get; init; }

        public bool Scenes { get; init; }
    }

    private void Train(string model, Start start, long steps, double rate) =>
        TransformerTrainer.Train(
            new(new WorldSource(), [(Shape, 12)]),
            Options(model, steps, rate),
            new TransformerStart(Path.Combine(folder, "latents"), TokensPerStep: 48)
            {
                VaeFolder = Path.Combine(folder, "vae"),
                Folder = start.Folder,
                Scenes = start.Scenes,
            },
            Reporter.Silent,
            CancellationToken.None
        );

    private static TrainingOptions Options(string folder, long steps, double rate) =>
        new(folder, steps, new OptimizerOptions(rate, rate))
        {
            ValidateEvery = 100,
            SampleEvery = 100,
            CheckpointEvery = 100,
            Threads = 1,
        };

    private sealed class Unlabelled : ClipSource
    {
        public override IEnumerable<string> Words => ["thing"];

        public override void Draw(ulong seed, ClipShape shape, Span<byte> rgb) => rgb.Fill((byte)seed);

        public override string Caption(ulong seed, ClipShape shape, ulong variant) => "thing";
    }
}
