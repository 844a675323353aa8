// Prints the speed of what the models spend their time on, each as a ratio to the matrix product measured beside it, so
// that runs on a busy or another machine compare:  dotnet run -c Release --project tests/bench [threads]

using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
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
Report("attention, 4 heads x 240 x 64, batch 8", Attention(4, 240, 240, 64, 8));
Report("attention with gradient, 12 heads x 1280 x 128", AttentionGradient(12, 1280, 128));
Report("conv3d 3x3x3, 48 to 48, 5 x 120 x 120", Convolution(48, 48, [5, 120, 120], 1));
Report("conv3d 3x3x3, 96 to 96, 5 x 120 x 120", Convolution(96, 96, [5, 120, 120], 1));
Report("conv3d 3x3x3, 384 to 384, 5 x 32 x 32", Convolution(384, 384, [5, 32, 32], 1));
Report("conv2d 3x3, 48 to 48, 66 x 66, batch 8", Convolution(48, 48, [66, 66], 8));
Report("conv2d 3x3, 96 to 96, 240 x 240, batch 4", Convolution(96, 96, [240, 240], 4));

// Each measurement alternates with the matrix product, so that both see the same machine.
static void Report(string name, (double Flops, Action Run) work)
{
    var (flops, product) = Product(1024, 1536, 1536);
    double best = 0, reference = 0;
    for (var i = 0; i < 3; i++)
    {
        best = Math.Max(best, work.Flops / Rate(work.Run));
        reference = Math.Max(reference, flops / Rate(product));
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

static (double, Action) Product(long m, long k, long n)
{
    Tensor a = randn(m, k), b = randn(n, k);
    return (2.0 * m * k * n, () => nn.functional.linear(a, b));
}

static (double, Action) Attention(long heads, long queries, long keys, long dim, long batch = 1)
{
    Tensor q = randn(batch, heads, queries, dim), k = randn(batch, heads, keys, dim), v = randn(batch, heads, keys, dim);
    return (4.0 * batch * heads * queries * keys * dim, () => nn.functional.scaled_dot_product_attention(q, k, v));
}

static (double, Action) AttentionGradient(long heads, long length, long dim)
{
    Tensor Leaf() => randn(1, heads, length, dim).requires_grad_();
    Tensor q = Leaf(), k = Leaf(), v = Leaf();
    return (14.0 * heads * length * length * dim, () =>
    {
        using var on = enable_grad();
        using var sum = nn.functional.scaled_dot_product_attention(q, k, v).sum();
        foreach (var gradient in autograd.grad([sum], [q, k, v])) gradient.Dispose();
    });
}

static (double, Action) Convolution(long from, long to, long[] size, long batch)
{
    long[] kernel = [to, from, .. Enumerable.Repeat(3L, size.Length)];
    long[] padding = [.. Enumerable.Repeat(1L, size.Length)];
    Tensor x = randn([batch, from, .. size]), weight = randn(kernel), bias = randn(to);
    var flops = 2.0 * weight.numel() * batch * size.Aggregate(1L, (a, b) => a * b);
    return (flops, () => _ = size.Length == 3
        ? nn.functional.conv3d(x, weight, bias, padding: padding)
        : nn.functional.conv2d(x, weight, bias, padding: padding));
}
