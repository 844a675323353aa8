using Xunit;

namespace Sora.Cli.Tests;

public class StageClockTests
{
    /// <summary>A loss that changes makes no new stage, and steps of an earlier run took none of this one's time.</summary>
    [Fact]
    public void NumbersAfterACommaBelongToTheSameStage()
    {
        var clock = new StageClock();
        Assert.True(clock.Report("training, loss 2.4", 500));
        Assert.Null(clock.Left(1000));
        Thread.Sleep(20);
        Assert.False(clock.Report("training, loss 2.3", 501));
        var left = clock.Left(1000)!.Value;
        Assert.InRange(left, 499 * TimeSpan.FromMilliseconds(20), 500 * clock.Elapsed);
    }

    [Fact]
    public void AnotherNameOrLessDoneBeginsAStage()
    {
        var clock = new StageClock();
        clock.Report("encoding", 3);
        Assert.True(clock.Report("sampling", 4));
        Assert.True(clock.Report("sampling", 1));
    }
}
