using Sora.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>Reference cases as tensors.</summary>
internal static class GoldenTensors
{
    public static Tensor Input(this GoldenCase golden, string name) => TensorIO.Load(golden.File, "in." + name);

    public static Tensor Output(this GoldenCase golden, string name) => TensorIO.Load(golden.File, "out." + name);

    public static bool HasInput(this GoldenCase golden, string name) => golden.File.Tensors.ContainsKey("in." + name);

    /// <summary>Holds <paramref name="actual"/> against the result <paramref name="name"/>.</summary>
    public static void Check(this GoldenCase golden, string name, Tensor actual)
    {
        using var scope = NewDisposeScope();
        var expected = golden.Output(name);
        Assert.Equal(expected.shape, actual.shape);
        var error = Distance(actual, expected);
        Assert.True(error <= golden.Tolerance, $"{name}: relative error {error:g3}, tolerance {golden.Tolerance:g3}");
    }

    /// <summary>||actual - expected|| / ||expected||, in double.</summary>
    public static double Distance(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        return GoldenCase.RelativeError(TensorIO.ToHost(actual).ToFloats(), TensorIO.ToHost(expected).ToFloats());
    }

    /// <summary>The names of the cases of group <c>wan</c> that begin so.</summary>
    public static TheoryData<string> Names(params string[] prefixes)
    {
        var names = new TheoryData<string>();
        foreach (var path in Directory.GetFiles(Golden.Path("cases", "wan"), "*.safetensors").Order())
        {
            var name = Path.GetFileNameWithoutExtension(path);
            if (prefixes.Any(name.StartsWith))
                names.Add(name);
        }
        Assert.NotEmpty(names);
        return names;
    }

    /// <summary>Bytes <c>[B, F, H, W, 3]</c> as video <c>[B, 3, F, H, W]</c> in [-1, 1].</summary>
    public static Tensor Video(Tensor frames) => frames.permute(0, 4, 1, 2, 3).to(float32).div(127.5).sub(1).contiguous();
}
