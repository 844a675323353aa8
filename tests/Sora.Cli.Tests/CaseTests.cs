using Xunit;

namespace Sora.Cli.Tests;

/// <summary>
/// The cases under tests/cases: each <c>cmd</c> is run by bash with <c>sora</c> on its path, and its output, messages
/// and exit status must be <c>expout</c>, <c>experr</c> and <c>expstatus</c>. With SORA_REGOLD=1 these are written again.
/// </summary>
internal static class Cases
{
    private static readonly string Folder = Repository.Path("tests", "cases");

    /// <summary>Every second case, from <paramref name="first"/> on: xunit runs the tests of a class in turn.</summary>
    public static TheoryData<string> Half(int first)
    {
        var cases = Directory
            .EnumerateFiles(Folder, "cmd", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Folder, Path.GetDirectoryName(path)!));
        return [.. cases.Order(StringComparer.Ordinal).Where((_, i) => i % 2 == first)];
    }

    public static void Check(string name)
    {
        using var bash = new Bash();
        var folder = Path.Combine(Folder, name);
        var outcome = bash.Run(File.ReadAllText(Path.Combine(folder, "cmd")));
        Compare(Path.Combine(folder, "expstatus"), $"{outcome.Status}\n");
        Compare(Path.Combine(folder, "experr"), Lasting(outcome.Err, bash.Folder));
        Compare(Path.Combine(folder, "expout"), Lasting(outcome.Out, bash.Folder));
    }

    private static void Compare(string expectation, string actual)
    {
        if (Repository.Regold)
            File.WriteAllText(expectation, actual);
        Assert.Equal(File.ReadAllText(expectation), actual);
    }

    /// <summary>The text without the names of folders, which differ from machine to machine.</summary>
    private static string Lasting(string text, string folder) => text.Replace(folder, "FOLDER").Replace(Repository.Root, "REPOSITORY");
}

public class EvenCaseTests
{
    public static TheoryData<string> All() => Cases.Half(0);

    [Theory]
    [MemberData(nameof(All))]
    public void SaysAndReturnsWhatIsExpected(string name) => Cases.Check(name);
}

public class OddCaseTests
{
    public static TheoryData<string> All() => Cases.Half(1);

    [Theory]
    [MemberData(nameof(All))]
    public void SaysAndReturnsWhatIsExpected(string name) => Cases.Check(name);
}
