// Prints the speed of what the models spend their time on, each as a ratio to the matrix product measured beside it, so
// that runs on a busy or another machine compare:  dotnet run -c Release --project tests/bench [threads]
//
// On two cores with AVX-512, libtorch 1.13.1 and OpenBLAS 0.3.21 (others at work beside it): loading libtorch 0.5 s, one
// operator call 1.2 to 3 us, attention 1.0 of the matrix product's rate (composed of operators it was 0.25), with its
// gradient 1.0, convolutions of 48 to 96 channels 0.7 to 1.05 (by libtorch alone 0.4 to 0.8), a transformer block 0.93.
//
// dotnet run -c Release --project tests/bench memory SORA tests/golden/models  instead runs the built program SORA on random
// models and holds the peak of its memory against its plan; see README, "Which files for which card", for what it gave.

using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args is ["memory", var sora, var models])
{
    Sora.Bench.Memory.Run(sora, models);
    return;
}
var load = Stopwatch.StartNew();
zeros(1).Dispose();
load.Stop();
if (args is [var threads]) set_num_threads(int.Parse(threads));
using var gradients = no_grad();
Console.WriteLine($"libtorch loads in {load.Elapsed.TotalSeconds:f2} s; {get_num_threads()} threads");

const int Calls = 50_000;
using (var one = zeros(1))
{
    Rate(() => one.add_(1));
    var clock = Stopwatch.StartNew();
    for (var i = 0; i < Calls; i++) one.add_(1);
    Console.WriteLine($"one operator call: {clock.Elapsed.TotalMicroseconds / Calls:f2} us");
}

Report("matrix product 2048 x 1536 x 1536", Product(2048, 1536, 1536));
Report("matrix product 1280 x 1536 x 8960", Product(1280, 1536, 8960));
Report("attention, 12 heads x 1280 x 128", Attention(12, 1280, 1280, 128));
Report("attention, 12 heads x 4590 x 128", Attention(12, 4590, 4590, 128));
Report("attention, 12 heads x 1280 to 512 x 128", Attention(12, 1280, 512, 128));
Report("attention, 4 heads x 240 x 48, batch 8", Attention(4, 240, 240, 48, 8));
Report("attention with gradient, 12 heads x 1280 x 128", Gradient(Attention(12, 1280, 1280, 128), 3.5));
Report("conv2d 3x3, 48 to 48, 66 x 66, batch 8", Convolution(48, 48, [66, 66], 8));
Report("conv2d 3x3, 96 to 96, 240 x 240, batch 4", Convolution(96, 96, [240, 240], 4));
Report("conv3d 3x3x3, 48 to 48, 3 x 120 x 120", Convolution(48, 48, [3, 120, 120], 1));
Report("conv3d 3x3x3, 96 to 96, 3 x 120 x 120", Convolution(96, 96, [3, 120, 120], 1));
Report("conv3d 3x3x3, 384 to 384, 3 x 32 x 32", Convolution(384, 384, [3, 32, 32], 1));
Report("conv2d with gradient, 48 to 48, 66 x 66, batch 8", Gradient(Convolution(48, 48, [66, 66], 8), 3));
Report("conv3d with gradient, 96 to 96, 9 x 16 x 16, batch 4", Gradient(Convolution(96, 96, [9, 16, 16], 4), 3));
Report("a transformer block of Wan 1.3B, 1280 tokens", Block(1280, 1536, 8960, 12, 512));

// Each measurement alternates with the matrix product, so that both see the same machine.
static void Report(string name, Work work)
{
    using var scope = NewDisposeScope();
    var product = Product(1024, 1536, 1536);
    double best = 0, reference = 0;
    for (var i = 0; i < 3; i++)
    {
        best = Math.Max(best, work.Flops / Rate(() => work.Run()));
        reference = Math.Max(reference, product.Flops / Rate(() => product.Run()));
    }
    Console.WriteLine($"{name}: {best / 1e9:f0} GFLOP/s, {best / reference:f2} of the matrix product's");
}

static double Rate(Action work)
{
    using var scope = NewDisposeScope();
    work();
    var clock = Stopwatch.StartNew();
    var runs = 0;
    do
    {
        work();
        runs++;
        scope.DisposeEverything();
    }
    while (clock.Elapsed.TotalSeconds < 0.3);
    return clock.Elapsed.TotalSeconds / runs;
}

static Work Product(long m, long k, long n)
{
    Tensor a = randn(m, k), b = randn(n, k);
    return new(2.0 * m * k * n, [a, b], () => nn.functional.linear(a, b));
}

static Work Attention(long heads, long queries, long keys, long dim, long batch = 1)
{
    Tensor q = randn(batch, heads, queries, dim), k = randn(batch, heads, keys, dim), v = randn(batch, heads, keys, dim);
    return new(4.0 * batch * heads * queries * keys * dim, [q, k, v],
        () => nn.functional.scaled_dot_product_attention(q, k, v));
}

static Work Convolution(long from, long to, long[] size, long batch)
{
    long[] kernel = [to, from, .. Enumerable.Repeat(3L, size.Length)];
    // As in a causal network: frames are not padded but put in front by the caller.
    long[] padding = size.Length == 3 ? [0, 1, 1] : [1, 1];
    Tensor x = randn([batch, from, .. size]), weight = randn(kernel), bias = randn(to);
    var places = size.Length == 3 ? (size[0] - 2) * size[1] * size[2] : size[0] * size[1];
    return new(2.0 * weight.numel() * batch * places, [x, weight, bias], () => size.Length == 3
        ? nn.functional.conv3d(x, weight, bias, padding: padding)
        : nn.functional.conv2d(x, weight, bias, padding: padding));
}

// The work and its gradients, which take `times` the operations together.
static Work Gradient(Work work, double times)
{
    foreach (var tensor in work.Inputs) tensor.requires_grad_();
    return new(work.Flops * times, work.Inputs, () =>
    {
        using var on = enable_grad();
        return autograd.grad([work.Run().sum()], work.Inputs)[0];
    });
}

// Self attention, cross attention to `words` and the network between, without normalisation and modulation.
static Work Block(long tokens, long dim, long inner, long heads, long words)
{
    Tensor x = randn(1, tokens, dim), text = randn(1, words, dim), square = randn(dim, dim) * 0.02;
    Tensor up = randn(inner, dim) * 0.02, down = randn(dim, inner) * 0.02;
    Tensor Linear(Tensor t) => nn.functional.linear(t, square);
    Tensor Heads(Tensor t) => t.view(1, t.shape[1], heads, dim / heads).transpose(1, 2);
    Tensor Attend(Tensor from, Tensor to) => Linear(nn.functional.scaled_dot_product_attention(
        Heads(Linear(from)), Heads(Linear(to)), Heads(Linear(to))).transpose(1, 2).reshape(1, tokens, dim));
    var products = (6 * tokens + 2 * words) * dim * dim + 2 * tokens * dim * inner;
    return new(2.0 * products + 4.0 * tokens * (tokens + words) * dim, [x, text, square, up, down], () =>
    {
        var y = x + Attend(x, x);
        y = y + Attend(y, text);
        return y + nn.functional.linear(nn.functional.linear(y, up).silu(), down);
    });
}

// Something to time: its floating-point operations, the tensors that it reads, and what it does.
internal sealed record Work(double Flops, Tensor[] Inputs, Func<Tensor> Run);
