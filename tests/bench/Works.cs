using Sora.Kernels;
using static TorchSharp.torch;

namespace Sora.Bench;

/// <summary>What the models spend their time on.</summary>
internal static class Works
{
    public static Work Product(long m, long k, long n)
    {
        Tensor a = randn(m, k),
            b = randn(n, k);
        return new(2.0 * m * k * n, [a, b], () => Functional.Linear(a, b));
    }

    public static Work Attention(long heads, long queries, long keys, long dim, long batch = 1)
    {
        Tensor q = randn(batch, heads, queries, dim),
            k = randn(batch, heads, keys, dim),
            v = randn(batch, heads, keys, dim);
        return new(4.0 * batch * heads * queries * keys * dim, [q, k, v], () => Functional.ScaledDotProductAttention(q, k, v));
    }

    public static Work Convolution(long from, long to, long[] size, long batch)
    {
        long[] kernel = [to, from, .. Enumerable.Repeat(3L, size.Length)];
        // As in a causal network: frames are not padded but put in front by the caller.
        long[] padding = size.Length == 3 ? [0, 1, 1] : [1, 1];
        Tensor x = randn([batch, from, .. size]),
            weight = randn(kernel),
            bias = randn(to);
        var places = size.Length == 3 ? (size[0] - 2) * size[1] * size[2] : size[0] * size[1];
        return new(
            2.0 * weight.numel() * batch * places,
            [x, weight, bias],
            () =>
                size.Length == 3
                    ? Functional.Conv3d(x, weight, bias, padding: padding)
                    : Functional.Conv2d(x, weight, bias, padding: padding)
        );
    }

    /// <summary>The work and its gradients, which take <paramref name="times"/> the operations together.</summary>
    public static Work Gradient(Work work, double times)
    {
        foreach (var tensor in work.Inputs)
            tensor.requires_grad_();
        return new(
            work.Flops * times,
            work.Inputs,
            () =>
            {
                using var on = enable_grad();
                return autograd.grad([work.Run().sum()], work.Inputs)[0];
            }
        );
    }

    /// <summary>Self attention, cross attention to words and the network between, without normalisation and modulation.</summary>
    public static Work Block(long tokens, long dim, long inner, long heads, long words)
    {
        Tensor x = randn(1, tokens, dim),
            text = randn(1, words, dim),
            square = randn(dim, dim) * 0.02;
        Tensor up = randn(inner, dim) * 0.02,
            down = randn(dim, inner) * 0.02;
        Tensor Linear(Tensor t) => Functional.Linear(t, square);
        Tensor Heads(Tensor t) => t.view(1, t.shape[1], heads, dim / heads).transpose(1, 2);
        Tensor Attend(Tensor from, Tensor to) =>
            Linear(
                Functional
                    .ScaledDotProductAttention(Heads(Linear(from)), Heads(Linear(to)), Heads(Linear(to)))
                    .transpose(1, 2)
                    .reshape(1, tokens, dim)
            );
        var products = (6 * tokens + 2 * words) * dim * dim + 2 * tokens * dim * inner;
        return new(
            2.0 * products + 4.0 * tokens * (tokens + words) * dim,
            [x, text, square, up, down],
            () =>
            {
                var y = x + Attend(x, x);
                y = y + Attend(y, text);
                return y + Functional.Linear(Functional.Linear(y, up).silu(), down);
            }
        );
    }
}
