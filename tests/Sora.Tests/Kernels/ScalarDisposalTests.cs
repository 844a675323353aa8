using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Sora.Tests.Kernels;

/// <summary>The numbers that operators take.</summary>
public partial class ScalarDisposalTests
{
    /// <summary>libtorch may still have to read a number that the garbage collector has taken.</summary>
    [Fact]
    public void ANumberOutlivesItsScalar()
    {
        var addresses = Addresses(1000);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.All(addresses, address => Assert.Equal((sbyte)ScalarType.Float64, TypeOf(address)));
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => i + 0.5), addresses.Select(ValueOf));
    }

    /// <summary>The addresses of the scalars 0.5, 1.5, 2.5 and so on, which nothing refers to.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static List<nint> Addresses(int count)
    {
        var address = typeof(Scalar).GetField("handle", BindingFlags.Instance | BindingFlags.NonPublic)!;
        return [.. Enumerable.Range(0, count).Select(i => (nint)address.GetValue((i + 0.5).ToScalar())!)];
    }

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTorch_scalar_to_float64")]
    private static partial double ValueOf(nint scalar);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTorch_scalar_type")]
    private static partial sbyte TypeOf(nint scalar);
}
