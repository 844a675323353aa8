using Sora.Media;

namespace Sora.Stereo;

/// <summary>One frame of a video, and how far away what it shows is.</summary>
/// <param name="Picture">What the camera saw.</param>
/// <param name="Depth"><c>[H, W]</c>, relative or in metres.</param>
/// <param name="IsCut">Whether a shot begins.</param>
public sealed record StereoFrame(Image Picture, float[] Depth, bool IsCut);

/// <summary>
/// Makes two eyes' pictures of each frame of a video, as its frames come. It holds a few frames at a time, however long the
/// video is.
/// </summary>
public sealed class StereoVideo
{
    private readonly int width;
    private readonly int height;
    private readonly StereoOptions options;
    private readonly Disparity disparity;
    private readonly StereoRenderer renderer;
    private readonly float[] pixels;

    /// <summary>Begins a video.</summary>
    /// <param name="width">Columns of every frame.</param>
    /// <param name="height">Rows of every frame.</param>
    /// <param name="kind">What the numbers of its depth mean.</param>
    /// <param name="options">How depth becomes two pictures.</param>
    /// <exception cref="SoraException">An option is out of range.</exception>
    public StereoVideo(int width, int height, DepthKind kind, StereoOptions options)
    {
        (this.width, this.height, this.options) = (width, height, options);
        disparity = new Disparity(width, height, kind, options);
        renderer = new StereoRenderer(width, height, options);
        pixels = new float[width * height];
    }

    /// <summary>The pictures of each frame; a pair is overwritten once the next one is asked for.</summary>
    /// <param name="frames">In their order, all of one size; taken as they are needed.</param>
    /// <exception cref="ArgumentException">A frame or its depth has another size.</exception>
    public IEnumerable<StereoPair> Render(IEnumerable<StereoFrame> frames) =>
        options.Fill == StereoFill.Frames ? RenderAround(frames) : RenderEach(frames);

    private IEnumerable<StereoPair> RenderEach(IEnumerable<StereoFrame> frames)
    {
        var pair = new StereoPair(width, height);
        foreach (var frame in frames)
        {
            RenderOne(frame, pair);
            yield return pair;
        }
    }

    /// <summary>Each frame, once the frames that its holes are filled from have come.</summary>
    private IEnumerable<StereoPair> RenderAround(IEnumerable<StereoFrame> frames)
    {
        var fill = new FrameFill(width, height, options.Eyes);
        // In their order, the next one to be filled at the place that next says.
        var (window, next) = (new List<(StereoPair Pair, int Shot)>(), 0);
        var spare = new Stack<StereoPair>();
        var shot = 0;
        foreach (var frame in frames)
        {
            var pair = spare.TryPop(out var old) ? old : new StereoPair(width, height, keepsDisparity: true);
            RenderOne(frame, pair);
            window.Add((pair, frame.IsCut ? ++shot : shot));
            if (window.Count - 1 - next < FrameFill.Reach)
                continue;
            yield return Fill();
            next++;
            if (next > FrameFill.Reach)
            {
                spare.Push(window[0].Pair);
                window.RemoveAt(0);
                next--;
            }
        }
        for (; next < window.Count; next++)
            yield return Fill();

        StereoPair Fill()
        {
            fill.Fill(window, next);
            return window[next].Pair;
        }
    }

    private void RenderOne(StereoFrame frame, StereoPair pair)
    {
        disparity.Next(frame.Depth, pixels, frame.IsCut);
        renderer.Render(frame.Picture, pixels, pair);
    }
}
