// Prints the speed of what the models spend their time on, each as a ratio to the matrix product measured beside it, so
// that runs on a busy or another machine compare; with `models`, that of whole models of full size instead, which takes
// minutes and 7 GB; with `gpu`, seconds and memory of whole models on an NVIDIA GPU (see tests/gpu.sh):
//   dotnet run -c Release --project tests/bench [models|gpu|depth|stereo] [threads]
// With `depth` it times a depth model of full size.
// With `stereo` it times two eyes from a frame and its depth, which needs no libtorch.
// With `memory SORA MODELS [ROW]` it holds the memory plan against measured peaks, all of it or rows that begin so ("codec").
//
// Whole models in f32, one pass each, on two cores of an AMD EPYC (Zen 5, AVX-512 with BF16), quiet, 2026-11-30:
//   VAE decodes 256x256x17   14.5 s   2.8 GB
//   VAE encodes 256x256x17    8.2 s   3.2 GB
//   1.3B passes 256x256x17   12.0 s   6.5 GB
//   1.3B passes 480x272x33   45.6 s   6.6 GB
// stable-diffusion.cpp 97d2990 (AVX-512, llamafile, 2 threads) on the same kind of machine in November 2026: it decodes in
// 140 to 164 s and 5.8 GB, and its passes take 21.3 to 25.1 s and 116 s.

using System.Diagnostics;
using System.Globalization;
using Sora.Bench;
using Sora.Kernels;
using static TorchSharp.torch;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args is ["memory", var sora, var models, ..])
{
    Sora.Bench.Memory.Run(sora, models, args.ElementAtOrDefault(3) ?? "");
    return;
}
if (args.Contains("stereo"))
{
    StereoSpeed.Report();
    return;
}
var load = Stopwatch.StartNew();
Libtorch.Start();
load.Stop();
if (args.FirstOrDefault(arg => arg is not ("models" or "gpu" or "depth")) is { } threads)
    set_num_threads(int.Parse(threads));
using var gradients = no_grad();
Console.WriteLine($"libtorch loads in {load.Elapsed.TotalSeconds:f2} s; {get_num_threads()} threads");

if (args.Contains("models"))
{
    Models.Report();
    return;
}
if (args.Contains("depth"))
{
    DepthSpeed.Report();
    return;
}
if (args.Contains("gpu"))
{
    Models.ReportGpu();
    return;
}

const int Calls = 50_000;
using (var one = zeros(1))
{
    Meter.Rate(() => one.add_(1));
    var clock = Stopwatch.StartNew();
    for (var i = 0; i < Calls; i++)
        one.add_(1);
    Console.WriteLine($"one operator call: {clock.Elapsed.TotalMicroseconds / Calls:f2} us");
}

Meter.Report("matrix product 2048 x 1536 x 1536", Works.Product(2048, 1536, 1536));
Meter.Report("matrix product 1280 x 1536 x 8960", Works.Product(1280, 1536, 8960));
Meter.Report("attention, 12 heads x 1280 x 128", Works.Attention(12, 1280, 1280, 128));
Meter.Report("attention, 12 heads x 4590 x 128", Works.Attention(12, 4590, 4590, 128));
Meter.Report("attention, 12 heads x 1280 to 512 x 128", Works.Attention(12, 1280, 512, 128));
Meter.Report("attention, 4 heads x 240 x 48, batch 8", Works.Attention(4, 240, 240, 48, 8));
Meter.Report("attention with gradient, 12 heads x 1280 x 128", Works.Gradient(Works.Attention(12, 1280, 1280, 128), 3.5));
Meter.Report("conv2d 3x3, 48 to 48, 66 x 66, batch 8", Works.Convolution(48, 48, [66, 66], 8));
Meter.Report("conv2d 3x3, 96 to 96, 240 x 240, batch 4", Works.Convolution(96, 96, [240, 240], 4));
Meter.Report("conv3d 3x3x3, 48 to 48, 3 x 120 x 120", Works.Convolution(48, 48, [3, 120, 120], 1));
Meter.Report("conv3d 3x3x3, 96 to 96, 3 x 120 x 120", Works.Convolution(96, 96, [3, 120, 120], 1));
Meter.Report("conv3d 3x3x3, 384 to 384, 3 x 32 x 32", Works.Convolution(384, 384, [3, 32, 32], 1));
Meter.Report("conv2d with gradient, 48 to 48, 66 x 66, batch 8", Works.Gradient(Works.Convolution(48, 48, [66, 66], 8), 3));
Meter.Report("conv3d with gradient, 96 to 96, 9 x 16 x 16, batch 4", Works.Gradient(Works.Convolution(96, 96, [9, 16, 16], 4), 3));
Meter.Report("a transformer block of Wan 1.3B, 1280 tokens", Works.Block(1280, 1536, 8960, 12, 512));
