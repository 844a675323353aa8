using Sora.Media;
using Sora.Training;
using Sora.World;

namespace Sora.Eval;

/// <summary>
/// The pictures and clips that VAEs are measured on, in a folder: <c>photos</c> and <c>heldout</c>, pictures that training
/// may see and may not, <c>vtest.avi</c>, which it may not, and <c>clips</c>, which it may.
/// </summary>
internal sealed class Footage
{
    private const int Lines = 256,
        Multiple = 16;
    private const ulong WorldSeed = 0x766165,
        PhotoSeed = 0x70616e,
        FitSeed = 0x666974;
    private readonly string folder;
    private readonly Lazy<FolderSource> photos,
        heldout;

    /// <exception cref="SoraException">The folder isn't what it should be.</exception>
    public Footage(string folder)
    {
        this.folder = folder;
        foreach (var part in (string[])["photos", "heldout", "clips"])
            if (!Directory.Exists(Path.Combine(folder, part)))
                throw SoraException.Failed($"{folder} has no folder {part}", "tests/eval/run.sh prepares it");
        photos = new(() => Read("photos"));
        heldout = new(() => Read("heldout"));
    }

    /// <summary>World clips that training can't show.</summary>
    public static Image[] World(int index) => Scenes.Render(JudgeClips.DrawScene(new Rng(WorldSeed, (ulong)index), Split.HeldOut));

    /// <summary>A held-out picture, panned and zoomed as in training.</summary>
    public Image[] Photo(int index) => Draw(heldout.Value, new Rng(PhotoSeed, (ulong)index).NextBits(), Judge.ClipFrames);

    /// <summary>A world clip or a panned picture that training may show, to fit a codec to.</summary>
    public Image[] Training(int index)
    {
        var seed = new Rng(FitSeed, (ulong)index).NextBits();
        return index % 2 == 0 ? Draw(new WorldSource(), seed, Judge.ClipFrames) : Draw(photos.Value, seed, 9);
    }

    /// <summary>The real clips: vtest.avi first, then those of the folder.</summary>
    public IReadOnlyList<string> Clips() =>
        [Path.Combine(folder, "vtest.avi"), .. Directory.GetFiles(Path.Combine(folder, "clips")).Order(StringComparer.Ordinal)];

    /// <summary>The first 33 frames of a clip at 256 lines.</summary>
    public static Image[] Clip(string path)
    {
        using var reader = VideoReader.Open(path, new VideoReaderOptions { Frames = Judge.ClipFrames });
        var width = (int)Math.Round((double)Lines * reader.Width / reader.Height / Multiple) * Multiple;
        return [.. reader.Frames().Select(frame => Resample.ToSize(frame, width, Lines, Fit.Crop))];
    }

    private FolderSource Read(string part) =>
        new(Path.Combine(folder, part), SceneOptions.DefaultFps, Reporter.Silent, CancellationToken.None);

    private static Image[] Draw(ClipSource source, ulong seed, int frames)
    {
        var shape = new ClipShape(Judge.Side, Judge.Side, frames);
        var rgb = new byte[shape.Bytes];
        source.Draw(seed, shape, rgb);
        return Scenes.Frames(rgb, Judge.Side, Judge.Side);
    }
}
