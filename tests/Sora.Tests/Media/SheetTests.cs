using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

public sealed class SheetTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-sheet-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void AContactSheetShowsTheFirstAndTheLastFrameOfEachClip()
    {
        var clip = Enumerable.Range(0, 9).Select(i => Plain(10, 6, (byte)(100 + i))).ToArray();
        var sheet = ContactSheet.Rows([clip, [Plain(8, 4, 50)]], 3);
        Assert.Equal((3 * 14 + 4, 6 + 4 + 4 + 8), (sheet.Width, sheet.Height));
        Assert.Equal([100, 104, 108], new[] { 4, 18, 32 }.Select(x => (int)sheet.Row(4)[x * 3]));
        Assert.Equal(50, sheet.Row(14)[4 * 3]);
        Assert.Equal(32, sheet.Row(14)[18 * 3]);
    }

    [Fact]
    public void AGridFillsRowAfterRow()
    {
        var sheet = ContactSheet.Grid([.. Enumerable.Range(1, 5).Select(i => Plain(2, 2, (byte)i))], 2);
        Assert.Equal((16, 22), (sheet.Width, sheet.Height));
        Assert.Equal(5, sheet.Row(16)[4 * 3]);
    }

    /// <summary>A curve runs from the frame's upper left corner (80, 50) to its lower right one (940, 490).</summary>
    [Fact]
    public void APlotShowsItsCurves()
    {
        var falling = new PlotSeries("loss", [.. Enumerable.Range(0, 5000).Select(i => ((double)i, 100 - 0.01 * i))]);
        var path = Path.Combine(folder, "loss.png");
        Plot.Lines(path, "Loss <of> training", "step", falling, new PlotSeries("broken", [(1, double.NaN), (2000, 60)]));
        var plot = Image.Load(path);
        Assert.Equal((960, 540), (plot.Width, plot.Height));
        AssertBlue(plot, 80 + 860 / 4, 50 + 440 / 4);
        AssertBlue(plot, 80 + 860 * 3 / 4, 50 + 440 * 3 / 4);
        Assert.Equal([255, 255, 255], plot.Row(50 + 440 / 4)[((80 + 860 / 4 + 100) * 3)..][..3].ToArray().Select(value => (int)value));
    }

    [Fact]
    public void APlotOfManyMagnitudesIsLogarithmic()
    {
        var path = Path.Combine(folder, "loss.png");
        Plot.Lines(
            path,
            "loss",
            "step",
            new PlotSeries("loss", [.. Enumerable.Range(0, 401).Select(i => ((double)i, Math.Pow(10, 2 - 0.01 * i)))])
        );
        AssertBlue(Image.Load(path), 80 + 860 / 4, 50 + 440 / 4);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void APlotOfTooFewPointsHasNoCurve(int points)
    {
        var path = Path.Combine(folder, "loss.png");
        Plot.Lines(path, "loss", "step", new PlotSeries("loss", [.. Enumerable.Repeat((3.0, 5.0), points)]));
        Assert.Equal(960, Image.Load(path).Width);
    }

    private static void AssertBlue(Image plot, int x, int y)
    {
        var blue = Enumerable.Range(y - 3, 7).Select(row => plot.Row(row).Slice(x * 3, 3).ToArray()).MinBy(pixel => pixel[0])!;
        Assert.True(blue[0] < 90 && blue[2] > 150, $"({blue[0]}, {blue[1]}, {blue[2]}) isn't the first curve's blue");
    }

    private static Image Plain(int width, int height, byte value) => new(width, height, [.. Enumerable.Repeat(value, width * height * 3)]);
}
