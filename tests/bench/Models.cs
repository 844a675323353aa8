using System.Diagnostics;
using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Sora.Nn;
using Sora.Planning;
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

    /// <summary>The same on the first GPU: the VAE in float32 and the transformer in bfloat16, and the memory that libtorch took.</summary>
    public static void ReportGpu()
    {
        var gpu = new Device(DeviceType.CUDA, 0);
        var vae = CausalVaeConfig.Wan21;
        using (var weights = Weights.Initialise(1, gpu))
        {
            var codec = new CausalVae(vae, weights);
            MeasureGpu("Wan 2.1 VAE decodes 832x480x81", gpu, () => codec.Decode(randn([1, vae.ZDim, 21, 60, 104], device: gpu)));
        }

        var config = WanTransformerConfig.Wan21T2V1_3B;
        var folder = Directory.CreateTempSubdirectory("sora-bench-").FullName;
        try
        {
            using (var drawn = Weights.Initialise(2))
            {
                _ = new WanTransformer(config, drawn);
                drawn.Save(Path.Combine(folder, "model.safetensors"), bfloat16);
            }
            using var weights = Checkpoint.Load(folder, new WeightsOptions { Device = gpu, DType = bfloat16 });
            using var transformer = new WanTransformer(config, weights);
            foreach (var (size, frames, height, width) in new[] { ("256x256x17", 5L, 32L, 32L), ("832x480x81", 21, 60, 104) })
                MeasureGpu($"Wan 2.1 1.3B passes {size}", gpu, () => transformer.Forward(Input(config, frames, height, width, gpu)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Pass(WanTransformer transformer, string size, long frames, long height, long width)
    {
        var config = transformer.Config;
        var (dim, tokens) = (config.Dim, frames * height * width / 4);
        // Of a block: queries, keys, values and results of tokens, keys and values of words, the feed-forward layers, attention.
        double products = (6.0 * tokens + 2 * Words) * dim * dim + 2.0 * tokens * dim * config.FfnDim;
        var flops = config.NumLayers * (2 * products + 4.0 * tokens * (tokens + Words) * dim);
        Measure(
            $"Wan 2.1 1.3B passes {size}, {tokens} tokens",
            flops,
            () => transformer.Forward(Input(config, frames, height, width, CPU))
        );
    }

    private static TransformerInput Input(WanTransformerConfig config, long frames, long height, long width, Device device) =>
        new()
        {
            HiddenStates = randn([1, config.InChannels, frames, height, width], device: device),
            Timestep = tensor([500f], device: device),
            Text = randn([1, Words, config.TextDim], device: device),
        };

    private static void MeasureGpu(string name, Device gpu, Func<Tensor> run)
    {
        using var scope = NewDisposeScope();
        var before = FreeMemory.Of(gpu).Bytes;
        var seconds = double.MaxValue;
        // The first run chooses algorithms.
        for (var i = 0; i < 3; i++)
        {
            cuda.synchronize();
            var clock = Stopwatch.StartNew();
            run().Dispose();
            cuda.synchronize();
            seconds = Math.Min(seconds, clock.Elapsed.TotalSeconds);
        }
        Console.WriteLine($"{name}: {seconds:f2} s; {(before - FreeMemory.Of(gpu).Bytes) / (double)(1 << 30):f1} GB beside the weights");
    }

    private static void Measure(string name, double flops, Func<Tensor> run)
    {
        using var scope = NewDisposeScope();
        Work product = Works.Product(1024, 1536, 1536),
            convolution = Works.Convolution(96, 96, [6, 128, 128], 1);
        double matrices = 0,
            windows = 0;
        void Reference()
        {
            matrices = Math.Max(matrices, product.Flops / Meter.Rate(() => product.Run()));
            windows = Math.Max(windows, convolution.Flops / Meter.Rate(() => convolution.Run()));
        }

        Reference();
        // The kernel's mark of the most memory so far starts again.
        File.WriteAllText("/proc/self/clear_refs", "5");
        var clock = Stopwatch.StartNew();
        run().Dispose();
        var seconds = clock.Elapsed.TotalSeconds;
        var peak = File.ReadLines("/proc/self/status")
            .First(line => line.StartsWith("VmHWM", StringComparison.Ordinal))
            .Split(':')[1]
            .Trim()
            .Split(' ')[0];
        Reference();
        var rate = flops / seconds;
        Console.WriteLine(
            $"{name}: {seconds:f1} s, {rate / 1e9:f0} GFLOP/s, {rate / matrices:f2} of the matrix product's {matrices / 1e9:f0}, "
                + $"{rate / windows:f2} of the convolution's {windows / 1e9:f0}; peak {double.Parse(peak) / (1 << 20):f1} GB"
        );
    }
}
