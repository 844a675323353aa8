using Sora.Media;
using Sora.Pipelines;
using Sora.Stereo;
using Xunit;

namespace Sora.Tests.Stereo;

/// <summary>How what a model made comes into an eye's picture.</summary>
public class StereoModelFillTests
{
    /// <summary>
    /// Beside the hole, where what lies behind is, the picture is 10, 8 and 6 brighter than what was made: the hole becomes 8
    /// brighter, and the next column lies halfway. For the left eye what lies behind is to the left, and all is as in a mirror.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatIsMadeMeetsWhatLiesBehind(bool isLeft)
    {
        byte[] seen = [50, 51, 52, 53, 0, 0, 0, 100, 104, 108, 110, 111],
            made = [9, 9, 9, 9, 60, 70, 80, 90, 96, 102, 9, 9],
            holes = [0, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0],
            expected = [50, 51, 52, 53, 68, 78, 88, 99, 104, 108, 110, 111];
        byte[] Turned(byte[] row) => isLeft ? [.. row.Reverse()] : row;
        var picture = Grey(Turned(seen));
        StereoModelFill.Blend(picture, Turned(holes), Grey(Turned(made)), isLeft ? Eye.Left : Eye.Right);
        Assert.Equal(Grey(Turned(expected)).Pixels, picture.Pixels);
    }

    /// <summary>At the end of the row nothing lies behind: what was made stays as it is, and what is near is not touched.</summary>
    [Fact]
    public void AtTheEndOfTheRowItIsTakenAsItIs()
    {
        var picture = Grey([200, 200, 0, 0]);
        StereoModelFill.Blend(picture, [0, 0, 255, 255], Grey([9, 8, 7, 6]), Eye.Right);
        Assert.Equal(Grey([200, 200, 7, 6]).Pixels, picture.Pixels);
    }

    private static Image Grey(byte[] row) => new(row.Length, 1, [.. row.SelectMany(value => Enumerable.Repeat(value, 3))]);
}
