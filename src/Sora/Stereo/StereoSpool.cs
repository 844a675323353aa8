using System.Collections;
using Sora.Media;

namespace Sora.Stereo;

/// <summary>One of the two eyes.</summary>
internal enum Eye
{
    /// <summary>The left one.</summary>
    Left,

    /// <summary>The right one.</summary>
    Right,
}

/// <summary>Pairs of pictures with their holes, which wait on disk.</summary>
/// <param name="folder">Where there is room.</param>
/// <param name="width">Columns of every picture.</param>
/// <param name="height">Rows of every picture.</param>
internal sealed class StereoSpool(string folder, int width, int height) : IDisposable
{
    private readonly Spool spool = new(folder);
    private readonly bool[] hasHoles = new bool[2];
    private readonly int pixels = width * height;

    /// <summary>How many pairs wait.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of a picture and its holes.</summary>
    private int EyeBytes => pixels * (Image.Channels + 1);

    /// <summary>Adds a pair.</summary>
    public void Add(StereoPair pair)
    {
        foreach (var eye in Enum.GetValues<Eye>())
        {
            var (picture, holes) = Of(pair, eye);
            spool.Add(picture.Pixels);
            spool.Add(holes);
            hasHoles[(int)eye] |= holes.AsSpan().ContainsAnyExcept((byte)0);
        }
        Count++;
    }

    /// <summary>Whether an eye sees anything that the camera didn't.</summary>
    public bool HasHoles(Eye eye) => hasHoles[(int)eye];

    /// <summary>Reads a pair into another one, which doesn't keep disparities.</summary>
    public void Read(int frame, StereoPair pair)
    {
        foreach (var eye in Enum.GetValues<Eye>())
        {
            var (picture, holes) = Of(pair, eye);
            spool.Read(At(frame, eye), picture.Pixels);
            spool.Read(At(frame, eye) + picture.Pixels.Length, holes);
        }
    }

    /// <summary>The pictures of an eye, each read when it is taken.</summary>
    public IEnumerable<Image> Pictures(Eye eye)
    {
        for (var frame = 0; frame < Count; frame++)
        {
            var picture = new Image(width, height);
            spool.Read(At(frame, eye), picture.Pixels);
            yield return picture;
        }
    }

    /// <summary>The holes of an eye as masks, white where there is one, each read when it is taken.</summary>
    public IReadOnlyList<Image> Masks(Eye eye) => new MaskList(this, eye);

    /// <summary>Frees the disk.</summary>
    public void Dispose() => spool.Dispose();

    private static (Image Picture, byte[] Holes) Of(StereoPair pair, Eye eye) =>
        eye == Eye.Left ? (pair.Left, pair.LeftHoles) : (pair.Right, pair.RightHoles);

    private long At(int frame, Eye eye) => (2L * frame + (int)eye) * EyeBytes;

    private Image Mask(int frame, Eye eye)
    {
        var (holes, mask) = (new byte[pixels], new Image(width, height));
        spool.Read(At(frame, eye) + pixels * Image.Channels, holes);
        for (var i = 0; i < pixels; i++)
            mask.Pixels.AsSpan(i * Image.Channels, Image.Channels).Fill(holes[i]);
        return mask;
    }

    private sealed class MaskList(StereoSpool spool, Eye eye) : IReadOnlyList<Image>
    {
        public int Count => spool.Count;

        public Image this[int index] => spool.Mask(index, eye);

        public IEnumerator<Image> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
