using Sora.Models.Depth;
using Sora.Tests.Clips;
using Xunit;

namespace Sora.Tests.Models;

public sealed class ShotScalerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void EachShotHasItsOwnRange()
    {
        using var scaler = new ShotScaler(folder.Path);
        var scaled = scaler.Scale([(Map(2, 4), true), (Map(3, 6), false), (Map(-1, 1), true), (Map(7, 7), true)]).ToList();
        Assert.Equal(
            [
                [0, 0.5f],
                [0.25f, 1],
                [0, 1],
                [0, 0],
            ],
            scaled
        );
        Assert.Equal([new DepthShot(0, 2, 6), new DepthShot(2, -1, 1), new DepthShot(3, 7, 7)], scaler.Shots);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void AKnownRangeNeedsNoWaitingAndCutsOffWhatIsBeyond()
    {
        using var scaler = new ShotScaler(folder.Path, (0, 20));
        using var scaled = scaler.Scale([(Map(-0.1f, 5), true), (Map(10, 21), true)]).GetEnumerator();
        Assert.True(scaled.MoveNext());
        Assert.Equal([0, 0.25f], scaled.Current);
        Assert.True(scaled.MoveNext());
        Assert.Equal([0.5f, 1], scaled.Current);
        Assert.False(scaled.MoveNext());
        Assert.Equal([new DepthShot(0, 0, 20)], scaler.Shots);
    }

    /// <summary>A frame comes out only after its shot, but not later.</summary>
    [Fact]
    public void NoMoreThanAShotWaits()
    {
        using var scaler = new ShotScaler(folder.Path);
        var taken = 0;
        IEnumerable<(DepthMap, bool)> Maps()
        {
            foreach (var isCut in (bool[])[true, false, true, false, false])
            {
                taken++;
                yield return (Map(taken, taken + 1), isCut);
            }
        }
        using var scaled = scaler.Scale(Maps()).GetEnumerator();
        Assert.True(scaled.MoveNext());
        Assert.Equal(3, taken);
    }

    private static DepthMap Map(float left, float right) => new(2, 1, [left, right]);
}
