namespace Sora.Tests;

/// <summary>Where the reference tensors lie: tests/golden, found from the test's own folder upward.</summary>
internal static class Golden
{
    public static readonly string Root = Find();

    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            var candidate = System.IO.Path.Combine(folder.FullName, "tests", "golden");
            if (Directory.Exists(candidate))
                return candidate;
        }
        throw new DirectoryNotFoundException($"no tests/golden above {AppContext.BaseDirectory}");
    }
}
