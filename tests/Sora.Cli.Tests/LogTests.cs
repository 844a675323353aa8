using System.Text.Json;
using Xunit;

namespace Sora.Cli.Tests;

public sealed class LogTests : IDisposable
{
    private readonly StringWriter written = new();

    public void Dispose() => written.Dispose();

    [Fact]
    public void JsonIsOneObjectAnEvent()
    {
        using var log = new JsonLog("generate", written, quiet: false);
        log.Note("a \"note\"");
        log.Warn("careful");
        log.Progress("sampling", 3, 8);
        log.Error("it\nfailed", "do this", 1);
        var events = Lines().Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["note", "warning", "progress", "error"], events.Select(one => one.GetProperty("event").GetString()));
        Assert.All(events, one => Assert.Equal("generate", one.GetProperty("verb").GetString()));
        Assert.Equal("a \"note\"", events[0].GetProperty("message").GetString());
        Assert.Equal((3, 8), (events[2].GetProperty("done").GetInt32(), events[2].GetProperty("total").GetInt32()));
        Assert.Equal(("do this", 1), (events[3].GetProperty("hint").GetString(), events[3].GetProperty("status").GetInt32()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void QuietSaysErrorsOnly(bool json)
    {
        using Log log = json ? new JsonLog("", written, quiet: true) : new TextLog("", written, quiet: true, ProgressDisplay.Bar);
        log.Note("a note");
        log.Warn("a warning");
        log.Progress("sampling", 8, 8);
        Assert.Empty(written.ToString());
        log.Error("it failed", null, 1);
        Assert.Contains("it failed", Assert.Single(Lines()));
    }

    [Fact]
    public void TerminalGetsABarBelowTheMessages()
    {
        using var log = new TextLog("generate", written, quiet: false, ProgressDisplay.Bar);
        log.Progress("sampling", 1, 4);
        Assert.Matches("^sora generate: sampling [━ -]{40} 1/4 in 0:00$", Assert.Single(Shown()));
        log.Note("hello");
        Assert.Equal("sora generate: hello", Shown()[0]);
        Assert.Matches("^sora generate: sampling [━ -]{40} 1/4 in 0:00$", Shown()[1]);
        log.Progress("sampling", 4, 4);
        log.Warn("careful");
        Assert.Equal(["sora generate: hello", "sora generate: warning: careful", ""], Shown());
    }

    [Fact]
    public void TheClockOfABarGoesOnBetweenReports()
    {
        using var log = new TextLog("train", written, quiet: false, ProgressDisplay.Bar);
        log.Progress("training, loss 2.5", 501, 1000);
        Thread.Sleep(TimeSpan.FromSeconds(1.5));
        log.Note("checkpoint");
        Assert.Matches("501/1000 in 0:01$", Shown()[^1]);
        Thread.Sleep(TimeSpan.FromSeconds(0.2));
        // What follows the comma is of the same stage, and steps of an earlier run took none of its time.
        log.Progress("training, loss 2.4", 502, 1000);
        Assert.Matches("loss 2.4 [━ -]+ 502/1000 in 0:0[12], 1[0-9]:[0-9]{2} left$", Shown()[^1]);
    }

    [Fact]
    public void NothingIsLeftOfABarWhenTheRunEnds()
    {
        using (var log = new TextLog("encode", written, quiet: false, ProgressDisplay.Bar))
            log.Progress("encoding", 3, 4);
        Assert.Equal([""], Shown());
        using (var log = new TextLog("encode", written, quiet: false, ProgressDisplay.Bar))
        {
            log.Progress("encoding", 3, 4);
            log.Error("it failed", "do this", 1);
        }
        Assert.Equal(["sora encode: it failed", "  hint: do this", ""], Shown());
    }

    [Fact]
    public void TerminalThatKnowsNoBarGetsTextThatMessagesErase()
    {
        using var log = new TextLog("generate", written, quiet: false, ProgressDisplay.Text);
        log.Progress("sampling", 1, 4);
        log.Note("hello");
        log.Progress("sampling", 4, 4);
        Assert.Equal(
            "\rsora generate: sampling 1/4\e[K\r\e[Ksora generate: hello\n\rsora generate: sampling 4/4\e[K\r\e[K",
            written.ToString()
        );
    }

    [Fact]
    public void ElsewhereQuickWorkSaysNothingOfItsProgress()
    {
        using var log = new TextLog("generate", written, quiet: false, ProgressDisplay.Lines);
        for (var step = 1; step <= 4; step++)
            log.Progress("sampling", step, 4);
        Assert.Empty(written.ToString());
    }

    private string[] Shown() => Screen.Lines(written.ToString());

    private string[] Lines() => written.ToString().TrimEnd('\n').Split('\n');
}
