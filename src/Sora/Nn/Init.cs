using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>How a new tensor's values are drawn when a model is made for training.</summary>
public readonly record struct Init
{
    private enum WeightInit
    {
        Constant,
        Normal,
        Uniform,
    }

    private readonly WeightInit kind;
    private readonly double value;

    private Init(WeightInit kind, double value) => (this.kind, this.value) = (kind, value);

    /// <summary>All zeros.</summary>
    public static Init Zeros { get; } = new(WeightInit.Constant, 0);

    /// <summary>All ones.</summary>
    public static Init Ones { get; } = new(WeightInit.Constant, 1);

    /// <summary>Normal with mean 0.</summary>
    public static Init Normal(double std) => new(WeightInit.Normal, std);

    /// <summary>Uniform in [-<paramref name="bound"/>, <paramref name="bound"/>].</summary>
    public static Init Uniform(double bound) => new(WeightInit.Uniform, bound);

    /// <summary>
    /// Uniform within 1/sqrt(<paramref name="fanIn"/>), for the weight and the bias of a layer that sums
    /// <paramref name="fanIn"/> inputs (PyTorch's default for linear layers and convolutions).
    /// </summary>
    public static Init FanIn(long fanIn) => Uniform(1 / Math.Sqrt(fanIn));

    /// <summary>Overwrites <paramref name="tensor"/>; the numbers depend on <paramref name="seed"/> alone.</summary>
    internal void Fill(Tensor tensor, ulong seed)
    {
        using var generator = new Generator(seed);
        switch (kind)
        {
            case WeightInit.Constant:
                tensor.fill_(value);
                break;
            case WeightInit.Normal:
                tensor.normal_(0, value, generator);
                break;
            case WeightInit.Uniform:
                tensor.uniform_(-value, value, generator);
                break;
        }
    }
}
