using System.Text;
using Xunit;

namespace Sora.Cli.Tests;

public class StartUpTests
{
    /// <summary>Loading libtorch takes most of a second: what computes nothing must not do it. The dynamic linker tells.</summary>
    [Theory]
    [InlineData("--version")]
    [InlineData("--help")]
    [InlineData("generate --help")]
    [InlineData("completions bash")]
    [InlineData("info \"$GOLDEN/clips/ball.latent\"")]
    [InlineData("info --model wan22-ti2v --prompt cat")]
    public void WhatComputesNothingLoadsNoLibtorch(string words)
    {
        using var bash = new Bash();
        bash.Run($"LD_DEBUG=libs LD_DEBUG_OUTPUT=loads sora {words}");
        var loads = bash.Run("cat loads.*").Succeeded().Out;
        Assert.Contains("libcoreclr", loads);
        Assert.DoesNotContain("libtorch", loads, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Spectre.Console is wanted for a bar on a terminal only. The runtime tells what it loads.</summary>
    [Fact]
    public void WhatShowsNoBarLoadsNoSpectreConsole()
    {
        using var bash = new Bash();
        bash.Run(
                "DOTNET_EnableEventPipe=1 DOTNET_EventPipeConfig=Microsoft-Windows-DotNETRuntime:0x8:4 "
                    + "DOTNET_EventPipeOutputPath=loads sora --version"
            )
            .Succeeded();
        var events = File.ReadAllBytes(Path.Combine(bash.Folder, "loads"));
        bool Loads(string name) => events.AsSpan().IndexOf(Encoding.Unicode.GetBytes(name)) >= 0;
        Assert.True(Loads("System.CommandLine"));
        Assert.False(Loads("Spectre.Console"));
    }
}
