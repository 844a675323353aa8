using Xunit;

namespace Sora.Cli.Tests;

/// <summary>
/// The cases under tests/cases: each <c>cmd</c> is run by bash with <c>sora</c> on its path, and its output, messages
/// and exit status must be <c>expout</c>, <c>experr</c> and <c>expstatus</c>. With SORA_REGOLD=1 these are written anew.
/// </summary>
public class CaseTests
{
    private static readonly string Cases = Repository.Path("tests", "cases");

    public static TheoryData<string> All()
    {
        var cases = Directory.EnumerateFiles(Cases, "cmd", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Cases, Path.GetDirectoryName(path)!));
        return [.. cases.Order(StringComparer.Ordinal)];
    }

    [Theory]
    [MemberData(nameof(All))]
    public void SaysAndReturnsWhatIsExpected(string name)
    {
        using var bash = new Bash();
        var folder = Path.Combine(Cases, name);
        var outcome = bash.Run(File.ReadAllText(Path.Combine(folder, "cmd")));
        Check(Path.Combine(folder, "expstatus"), $"{outcome.Status}\n");
        Check(Path.Combine(folder, "experr"), Lasting(outcome.Err, bash.Folder));
        Check(Path.Combine(folder, "expout"), Lasting(outcome.Out, bash.Folder));
    }

    private static void Check(string expectation, string actual)
    {
        if (Repository.Regold) File.WriteAllText(expectation, actual);
        Assert.Equal(File.ReadAllText(expectation), actual);
    }

    /// <summary>The text without the names of folders, which differ from machine to machine.</summary>
    private static string Lasting(string text, string folder) =>
        text.Replace(folder, "FOLDER").Replace(Repository.Root, "REPOSITORY");
}
