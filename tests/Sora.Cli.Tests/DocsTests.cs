using Sora.Cli.Docs;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>Manual pages and completions agree with the declarations.</summary>
public class DocsTests
{
    /// <summary>Run with SORA_REGOLD=1 after a change of options: it writes man/ again.</summary>
    [Fact]
    public void ManHoldsWhatTheDeclarationsSay()
    {
        using var bash = new Bash();
        bash.Run("sora man --write pages").Succeeded();
        if (Repository.Regold)
            bash.Run($"rm -f '{Repository.Path("man")}'/*.1; mkdir -p '{Repository.Path("man")}'; cp pages/*.1 '{Repository.Path("man")}'")
                .Succeeded();
        var written = Pages(Path.Combine(bash.Folder, "pages"));
        var kept = Pages(Repository.Path("man"));
        Assert.Equal(kept.Keys.Order(), written.Keys.Order());
        foreach (var (name, page) in kept)
            Assert.Equal(page, written[name]);
    }

    [Fact]
    public void EveryVerbHasAnExample() => Assert.All(Declared.Visible(Program.Verbs), verb => Assert.NotEmpty(verb.Examples));

    [Theory]
    [InlineData("sora ", "completions man")]
    [InlineData("sora compl", "completions")]
    [InlineData("sora man --wr", "--write")]
    [InlineData("sora man --log ", "json text")]
    public void BashCompletes(string line, string among)
    {
        using var bash = new Bash();
        var words = line.Split(' ');
        var script = $$"""
            source <(sora completions bash)
            COMP_WORDS=({{string.Join(' ', words.Select(word => $"'{word}'"))}}); COMP_CWORD={{words.Length - 1}}
            _sora; printf '%s\n' "${COMPREPLY[@]}"
            """;
        var replies = bash.Run(script).Succeeded().Out.Split('\n');
        Assert.Subset(replies.ToHashSet(), among.Split(' ').ToHashSet());
    }

    [Theory]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void EveryOptionIsInTheCompletions(string shell)
    {
        using var bash = new Bash();
        var script = bash.Run($"sora completions {shell}").Succeeded().Out;
        var options = Declared.Visible(Program.Verbs).SelectMany(Declared.Options).Select(option => option.Name.TrimStart('-'));
        Assert.All(options, option => Assert.Contains(option, script));
    }

    private static Dictionary<string, string> Pages(string folder) =>
        Directory.EnumerateFiles(folder).ToDictionary(path => Path.GetFileName(path), File.ReadAllText);
}
