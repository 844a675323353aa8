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
}
