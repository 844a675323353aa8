using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

public class KeyColourTests
{
    [Theory]
    [InlineData("red", 229, 26, 23, true)]
    [InlineData("red", 140, 12, 10, true)] // in shadow
    [InlineData("red", 210, 180, 140, false)] // sand
    [InlineData("red", 255, 120, 10, false)] // orange
    [InlineData("red:0.5", 255, 120, 10, true)]
    [InlineData("#1a42eb", 20, 50, 200, true)]
    [InlineData("1a42eb", 23, 168, 46, false)]
    [InlineData("white", 250, 250, 250, true)]
    [InlineData("white", 20, 20, 20, false)]
    [InlineData("black", 20, 20, 20, true)]
    public void AColourIsTheSameInLightAndShadow(string colour, byte r, byte g, byte b, bool same) =>
        Assert.Equal(same ? [255, 255, 255] : new byte[3], KeyColour.Parse(colour).Mask(new Image(1, 1, [r, g, b])).Pixels);

    [Theory]
    [InlineData("rot")]
    [InlineData("#12345")]
    [InlineData("red:")]
    [InlineData("red:0")]
    [InlineData("red:x")]
    [InlineData("")]
    public void WhatIsNoColourIsRefused(string text) => Assert.Throws<SoraException>(() => KeyColour.Parse(text));

    [Fact]
    public void WhereNothingHasAColourItSaysWhatWouldDo()
    {
        var picture = new Image(
            10,
            10,
            [
                .. Enumerable
                    .Range(0, 100)
                    .SelectMany(i =>
                        (byte[])(
                            i < 60 ? [23, 168, 46]
                            : i < 99 ? [26, 66, 235]
                            : [255, 120, 10]
                        )
                    ),
            ]
        );
        KeyColour.Parse("blue").Require([picture]);
        var refusal = Assert.Throws<SoraException>(() => KeyColour.Parse("red:0.1").Require([picture]));
        Assert.Equal("nothing in the clip is red within a tolerance of 0.1", refusal.Message);
        // Of the orange hundredth red is 0.3 away.
        Assert.Matches(@"^red:0\.[23]\d* takes the nearest; its colours by name are green 60 %, blue 39 %$", refusal.Hint);
        var tolerance = refusal.Hint!.Split(' ')[0];
        KeyColour.Parse(tolerance).Require([picture]);
    }
}
