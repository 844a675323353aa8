namespace Sora.Cli.Tests;

/// <summary>Where things lie: the working tree, found from the tests' own folder upward, and the program built beside them.</summary>
internal static class Repository
{
    public static readonly string Root = Find();

    /// <summary>The folder of the program under test: $SORA_BIN, or the build of the tests' own configuration.</summary>
    public static readonly string Bin =
        Environment.GetEnvironmentVariable("SORA_BIN") ?? Path("src", "Sora.Cli", "bin", Configuration, "net10.0");

    /// <summary>Whether tests write what they see into the expectations instead of comparing.</summary>
    public static bool Regold => Environment.GetEnvironmentVariable("SORA_REGOLD") == "1";

    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "sora-cli.sln")))
                return folder.FullName;
        throw new DirectoryNotFoundException($"no sora-cli.sln above {AppContext.BaseDirectory}");
    }
}
