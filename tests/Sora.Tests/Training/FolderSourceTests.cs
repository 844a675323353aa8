using Sora.Media;
using Sora.Training;
using Xunit;

namespace Sora.Tests.Training;

public sealed class FolderSourceTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sora-folder-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void AClipIsAFunctionOfItsSeedAndCutFromItsPicture()
    {
        // Red falls from left to right, green from top to bottom: every cut shows where it was taken.
        var picture = new Image(120, 90);
        for (var y = 0; y < 90; y++)
        {
            for (var x = 0; x < 120; x++)
                (picture.Row(y)[x * 3], picture.Row(y)[(x * 3) + 1], picture.Row(y)[(x * 3) + 2]) = (
                    (byte)(240 - (2 * x)),
                    (byte)(240 - (2 * y)),
                    50
                );
        }
        picture.Save(Path.Combine(folder, "slope.png"));
        File.WriteAllText(Path.Combine(folder, "slope.txt"), "a slope of colour\n");
        var source = new FolderSource(folder, 16, Reporter.Silent, CancellationToken.None);
        var shape = new ClipShape(32, 24, 5);
        var (one, again) = (new byte[shape.Bytes], new byte[shape.Bytes]);
        for (ulong seed = 0; seed < 20; seed++)
        {
            source.Draw(seed, shape, one);
            source.Draw(seed, shape, again);
            Assert.Equal(one, again);
            for (var i = 0; i < one.Length; i += 3)
            {
                Assert.InRange(one[i + 2], 49, 51);
                if (i / 3 % 32 > 0)
                    Assert.True(one[i] <= one[i - 3] + 1, "a captioned picture must not be mirrored");
            }
        }
        Assert.Equal("a slope of colour", source.Caption(1, shape, 0));
        Assert.Equal(["a", "colour", "of", "slope"], source.Words.Order());
    }

    [Fact]
    public void AFolderWithoutClipsIsRefused()
    {
        var error = Assert.Throws<SoraException>(() => new FolderSource(folder, 16, Reporter.Silent, CancellationToken.None));
        Assert.Contains("no pictures or videos", error.Message);
    }
}
