using System.Diagnostics;
using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Bench;

/// <summary>Whole models of full size in float32, with random weights: a pass of the transformer, and the VAE both ways.</summary>
internal static class Models
{
    private const long Words = 512;

    /// <summary>Prints seconds, rates, and the most memory that the process had during each.</summary>
    public static void Report()
    {
        var vae = CausalVaeConfig.Wan21;
        using (var weights = Weights.Initialise(1))
        {
            var codec = new CausalVae(vae, weights);
            Measure("Wan 2.1 VAE decodes 256x256x17", VaeFlops.Decode(vae, 5, 32, 32), () => codec.Decode(randn([1, vae.ZDim, 5, 32, 32])));
            Measure("Wan 2.1 VAE encodes 256x256x17", VaeFlops.Encode(vae, 17, 256, 256), () => codec.Encode(rand([1, 3, 17, 256, 256])));
        }

        var config = WanTransformerConfig.Wan21T2V1_3B;
        using var drawn = Weights.Initialise(2);
        using var transformer = new WanTransformer(config, drawn);
        Pass(transformer, "256x256x17", 5, 32, 32);
        Pass(transformer, "480x272x33", 9, 34, 60);
    }

    private static void Pass(WanTransformer transformer, string size, long frames, long height, long width)
    {
        var config = transformer.Config;
        var (dim, tokens) = (config.Dim, frames * height * width / 4);
        // Of a block: queries, keys, values and results of tokens, keys and values of words, the feed-forward layers, attention.
        double products = (6.0 * tokens + 2 * Words) * dim * dim + 2.0 * tokens * dim * config.FfnDim;
        var flops = config.NumLayers * (2 * products + 4.0 * tokens * (tokens + Words) * dim);
        Measure($"Wan 2.1 1.3B passes {size}, {tokens} tokens", flops, () => transformer.Forward(new TransformerInput
        {
            HiddenStates = randn([1, config.InChannels, frames, height, width]),
            Timestep = tensor([500f]),
            Text = randn([1, Words, config.TextDim]),
        }));
    }

    private static void Measure(string name, double flops, Func<Tensor> run)
    {
        using var scope = NewDisposeScope();
        Work product = Works.Product(1024, 1536, 1536), convolution = Works.Convolution(96, 96, [6, 128, 128], 1);
        double matrices = 0, windows = 0;
        void Reference()
        {
            matrices = Math.Max(matrices, product.Flops / Meter.Rate(() => product.Run()));
            windows = Math.Max(windows, convolution.Flops / Meter.Rate(() => convolution.Run()));
        }

        Reference();
        // The kernel's mark of the most memory so far starts anew.
        File.WriteAllText("/proc/self/clear_refs", "5");
        var clock = Stopwatch.StartNew();
        run().Dispose();
        var seconds = clock.Elapsed.TotalSeconds;
        var peak = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(':')[1].Trim().Split(' ')[0];
        Reference();
        var rate = flops / seconds;
        Console.WriteLine($"{name}: {seconds:f1} s, {rate / 1e9:f0} GFLOP/s, {rate / matrices:f2} of the matrix product's {matrices / 1e9:f0}, "
            + $"{rate / windows:f2} of the convolution's {windows / 1e9:f0}; peak {double.Parse(peak) / (1 << 20):f1} GB");
    }
}
