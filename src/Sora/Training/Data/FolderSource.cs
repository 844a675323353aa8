using Sora.Media;

namespace Sora.Training;

/// <summary>
/// Clips from a folder of pictures and videos, each with an optional caption in a <c>.txt</c> file of the same name.
/// Videos are cut at random times; from pictures and from larger videos a window is cut that pans and zooms.
/// </summary>
public sealed class FolderSource : ClipSource
{
    private const int LongestSide = 640;
    private const int MostFrames = 240;
    private static readonly string[] Extensions =
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".bmp",
        ".mp4",
        ".webm",
        ".mkv",
        ".mov",
        ".avi",
        ".gif",
        ".y4m",
    ];

    private readonly List<Item> items = [];

    /// <summary>Reads all pictures and videos below a folder into memory, scaled to at most 640 pixels a side.</summary>
    /// <exception cref="SoraException">The folder is missing or holds no picture or video.</exception>
    public FolderSource(string folder, double fps, Reporter reporter, CancellationToken cancellation)
    {
        if (!Directory.Exists(folder))
            throw SoraException.Failed($"{folder}: no such folder", "pass a folder of pictures or videos");
        var files = Directory
            .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(f => Extensions.Contains(Path.GetExtension(f).ToLowerInvariant()))
            .Order(StringComparer.Ordinal)
            .ToArray();
        if (files.Length == 0)
            throw SoraException.Failed($"{folder} contains no pictures or videos", $"known extensions are {string.Join(" ", Extensions)}");
        foreach (var (i, file) in files.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            items.Add(Item.Read(file, fps, cancellation));
            reporter.Progress("reading clips", i + 1, files.Length);
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Words =>
        items.SelectMany(i => i.Caption.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Distinct();

    /// <inheritdoc/>
    public override string Caption(ulong seed, ClipShape shape, ulong variant)
    {
        var random = new Rng(seed, 0x666f6c);
        return Pick(ref random, shape).Caption;
    }

    /// <inheritdoc/>
    public override void Draw(ulong seed, ClipShape shape, Span<byte> rgb)
    {
        var random = new Rng(seed, 0x666f6c);
        var item = Pick(ref random, shape);
        var start = random.Below(Math.Max(1, item.Frames.Count - shape.Frames + 1));
        var mirrored = item.Caption.Length == 0 && random.Uniform() < 0.5;
        var moving = item.Frames.Count == 1;
        // Two windows of the clip's aspect; a picture's window travels from one to the other.
        var from = Window.Draw(ref random, item, shape);
        var to = moving ? Window.Near(ref random, from, item, shape) : from;
        var size = shape.Width * shape.Height * 3;
        for (var f = 0; f < shape.Frames; f++)
        {
            var at = shape.Frames == 1 ? 0 : f / (double)(shape.Frames - 1);
            var frame = item.Frames[Math.Min(start + f, item.Frames.Count - 1)];
            Window.Between(from, to, at).Cut(frame, shape, mirrored, rgb.Slice(f * size, size));
        }
    }

    private Item Pick(ref Rng random, ClipShape shape)
    {
        var long_enough = items.Where(i => i.Frames.Count == 1 || i.Frames.Count >= shape.Frames).ToArray();
        if (long_enough.Length == 0)
            throw SoraException.Failed($"no video has at least {shape.Frames} frames", "train on shorter clips with --clips");
        return long_enough[random.Below(long_enough.Length)];
    }

    private sealed record Item(IReadOnlyList<Image> Frames, string Caption)
    {
        public static Item Read(string file, double fps, CancellationToken cancellation)
        {
            var text = Path.ChangeExtension(file, ".txt");
            var caption = File.Exists(text) ? File.ReadAllText(text).Trim() : "";
            var frames = new List<Image>();
            using var reader = VideoReader.Open(file, new VideoReaderOptions { Fps = fps, Frames = MostFrames }, cancellation);
            var scale = Math.Min(1, LongestSide / (double)Math.Max(reader.Width, reader.Height));
            var (width, height) = ((int)Math.Round(reader.Width * scale), (int)Math.Round(reader.Height * scale));
            foreach (var frame in reader.Frames())
                frames.Add(Resample.Lanczos(frame, width, height));
            return new Item(frames, caption);
        }
    }

    /// <summary>A rectangle of a frame: left, top, and source pixels for each pixel of the clip.</summary>
    private readonly record struct Window(double Left, double Top, double Scale)
    {
        public static Window Draw(ref Rng random, Item item, ClipShape shape)
        {
            var most = Most(item, shape);
            var scale = most * Math.Pow(Math.Min(1, 1 / most), random.Uniform());
            return Place(ref random, scale, item, shape);
        }

        public static Window Near(ref Rng random, Window from, Item item, ClipShape shape)
        {
            var scale = Math.Clamp(from.Scale * Math.Exp(0.15 * random.Normal()), 0.25, Most(item, shape));
            var reach = from.Scale * shape.Width * 0.012 * shape.Frames;
            var frame = item.Frames[0];
            return new Window(
                Math.Clamp(from.Left + (reach * random.Normal()), 0, Math.Max(0, frame.Width - (scale * shape.Width))),
                Math.Clamp(from.Top + (reach * 0.5 * random.Normal()), 0, Math.Max(0, frame.Height - (scale * shape.Height))),
                scale
            );
        }

        public static Window Between(Window a, Window b, double t) =>
            new(a.Left + (t * (b.Left - a.Left)), a.Top + (t * (b.Top - a.Top)), a.Scale + (t * (b.Scale - a.Scale)));

        /// <summary>Cuts the window out of a frame, averaging the source pixels under each pixel.</summary>
        public void Cut(Image frame, ClipShape shape, bool mirrored, Span<byte> rgb)
        {
            var taps = Math.Clamp((int)Math.Ceiling(Scale), 1, 8);
            for (var y = 0; y < shape.Height; y++)
            {
                for (var x = 0; x < shape.Width; x++)
                {
                    double r = 0,
                        g = 0,
                        b = 0;
                    for (var j = 0; j < taps; j++)
                    {
                        for (var i = 0; i < taps; i++)
                        {
                            Bilinear(
                                frame,
                                Left + ((x + ((i + 0.5) / taps)) * Scale) - 0.5,
                                Top + ((y + ((j + 0.5) / taps)) * Scale) - 0.5,
                                ref r,
                                ref g,
                                ref b
                            );
                        }
                    }
                    var at = ((y * shape.Width) + (mirrored ? shape.Width - 1 - x : x)) * 3;
                    var weight = 1.0 / (taps * taps);
                    (rgb[at], rgb[at + 1], rgb[at + 2]) = (
                        (byte)((r * weight) + 0.5),
                        (byte)((g * weight) + 0.5),
                        (byte)((b * weight) + 0.5)
                    );
                }
            }
        }

        private static double Most(Item item, ClipShape shape) =>
            Math.Min(item.Frames[0].Width / (double)shape.Width, item.Frames[0].Height / (double)shape.Height);

        private static Window Place(ref Rng random, double scale, Item item, ClipShape shape) =>
            new(
                random.Uniform() * (item.Frames[0].Width - (scale * shape.Width)),
                random.Uniform() * (item.Frames[0].Height - (scale * shape.Height)),
                scale
            );

        private static void Bilinear(Image frame, double x, double y, ref double r, ref double g, ref double b)
        {
            var (x0, y0) = ((int)Math.Floor(x), (int)Math.Floor(y));
            var (fx, fy) = (x - x0, y - y0);
            for (var j = 0; j < 2; j++)
            {
                var row = Math.Clamp(y0 + j, 0, frame.Height - 1) * frame.Width;
                for (var i = 0; i < 2; i++)
                {
                    var weight = (i == 0 ? 1 - fx : fx) * (j == 0 ? 1 - fy : fy);
                    var at = (row + Math.Clamp(x0 + i, 0, frame.Width - 1)) * 3;
                    r += weight * frame.Pixels[at];
                    g += weight * frame.Pixels[at + 1];
                    b += weight * frame.Pixels[at + 2];
                }
            }
        }
    }
}
