using System.Text.RegularExpressions;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>What the program writes on a terminal, which script(1) makes for it.</summary>
public sealed class TerminalTests : IDisposable
{
    private const string Generate = "sora generate --model wan22-ti2v 'two cats' --seed 7 --text-length 32 --size 32x32";

    private readonly Bash bash = new();

    public void Dispose() => bash.Dispose();

    [Fact]
    public void ABarIsShownAndGoes()
    {
        var written = OnTerminal($"TERM=xterm {Generate} --frames 17 --steps 40 -o a.latent");
        Assert.Contains(Drawn(written), line => Regex.IsMatch(line, "^sora generate: sampling ━{40} [0-9]+/40 in 0:[0-9]{2}"));
        Assert.Equal("", Screen.Lines(written)[^1]);
        Assert.DoesNotContain(Screen.Lines(written), line => line.Contains('━'));
    }

    [Fact]
    public void ABarFitsInItsTerminal()
    {
        var written = OnTerminal($"stty cols 50; TERM=xterm {Generate} --frames 17 --steps 40 -o a.latent");
        Assert.Contains(Drawn(written), line => line.Contains('━'));
        Assert.All(Drawn(written).Where(line => line.Contains("sampling")), line => Assert.InRange(line.Length, 1, 49));
    }

    /// <summary>
    /// The cursor is never hidden, so that nothing has to show it again. The program has a process group of its own, as at a
    /// prompt: the shell goes on.
    /// </summary>
    [Fact]
    public void CtrlCLeavesTheTerminalAsItWas()
    {
        var written = OnTerminal(
            $"set -m; TERM=xterm {Generate} --frames 17 --steps 100000 -o a.latent; echo $?; stty -a > after",
            "until grep -qs ━ log; do sleep 0.1; done; printf '\\003'"
        );
        Assert.DoesNotContain("\e[?25", written);
        Assert.Equal(["sora generate: interrupted", "130", ""], Screen.Lines(written)[^3..]);
        Assert.Matches(" icanon .* echo ", bash.Run("cat after").Out.ReplaceLineEndings(" "));
    }

    [Theory]
    [InlineData("TERM=dumb", "")]
    [InlineData("TERM=xterm", "--quiet")]
    [InlineData("TERM=xterm", "--log json")]
    [InlineData("TERM=xterm", "2> messages")]
    [InlineData("TERM=xterm", "2>&1 | cat")]
    public void ElsewhereThereIsNone(string terminal, string words)
    {
        var written = OnTerminal($"{terminal} {Generate} --frames 17 --steps 4 -o a.latent {words}; [ ! -e messages ] || cat messages");
        Assert.DoesNotContain('━', written);
        Assert.Equal(terminal == "TERM=dumb", written.Contains('\e'));
    }

    /// <summary>The lines that were written one over the other.</summary>
    private static IEnumerable<string> Drawn(string written) => written.Split('\r').Select(part => Screen.Lines(part)[0]);

    /// <param name="command">
    /// Run on the terminal, and interrupted by Ctrl-C also where the tests run in the background, where that is ignored; all that it
    /// writes is returned, and is in the file log meanwhile.
    /// </param>
    /// <param name="keys">A script that prints what is typed.</param>
    private string OnTerminal(string command, string keys = ":")
    {
        File.WriteAllText(Path.Combine(bash.Folder, "command"), command);
        return bash.Run($"{{ {keys}; }} | script -qfec 'env --default-signal=INT bash command' log").Succeeded().Out;
    }
}
