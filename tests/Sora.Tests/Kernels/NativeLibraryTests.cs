using System.Diagnostics;
using System.Runtime.InteropServices;
using Sora.Kernels;
using TorchSharp;
using Xunit;

namespace Sora.Tests.Kernels;

/// <summary>The libraries that the build puts beside the program.</summary>
public class NativeLibraryTests
{
    private static string Built => Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");

    /// <summary>
    /// TorchSharp's library is the package's where the system's libstdc++ has what it wants; elsewhere a copy that wants the
    /// constructor of std::ios_base::Init instead, and is the same but for its name, one flag and one version.
    /// </summary>
    [Fact]
    public void TorchSharpLoadsByAnOlderLibstdcxx()
    {
        const string NewFunction = "_ZSt21ios_base_library_initv",
            OldFunction = "_ZNSt8ios_base4InitC1Ev";
        var package = File.ReadAllBytes(Package());
        var built = File.ReadAllBytes(Built);
        Assert.True(NativeLibrary.TryLoad(Built, out _));
        NativeLibrary.TryLoad("libstdc++.so.6", out var system);
        if (NativeLibrary.TryGetExport(system, NewFunction, out _))
        {
            Assert.Equal(package, built);
            return;
        }
        Assert.Equal(package.Length, built.Length);
        // The name, the flag, and the two bytes of the version's number.
        Assert.InRange(package.Zip(built).Count(pair => pair.First != pair.Second), 3, NewFunction.Length + 3);
        var imports = Symbols(Built);
        Assert.DoesNotContain(imports, line => line.Contains(NewFunction));
        Assert.Contains(imports, line => line.Contains($"{OldFunction}@GLIBCXX_3.4 ") || line.EndsWith($"{OldFunction}@GLIBCXX_3.4"));
    }

    /// <summary>What libtorch has for Python and for its own tests isn't installed: it is not loaded, and takes 30 MB.</summary>
    [Fact]
    public void OnlyWhatIsLoadedIsCopied()
    {
        var libraries = Directory.GetFiles(AppContext.BaseDirectory, "*.so*").Select(Path.GetFileName).ToList();
        Assert.Contains("libtorch_cpu.so", libraries);
        Assert.DoesNotContain(libraries, name => name!.Contains("python") || name.Contains("test"));
    }

    /// <summary>A runtime of their own would have threads of its own.</summary>
    [Fact]
    public void KernelsShareTheThreadsOfLibtorch()
    {
        if (!KernelLibrary.IsUsed)
            return;
        using var scope = torch.NewDisposeScope();
        var (q, threads) = (torch.randn(1, 8, 400, 32), torch.get_num_threads());
        Functional.ScaledDotProductAttention(q, q, q);
        Assert.Single(Maps().Where(line => line.Contains("gomp")).Select(line => line[line.IndexOf('/')..]).Distinct());
        Assert.Equal(threads, torch.get_num_threads());
    }

    private static string[] Maps() => File.ReadAllLines("/proc/self/maps");

    private static string[] Symbols(string library)
    {
        using var readelf = Process.Start(
            new ProcessStartInfo("readelf", ["-W", "--dyn-syms", library]) { RedirectStandardOutput = true }
        )!;
        return [.. readelf.StandardOutput.ReadToEnd().Split('\n').Select(line => line.TrimEnd())];
    }

    private static string Package()
    {
        var packages =
            Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        return Directory
            .GetFiles(Path.Combine(packages, "torchsharp"), "libLibTorchSharp.so", SearchOption.AllDirectories)
            .Single(path => path.Contains("linux-x64"));
    }
}
