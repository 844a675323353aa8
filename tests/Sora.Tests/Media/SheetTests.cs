using Sora.Media;
using Xunit;

namespace Sora.Tests.Media;

public sealed class SheetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sora-sheet-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

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

    [Fact]
    public void APlotShowsItsCurves()
    {
        var falling = new PlotSeries("loss", [.. Enumerable.Range(0, 5000).Select(i => ((double)i, 100 - 0.01 * i))]);
        var path = Path.Combine(_folder, "loss.png");
        Plot.Lines(path, "Loss <of> training", "step", falling, new PlotSeries("broken", [(1, double.NaN), (2000, 60)]));
        var plot = Image.Load(path);
        // The curve runs from the frame's upper left corner (80, 50) to its lower right one (940, 490).
        var (x, y) = (80 + 860 / 4, 50 + 440 / 4);
        var blue = Enumerable.Range(y - 3, 7).Select(row => plot.Row(row).Slice(x * 3, 3).ToArray()).MinBy(pixel => pixel[0])!;
        Assert.True(blue[0] < 90 && blue[2] > 150, $"({blue[0]}, {blue[1]}, {blue[2]}) isn't the first curve's blue");
        Assert.Equal([255, 255, 255], plot.Row(y)[(x + 100)..][..3].ToArray().Select(value => (int)value));
    }

    private static Image Plain(int width, int height, byte value) => new(width, height, [.. Enumerable.Repeat(value, width * height * 3)]);
}
