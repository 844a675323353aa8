using System.IO.Compression;
using System.Reflection;
using Xunit;

namespace Sora.Tests.Providers;

/// <summary>
/// Holds every public member of the stand-in libraries against the signatures of the packages they stand for, so that
/// code written over the one compiles over the other.
/// </summary>
public class ConformanceTests
{
    /// <summary>
    /// Facts that differ on purpose. None may be one that a caller's source can depend on.
    /// </summary>
    private static readonly Dictionary<string, string> Exceptions = new();

    [Theory]
    [InlineData("TorchSharp", "TorchSharp-0.106.0")]
    [InlineData("FFMpegCore", "FFMpegCore-5.4.0")]
    public void StandInHasOnlyMembersOfThePackage(string assembly, string list)
    {
        var package = Listed(list);
        var invented = Signatures.Of(Assembly.Load(assembly))
            .Where(line => !package.Contains(line) && !Exceptions.ContainsKey(line));
        Assert.Equal("", string.Join("\n", invented));
    }

    [Fact]
    public void AnInventedMemberWouldBeFound()
    {
        var package = Listed("TorchSharp-0.106.0");
        var own = Signatures.Of(typeof(ConformanceTests).Assembly);
        Assert.Contains(own, line => line.Contains(nameof(AnInventedMemberWouldBeFound)) && !package.Contains(line));
    }

    private static HashSet<string> Listed(string name)
    {
        var resource = typeof(ConformanceTests).Assembly.GetManifestResourceStream($"{name}.txt.gz");
        using var reader = new StreamReader(new GZipStream(resource!, CompressionMode.Decompress));
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);
    }
}
