using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Models;

/// <summary>How a new tensor's values are drawn when a model is made for training.</summary>
public readonly record struct Init
{
    private enum Kind
    {
        Constant,
        Normal,
        Uniform,
    }

    private readonly Kind kind;
    private readonly double value;

    private Init(Kind kind, double value) => (this.kind, this.value) = (kind, value);

    /// <summary>All zeros.</summary>
    public static Init Zeros { get; } = new(Kind.Constant, 0);

    /// <summary>All ones.</summary>
    public static Init Ones { get; } = new(Kind.Constant, 1);

    /// <summary>Normal with mean 0.</summary>
    public static Init Normal(double std) => new(Kind.Normal, std);

    /// <summary>Uniform in [-<paramref name="bound"/>, <paramref name="bound"/>].</summary>
    public static Init Uniform(double bound) => new(Kind.Uniform, bound);

    /// <summary>
    /// Uniform within 1/sqrt(<paramref name="fanIn"/>), for the weight and the bias of a layer that sums
    /// <paramref name="fanIn"/> inputs (PyTorch's default for linear layers and convolutions).
    /// </summary>
    public static Init FanIn(long fanIn) => Uniform(1 / Math.Sqrt(fanIn));

    /// <summary>Overwrites <paramref name="tensor"/>; the numbers follow from <paramref name="seed"/> alone.</summary>
    internal void Fill(Tensor tensor, ulong seed)
    {
        using var generator = new Generator(seed);
        switch (kind)
        {
            case Kind.Constant: tensor.fill_(value); break;
            case Kind.Normal: tensor.normal_(0, value, generator); break;
            case Kind.Uniform: tensor.uniform_(-value, value, generator); break;
        }
    }
}
