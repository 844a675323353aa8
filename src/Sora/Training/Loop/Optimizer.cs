using Sora.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>How parameters move.</summary>
/// <param name="MatrixRate">Learning rate of Muon, on the scale of AdamW's.</param>
/// <param name="OtherRate">Learning rate of AdamW, for everything that isn't a matrix.</param>
/// <param name="ClipNorm">The gradient's global norm is cut to this.</param>
public sealed record OptimizerOptions(double MatrixRate, double OtherRate, double ClipNorm = 1.0)
{
    /// <summary>Muon's momentum.</summary>
    public double Momentum { get; init; } = 0.95;

    /// <summary>AdamW's decay of the mean of gradients.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the mean of squared gradients.</summary>
    public double Beta2 { get; init; } = 0.98;
}

/// <summary>
/// Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks") for weight matrices and
/// convolutions, flattened to out x rest; AdamW (Loshchilov and Hutter 2019, no decay) for embeddings, norms,
/// biases, modulation tables and the last layer. Muon's update has the scale 0.2 sqrt(max(rows, columns)), so that
/// AdamW's learning rates carry over (Liu et al. 2025, "Muon is scalable for LLM training").
/// </summary>
internal sealed class Optimizer : IDisposable
{
    private const double NewtonA = 3.4445,
        NewtonB = -4.7750,
        NewtonC = 2.0315;
    private const int NewtonSteps = 5;

    /// <summary>From this ratio of sides on, the iteration on the small square is cheaper.</summary>
    private const double Oblong = 1.5;

    /// <summary>Matrices that are made orthogonal together: enough of them for a batch, few enough to share out.</summary>
    private const int MatricesAtOnce = 8;
    private const double Epsilon = 1e-8;
    private static readonly string[] NotMatrices =
    [
        "shared",
        "relative_attention_bias",
        "scale_shift_table",
        "pos_embed",
        "proj_out",
        "conv_out",
    ];

    private readonly OptimizerOptions options;
    private readonly ScalarType products;
    private readonly int threads;
    private readonly List<MatrixGroup> groups = [];
    private readonly List<AdamMoments> moments = [];

    /// <param name="parameters">What moves, by name.</param>
    /// <param name="options">How it moves.</param>
    /// <param name="products">The type in which gradients of nearly square matrices are orthogonalised; the original uses bfloat16.</param>
    /// <param name="threads">Threads that share the work.</param>
    public Optimizer(
        IReadOnlyDictionary<string, Tensor> parameters,
        OptimizerOptions options,
        ScalarType products = ScalarType.Float32,
        int threads = 1
    )
    {
        (this.options, this.products, this.threads) = (options, products, threads);
        parameters = parameters.Where(p => p.Value.requires_grad).ToDictionary();
        foreach (
            var members in parameters
                .Where(p => IsMatrix(p.Key, p.Value))
                .GroupBy(p => Flat(p.Value.shape))
                .SelectMany(g => g.Chunk(MatricesAtOnce))
        )
        {
            var (rows, columns) = Flat(members[0].Value.shape);
            var momentum = zeros([members.Length, rows, columns], device: members[0].Value.device);
            groups.Add(new MatrixGroup(members, momentum.DetachFromDisposeScope()));
        }
        foreach (var (name, parameter) in parameters.Where(p => !IsMatrix(p.Key, p.Value)))
        {
            moments.Add(
                new AdamMoments(
                    name,
                    parameter,
                    zeros_like(parameter).detach().DetachFromDisposeScope(),
                    zeros_like(parameter).detach().DetachFromDisposeScope()
                )
            );
        }
    }

    /// <summary>Updates of AdamW so far, for its bias correction.</summary>
    public long Updates { get; private set; }

    /// <summary>Momentum and moments by name, for a checkpoint; reading one back is <see cref="Restore"/>.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        foreach (var group in groups)
        {
            foreach (var (i, member) in group.Members.Index())
                yield return new($"muon.{member.Key}", group.Momentum[i]);
        }
        foreach (var m in moments)
        {
            yield return new($"adam.mean.{m.Name}", m.Mean);
            yield return new($"adam.square.{m.Name}", m.Square);
        }
    }

    /// <summary>Puts a checkpoint's state back.</summary>
    public void Restore(Action<string, Tensor> read, long updates)
    {
        using var noGrad = no_grad();
        foreach (var (name, tensor) in State())
            read(name, tensor);
        Updates = updates;
    }

    /// <summary>
    /// One update from the gradients, which are cleared; learning rates are multiplied by <paramref name="rate"/>.
    /// Returns the gradient's norm before clipping. A norm that is not finite changes nothing.
    /// </summary>
    public double Step(double rate)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var gradients = groups
            .SelectMany(g => g.Members.Select(m => m.Value))
            .Concat(moments.Select(m => m.Parameter))
            .Where(p => p.grad is not null)
            .ToArray();
        var norm = Math.Sqrt(stack(gradients.Select(p => p.grad!.square().sum())).sum().ToDouble());
        if (double.IsFinite(norm))
        {
            var scale = Math.Min(1, options.ClipNorm / (norm + 1e-6));
            Updates++;
            WorkerThreads.Run(threads, groups.Count, i => StepMatrices(groups[i], scale, rate * options.MatrixRate));
            WorkerThreads.Run(threads, moments.Count, i => StepOther(moments[i], scale, rate * options.OtherRate));
        }
        foreach (var parameter in gradients)
            parameter.grad!.zero_();
        return norm;
    }

    public void Dispose()
    {
        foreach (var group in groups)
            group.Momentum.Dispose();
        foreach (var m in moments)
        {
            m.Mean.Dispose();
            m.Square.Dispose();
        }
    }

    /// <summary>
    /// The nearest matrix with all singular values near one, for each [rows, columns] of a batch: five steps of the
    /// quintic Newton-Schulz iteration with Muon's coefficients. Every step multiplies X by a polynomial of A = X X',
    /// and these commute, so for oblong matrices the steps are taken on the small square A alone and X is multiplied
    /// once: for a convolution of 96 x 2592 a quarter of the work.
    /// </summary>
    internal static Tensor Orthogonalise(Tensor batch, ScalarType products = ScalarType.Float32)
    {
        var tall = batch.shape[1] > batch.shape[2];
        var x = tall ? batch.mT : batch;
        x /= x.square().sum([1, 2], keepdim: true).sqrt() + 1e-7;
        // On the square alone a rounding error can become a negative eigenvalue, which grows tenfold a step.
        var isOblong = x.shape[2] >= Oblong * x.shape[1];
        if (!isOblong)
            x = x.to(products);
        var identity = (eye(x.shape[1], device: x.device) * NewtonA).to(x.dtype);
        Tensor Polynomial(Tensor a) => identity.add(a, NewtonB).add_(Functional.BatchedProduct(a, a), NewtonC);
        if (!isOblong)
        {
            for (var i = 0; i < NewtonSteps; i++)
                x = Functional.BatchedProduct(Polynomial(Functional.BatchedProduct(x, x.mT)), x);
            return tall ? x.mT : x;
        }
        var a = Functional.BatchedProduct(x, x.mT);
        var product = Polynomial(a);
        var p = product;
        for (var i = 1; i < NewtonSteps; i++)
        {
            a = Functional.BatchedProduct(Functional.BatchedProduct(p, a), p);
            p = Polynomial(a);
            product = Functional.BatchedProduct(p, product);
        }
        x = Functional.BatchedProduct(product, x);
        return tall ? x.mT : x;
    }

    private static (long Rows, long Columns) Flat(long[] shape) => (shape[0], shape.Skip(1).Aggregate(1L, (a, b) => a * b));

    private static bool IsMatrix(string name, Tensor parameter) =>
        parameter.dim() >= 2 && Flat(parameter.shape) is { Rows: > 1, Columns: > 1 } && !NotMatrices.Any(name.Contains);

    private void StepMatrices(MatrixGroup group, double scale, double rate)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (rows, columns) = (group.Momentum.shape[1], group.Momentum.shape[2]);
        var gradient = stack(
            group.Members.Select(m => m.Value.grad is { } g ? g.reshape(rows, columns) : zeros(rows, columns, device: m.Value.device))
        );
        gradient.mul_(scale);
        group.Momentum.mul_(options.Momentum).add_(gradient);
        var update = Orthogonalise(gradient.add_(group.Momentum, options.Momentum), products);
        var size = rate * 0.2 * Math.Sqrt(Math.Max(rows, columns));
        foreach (var (i, member) in group.Members.Index())
            member.Value.add_(update[i].reshape(member.Value.shape).to(float32), -size);
    }

    private void StepOther(AdamMoments m, double scale, double rate)
    {
        if (m.Parameter.grad is not { } raw)
            return;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var gradient = raw * scale;
        m.Mean.mul_(options.Beta1).add_(gradient, 1 - options.Beta1);
        m.Square.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
        var mean = m.Mean / (1 - Math.Pow(options.Beta1, Updates));
        var square = m.Square / (1 - Math.Pow(options.Beta2, Updates));
        m.Parameter.addcdiv_(mean, square.sqrt_().add_(Epsilon), -rate);
    }

    private sealed record MatrixGroup(KeyValuePair<string, Tensor>[] Members, Tensor Momentum);

    private sealed record AdamMoments(string Name, Tensor Parameter, Tensor Mean, Tensor Square);
}
