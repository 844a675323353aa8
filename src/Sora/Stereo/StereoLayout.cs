using Sora.Media;

namespace Sora.Stereo;

/// <summary>How one picture holds both eyes' pictures.</summary>
public enum StereoLayout
{
    /// <summary>The left one on the left, the right one on the right: twice the width.</summary>
    SideBySide,

    /// <summary>The same with each of half its width, which televisions stretch again.</summary>
    HalfSideBySide,

    /// <summary>The left one above the right one: twice the height.</summary>
    TopBottom,

    /// <summary>The same with each of half its height.</summary>
    HalfTopBottom,

    /// <summary>For red and cyan glasses, the brightness of each: no colours, and the least rivalry between the eyes.</summary>
    AnaglyphGrey,

    /// <summary>For red and cyan glasses, the left one's red, the right one's green and blue; strong reds reach one eye only.</summary>
    AnaglyphColour,

    /// <summary>For red and cyan glasses, the colours that come nearest to both pictures when seen through them.</summary>
    AnaglyphDubois,
}

/// <summary>Makes one picture of two.</summary>
public static class StereoLayouts
{
    /// <summary>Fractional bits of the mixtures' weights.</summary>
    private const int Bits = 16;

    // BT.601's luma, from which grey anaglyphs have always been made; ffmpeg's stereo3d takes it as well.
    private static readonly Mixture Grey = new(
        [
            [0.299, 0.587, 0.114],
            [0, 0, 0],
            [0, 0, 0],
        ],
        [
            [0, 0, 0],
            [0.299, 0.587, 0.114],
            [0.299, 0.587, 0.114],
        ]
    );

    private static readonly Mixture Colour = new(
        [
            [1, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
        ],
        [
            [0, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
        ]
    );

    // Dubois 2001, "A projection method to generate anaglyph stereo images", ICASSP, for red and cyan; used on encoded values, as
    // ffmpeg's stereo3d and other programs do.
    private static readonly Mixture Dubois = new(
        [
            [0.456100, 0.500484, 0.176381],
            [-0.0400822, -0.0378246, -0.0157589],
            [-0.0152161, -0.0205971, -0.00546856],
        ],
        [
            [-0.0434706, -0.0879388, -0.00155529],
            [0.378476, 0.733640, -0.0184503],
            [-0.0721527, -0.112961, 1.22640],
        ]
    );

    /// <summary>The size of the picture that holds two of <paramref name="width"/> x <paramref name="height"/>.</summary>
    /// <exception cref="SoraException">A layout of halves, and the side to be halved is odd.</exception>
    public static (int Width, int Height) SizeOf(this StereoLayout layout, int width, int height)
    {
        if (layout == StereoLayout.HalfSideBySide && int.IsOddInteger(width))
            throw SoraException.Usage($"half side by side needs an even width, not {width}", "crop a column, or take the full layout");
        if (layout == StereoLayout.HalfTopBottom && int.IsOddInteger(height))
            throw SoraException.Usage($"half top-bottom needs an even height, not {height}", "crop a row, or take the full layout");
        return layout switch
        {
            StereoLayout.SideBySide => (2 * width, height),
            StereoLayout.TopBottom => (width, 2 * height),
            _ => (width, height),
        };
    }

    /// <summary>
    /// The size to which an eye's picture is extended before it is put beside the other one: sides to be halved become even, and
    /// where a format halves the colour differences, none is shared between the two eyes.
    /// </summary>
    /// <param name="layout">How one picture holds both.</param>
    /// <param name="width">Columns of an eye's picture.</param>
    /// <param name="height">Rows of an eye's picture.</param>
    /// <param name="halvesChroma">Whether two pixels in a row, and two in a column, share their colour difference.</param>
    public static (int Width, int Height) EyeSize(this StereoLayout layout, int width, int height, bool halvesChroma)
    {
        var shared = halvesChroma ? 2 : 1;
        return layout switch
        {
            StereoLayout.SideBySide => (Multiple(width, shared), height),
            StereoLayout.HalfSideBySide => (Multiple(width, 2 * shared), height),
            StereoLayout.TopBottom => (width, Multiple(height, shared)),
            StereoLayout.HalfTopBottom => (width, Multiple(height, 2 * shared)),
            _ => (width, height),
        };
    }

    /// <summary>As which a file tells its players of the layout; null: an anaglyph is shown like any other picture.</summary>
    public static FramePacking? Packing(this StereoLayout layout) =>
        layout switch
        {
            StereoLayout.SideBySide => FramePacking.SideBySide,
            StereoLayout.HalfSideBySide => FramePacking.HalfSideBySide,
            StereoLayout.TopBottom => FramePacking.TopBottom,
            StereoLayout.HalfTopBottom => FramePacking.HalfTopBottom,
            _ => null,
        };

    /// <summary>Puts two pictures into one. Halves are resized with Lanczos.</summary>
    /// <param name="layout">How.</param>
    /// <param name="left">What the left eye sees.</param>
    /// <param name="right">What the right eye sees, of the same size.</param>
    /// <param name="into">The picture to write to, of the size that <see cref="SizeOf"/> gives; a new one if it's null.</param>
    /// <exception cref="ArgumentException">The sizes differ.</exception>
    /// <exception cref="SoraException">The size can't be halved.</exception>
    public static Image Pack(this StereoLayout layout, Image left, Image right, Image? into = null)
    {
        if (left.Width != right.Width || left.Height != right.Height)
            throw new ArgumentException($"{right.Width}x{right.Height} beside {left.Width}x{left.Height}", nameof(right));
        var (width, height) = layout.SizeOf(left.Width, left.Height);
        into ??= new Image(width, height);
        if (into.Width != width || into.Height != height)
            throw new ArgumentException($"{into.Width}x{into.Height} for {width}x{height}", nameof(into));
        switch (layout)
        {
            case StereoLayout.SideBySide or StereoLayout.HalfSideBySide:
                into.Paste(Resample.Lanczos(left, width / 2, height), 0, 0);
                into.Paste(Resample.Lanczos(right, width / 2, height), width / 2, 0);
                break;
            case StereoLayout.TopBottom or StereoLayout.HalfTopBottom:
                into.Paste(Resample.Lanczos(left, width, height / 2), 0, 0);
                into.Paste(Resample.Lanczos(right, width, height / 2), 0, height / 2);
                break;
            case StereoLayout.AnaglyphGrey:
                Grey.Mix(left, right, into);
                break;
            case StereoLayout.AnaglyphColour:
                Colour.Mix(left, right, into);
                break;
            case StereoLayout.AnaglyphDubois:
                Dubois.Mix(left, right, into);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(layout));
        }
        return into;
    }

    private static int Multiple(int size, int of) => (size + of - 1) / of * of;

    /// <summary>Red, green and blue as weighted sums of both pictures' red, green and blue.</summary>
    private sealed class Mixture(double[][] left, double[][] right)
    {
        private readonly int[][] left = Fixed(left);
        private readonly int[][] right = Fixed(right);

        public void Mix(Image first, Image second, Image mixed) =>
            Parallel.For(0, mixed.Height, y => MixRow(first.Row(y), second.Row(y), mixed.Row(y)));

        private void MixRow(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> mixed)
        {
            for (var channel = 0; channel < Image.Channels; channel++)
            {
                var (own, other) = (left[channel], right[channel]);
                var (red, green, blue, otherRed, otherGreen, otherBlue) = (own[0], own[1], own[2], other[0], other[1], other[2]);
                for (var at = 0; at < mixed.Length; at += Image.Channels)
                {
                    var sum =
                        red * first[at]
                        + green * first[at + 1]
                        + blue * first[at + 2]
                        + otherRed * second[at]
                        + otherGreen * second[at + 1]
                        + otherBlue * second[at + 2];
                    mixed[at + channel] = (byte)Math.Clamp((sum + (1 << (Bits - 1))) >> Bits, 0, 255);
                }
            }
        }

        private static int[][] Fixed(double[][] weights) =>
            [.. weights.Select(row => Array.ConvertAll(row, weight => (int)Math.Round(weight * (1 << Bits))))];
    }
}
