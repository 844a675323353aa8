using System.Diagnostics;
using static TorchSharp.torch;

namespace Sora.Bench;

/// <summary>Times work.</summary>
internal static class Meter
{
    /// <summary>Prints a rate; each measurement alternates with the matrix product, so that both see the same machine.</summary>
    public static void Report(string name, Work work)
    {
        using var scope = NewDisposeScope();
        var product = Works.Product(1024, 1536, 1536);
        double best = 0,
            reference = 0;
        for (var i = 0; i < 3; i++)
        {
            best = Math.Max(best, work.Flops / Rate(() => work.Run()));
            reference = Math.Max(reference, product.Flops / Rate(() => product.Run()));
        }
        Console.WriteLine($"{name}: {best / 1e9:f0} GFLOP/s, {best / reference:f2} of the matrix product's");
    }

    /// <summary>Seconds that the work takes once it has run.</summary>
    public static double Rate(Action work)
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
        } while (clock.Elapsed.TotalSeconds < 0.3);
        return clock.Elapsed.TotalSeconds / runs;
    }
}

/// <summary>Something to time: its floating-point operations, the tensors that it reads, and what it does.</summary>
internal sealed record Work(double Flops, Tensor[] Inputs, Func<Tensor> Run);
