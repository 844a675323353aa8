using System.Text.Json;
using Xunit;

namespace Sora.Cli.Tests;

public class LogTests
{
    private readonly StringWriter _written = new();

    [Fact]
    public void JsonIsOneObjectAnEvent()
    {
        var log = new JsonLog("generate", _written, quiet: false);
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
        Log log = json ? new JsonLog("", _written, quiet: true) : new TextLog("", _written, quiet: true, terminal: true);
        log.Note("a note");
        log.Warn("a warning");
        log.Progress("sampling", 8, 8);
        Assert.Empty(_written.ToString());
        log.Error("it failed", null, 1);
        Assert.Contains("it failed", Assert.Single(Lines()));
    }

    [Fact]
    public void TerminalGetsABarThatMessagesErase()
    {
        var log = new TextLog("generate", _written, quiet: false, terminal: true);
        log.Progress("sampling", 1, 4);
        log.Note("hello");
        log.Progress("sampling", 4, 4);
        Assert.Equal(
            "\rsora generate: sampling 1/4, 0 s left\e[K\r\e[Ksora generate: hello\n\rsora generate: sampling 4/4\e[K\r\e[K",
            _written.ToString());
    }

    [Fact]
    public void ElsewhereQuickWorkSaysNothingOfItsProgress()
    {
        var log = new TextLog("generate", _written, quiet: false, terminal: false);
        for (var step = 1; step <= 4; step++) log.Progress("sampling", step, 4);
        Assert.Empty(_written.ToString());
    }

    private string[] Lines() => _written.ToString().TrimEnd('\n').Split('\n');
}
