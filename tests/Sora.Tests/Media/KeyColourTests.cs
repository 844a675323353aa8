using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

public class KeyColourTests
{
    [Theory]
    [InlineData("red", 229, 26, 23, true)]
    [InlineData("red", 140, 12, 10, true)]          // in shadow
    [InlineData("red", 210, 180, 140, false)]       // sand
    [InlineData("red", 255, 120, 10, false)]        // orange
    [InlineData("red:0.5", 255, 120, 10, true)]
    [InlineData("#1a42eb", 20, 50, 200, true)]
    [InlineData("1a42eb", 23, 168, 46, false)]
    [InlineData("white", 250, 250, 250, true)]
    [InlineData("white", 20, 20, 20, false)]
    [InlineData("black", 20, 20, 20, true)]
    public void A_colour_is_the_same_in_light_and_shadow(string colour, byte r, byte g, byte b, bool same) =>
        Assert.Equal(same ? [255, 255, 255] : new byte[3], KeyColour.Parse(colour).Mask(new Image(1, 1, [r, g, b])).Pixels);

    [Theory]
    [InlineData("rot")]
    [InlineData("#12345")]
    [InlineData("red:")]
    [InlineData("red:0")]
    [InlineData("red:x")]
    [InlineData("")]
    public void What_is_no_colour_is_refused(string text) => Assert.Throws<SoraException>(() => KeyColour.Parse(text));
}
