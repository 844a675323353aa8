namespace Sora.Models.Wan;

/// <summary>Frames of one resolution.</summary>
/// <param name="Frames">Frames at a time.</param>
/// <param name="Pixels">Pixels of one.</param>
internal readonly record struct Grid(double Frames, double Pixels)
{
    /// <summary>Numbers in a channel.</summary>
    public double Area => Frames * Pixels;
}

/// <summary>
/// The layers of a causal VAE one after the other: which tensors live at a time in each, and what is remembered of the frames
/// before. Counts numbers of float32, all of them of one chunk of frames.
/// </summary>
/// <param name="threads">Threads that compute, where norm and convolution are one on the CPU; 0 on another device.</param>
/// <param name="isStill">Whether there is one frame only, and nothing before it.</param>
internal sealed class VaePeakMemory(int threads, bool isStill)
{
    // Of Native/winograd.cpp: numbers of a tile, columns of a panel at most, frames at a time, and the least channels.
    private const double Tile = 36,
        Panel = 48,
        FramesAtATime = 4,
        LeastChannels = 32;

    private readonly int before = isStill ? 0 : 2;

    /// <summary>Numbers that live at a time, at most, besides what is remembered.</summary>
    public double Most { get; private set; }

    /// <summary>Numbers that are remembered of the frames before.</summary>
    public double Kept { get; private set; }

    /// <summary>Floating-point operations of the convolutions.</summary>
    public double Flops { get; private set; }

    /// <summary>So many numbers live.</summary>
    public void Live(double numbers) => Most = Math.Max(Most, numbers);

    /// <summary>A layer remembers so much.</summary>
    public void Keep(double numbers) => Kept += numbers;

    /// <summary>A 3x3x3 convolution of what isn't normalised; other tensors live <paramref name="beside"/> it.</summary>
    public void Conv(Grid at, double from, double to, double beside)
    {
        Kept += Math.Max(1, before) * from * at.Pixels;
        Live(beside + from * (at.Area + Extended(at)) + to * at.Area + Workspace(at, from, to));
        Count(at, from, to, 27);
    }

    /// <summary>Norm, SiLU and convolution.</summary>
    /// <param name="at">The frames.</param>
    /// <param name="from">Channels before.</param>
    /// <param name="to">Channels behind.</param>
    /// <param name="beside">What lives besides the input.</param>
    /// <param name="spends">Whether the input goes once it is normalised.</param>
    public void NormConv(Grid at, double from, double to, double beside, bool spends)
    {
        var (input, extended, output) = (from * at.Area, from * Extended(at), to * at.Area);
        var stays = beside + (spends ? 0 : input);
        Kept += Math.Max(1, before) * from * at.Pixels;
        // The squares, and the normalised input: on the CPU some rows at a time, straight to its place behind the frames before.
        if (threads == 0)
            Live(Math.Max(beside + 3 * input, stays + input + extended));
        else
            Live(beside + input + extended);
        Live(stays + extended + output + Workspace(at, from, to));
        Count(at, from, to, 27);
    }

    /// <summary>Two of them, and the way around, which is a convolution of single places where the width changes.</summary>
    public void Residual(Grid at, double from, double to, double beside)
    {
        NormConv(at, from, to, beside, spends: false);
        NormConv(at, to, to, beside + from * at.Area, spends: true);
        if (from != to)
            PointConv(at, from, to, beside + to * at.Area);
    }

    /// <summary>Attention of each frame to itself: the norm, its places in a row, queries, keys and values twice, what they see, and the sum.</summary>
    public void Attention(Grid at, double channels) => Live(11 * channels * at.Area);

    /// <summary>A linear map of the channels.</summary>
    public void PointConv(Grid at, double from, double to, double beside) => Live(beside + Reordered(from * at.Area, to * at.Area));

    /// <summary>Half as many rows and columns, and half as many frames if asked for.</summary>
    /// <returns>The frames that are left.</returns>
    public Grid Down(Grid at, double channels, bool halvesTime, double beside)
    {
        var small = at with { Pixels = at.Pixels / 4 };
        // The frames of a clip lie apart: they are put together first.
        Live(beside + channels * at.Area + Reordered(channels * at.Area, channels * small.Area));
        Count(small, channels, channels, 9);
        if (!halvesTime || isStill)
            return small;
        Kept += channels * small.Pixels;
        return small with { Frames = small.Frames / 2 };
    }

    /// <summary>Twice as many rows and columns, and twice as many frames if asked for.</summary>
    /// <returns>The frames that there are then.</returns>
    public Grid Up(Grid at, double from, double to, bool doublesTime, double beside)
    {
        var (here, frames) = (beside + from * at.Area, at.Frames);
        if (doublesTime && !isStill)
        {
            // With the frames before; to twice the channels; put in order.
            var extended = from * Extended(at);
            Kept += before * from * at.Pixels;
            Live(here + Reordered(extended, 2 * from * at.Area));
            here += extended + 4 * from * at.Area;
            Live(here);
            frames *= 2;
        }
        var large = new Grid(frames, 4 * at.Pixels);
        Live(here + from * large.Area + to * large.Area + Workspace(large, from, to, window: 1));
        // Elsewhere frames are convolved one by one, and put in order then.
        if (threads == 0)
            Live(here + 2 * to * large.Area);
        Count(large, from, to, 9);
        return large;
    }

    private double Extended(Grid at) => (at.Frames + before) * at.Pixels;

    private void Count(Grid at, double from, double to, int window) =>
        Flops += 2 * (isStill ? Math.Min(window, 9) : window) * from * to * at.Area;

    /// <summary>What a convolution of 3x3 takes for itself, by windows of so many frames.</summary>
    private double Workspace(Grid at, double from, double to, int window = 3)
    {
        if (threads == 0)
            return 0;
        var taps = isStill ? 1 : window;
        // Others than the one of fewer products surround a copy of their input with zeros.
        if (Math.Min(from, to) < LeastChannels)
            return from * (at.Frames + taps - 1) * at.Pixels;
        var frames = Math.Min(FramesAtATime, at.Frames);
        return Tile * (taps * from * to + threads * Panel * ((frames + taps - 1) * from + frames * to));
    }

    /// <summary>
    /// A convolution by libtorch, with its input and its result: on the CPU both are laid out in blocks of channels, and the
    /// result is laid out plainly again.
    /// </summary>
    private double Reordered(double input, double output) => input + (threads == 0 ? output : Math.Max(input + output, 2 * output));
}
