using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using static TorchSharp.torch;

namespace Sora.Kernels;

/// <summary>
/// Which of the two libraries within libtorch multiplies matrices on the CPU: oneDNN, by its C interface, or MKL, which
/// libtorch's own operators use. MKL reaches half of what AMD's processors can do. On others both are measured once: the choice
/// is kept in <c>$XDG_CACHE_HOME/sora</c> (<c>~/.cache/sora</c>), since the bits of a result depend on it.
/// </summary>
internal static class Products
{
    /// <summary>How much faster MKL must be to be chosen: less is within measurement noise.</summary>
    private const double Margin = 1.1;

    private static readonly Lazy<bool> Choice = new(() => Vendor() == "AuthenticAMD" || Remembered(Path()));

    /// <summary>Whether oneDNN multiplies float32 matrices.</summary>
    public static bool UsesOneDnn => Choice.Value;

    /// <summary>Whether oneDNN is to be used, from a file that holds what was measured, and is written if it isn't there.</summary>
    internal static bool Remembered(string path)
    {
        try
        {
            if (File.Exists(path))
                return File.ReadAllText(path).Trim() != "mkl";
            var usesOneDnn = Measure();
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
            var temporary = $"{path}.{Environment.ProcessId}";
            File.WriteAllText(temporary, usesOneDnn ? "onednn\n" : "mkl\n");
            File.Move(temporary, path, overwrite: true);
            return usesOneDnn;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A choice that can't be kept must still be the same in every run.
            return true;
        }
    }

    private static bool Measure()
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        Tensor x = ones(512, 1536),
            w = ones(1536, 1536);
        double oneDnn = double.MaxValue,
            mkl = double.MaxValue;
        // The first run of each compiles its code.
        for (var i = 0; i < 4; i++)
        {
            oneDnn = Math.Min(oneDnn, Seconds(() => Libtorch.LinearPointwise(x, w, null, gelu: false)));
            mkl = Math.Min(mkl, Seconds(() => nn.functional.linear(x, w)));
        }
        return oneDnn < mkl * Margin;
    }

    private static double Seconds(Func<Tensor> product)
    {
        var start = Stopwatch.GetTimestamp();
        product().Dispose();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static string Path()
    {
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } named
            ? named
            : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        var machine = string.Concat(Brand().Where(char.IsAsciiLetterOrDigit));
        return System.IO.Path.Combine(cache, "sora", $"products-{machine}-{get_num_threads()}-{Libtorch.Version}");
    }

    private static string Vendor()
    {
        if (!X86Base.IsSupported)
            return "";
        var (_, b, c, d) = X86Base.CpuId(0, 0);
        return Text([b, d, c]);
    }

    private static string Brand()
    {
        const int First = unchecked((int)0x80000002);
        if (!X86Base.IsSupported)
            return "";
        var words = new List<int>();
        for (var leaf = First; leaf < First + 3; leaf++)
        {
            var (a, b, c, d) = X86Base.CpuId(leaf, 0);
            words.AddRange([a, b, c, d]);
        }
        return Text([.. words]);
    }

    private static string Text(ReadOnlySpan<int> words) => Encoding.ASCII.GetString(MemoryMarshal.AsBytes(words)).TrimEnd('\0', ' ');
}
