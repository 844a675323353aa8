using System.Globalization;

namespace Sora;

/// <summary>
/// A point in a clip, or a length of one, as users write it: <c>2s</c>, <c>1.5s</c>, <c>33f</c> (frames),
/// <c>0</c> or <c>end</c>.
/// </summary>
public readonly record struct ClipTime
{
    /// <summary>A year at 16 frames a second. Joined clips add up three such lengths.</summary>
    private const int MostFrames = 1 << 29;

    private readonly double value;
    private readonly char unit;

    private ClipTime(double value, char unit) => (this.value, this.unit) = (value, unit);

    /// <summary>The last frame of a clip.</summary>
    public static ClipTime End => new(0, 'e');

    /// <summary>Whether it is <c>end</c>, which is a point but not a length.</summary>
    public bool IsEnd => unit == 'e';

    /// <summary>A number of seconds.</summary>
    public static ClipTime Seconds(double seconds) => new(seconds, 's');

    /// <summary>A number of frames.</summary>
    public static ClipTime Frames(long frames) => new(frames, 'f');

    /// <summary>Reads <c>2s</c>, <c>1.5s</c>, <c>33f</c>, <c>0</c> or <c>end</c>.</summary>
    /// <exception cref="SoraException">The text is none of these.</exception>
    public static ClipTime Parse(string text)
    {
        if (text == "end")
            return End;
        if (text == "0")
            return Frames(0);
        var number = text.Length > 1 ? text.AsSpan(0, text.Length - 1) : [];
        const NumberStyles style = NumberStyles.AllowDecimalPoint;
        if (text.EndsWith('f') && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var frames))
            return Frames(frames);
        if (text.EndsWith('s') && double.TryParse(number, style, CultureInfo.InvariantCulture, out var seconds) && double.IsFinite(seconds))
            return Seconds(seconds);
        throw SoraException.Usage($"'{text}' is not a time", "write 2s, 1.5s, 33f (frames) or end");
    }

    /// <summary>The number of frames that this length covers at a frame rate, to the nearest frame.</summary>
    /// <exception cref="SoraException">It is <c>end</c>, or more than a clip can have.</exception>
    public int FrameCount(double fps)
    {
        if (IsEnd)
            throw SoraException.Usage("'end' is not a length", "write 2s or 33f");
        var frames = unit == 'f' ? value : Math.Round(value * fps, MidpointRounding.AwayFromZero);
        if (frames > MostFrames)
            throw SoraException.Usage(
                string.Create(CultureInfo.InvariantCulture, $"'{this}' is too long"),
                string.Create(CultureInfo.InvariantCulture, $"at most {MostFrames}f")
            );
        return (int)frames;
    }

    /// <summary>As <see cref="FrameCount"/>, at least one frame.</summary>
    /// <exception cref="SoraException">It is <c>end</c>, or covers no frame.</exception>
    public int Length(double fps) =>
        FrameCount(fps) is > 0 and var frames
            ? frames
            : throw SoraException.Usage($"'{this}' is shorter than one frame", "write 2s or 33f");

    /// <summary>The index of the frame at this point of a clip of <paramref name="frames"/> frames.</summary>
    /// <exception cref="SoraException">The point lies beyond the last frame.</exception>
    public int FrameIndex(double fps, int frames)
    {
        if (IsEnd)
            return frames - 1;
        var index = FrameCount(fps);
        return index < frames
            ? index
            : throw SoraException.Usage(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"'{this}' is past the end of the clip, which has {frames} frames ({frames / fps:0.##} s)"
                ),
                "times count from 0; the last frame is 'end'"
            );
    }

    /// <inheritdoc/>
    public override string ToString() => IsEnd ? "end" : string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
}

/// <summary>A part of a clip as users write it: <c>1s-2s</c>, <c>0-9f</c>, <c>2s-end</c>.</summary>
/// <param name="From">Where it begins (this frame is part of it).</param>
/// <param name="To">Where it ends (this frame is not part of it, unless it is <c>end</c>).</param>
public readonly record struct ClipRange(ClipTime From, ClipTime To)
{
    /// <summary>Reads <c>FROM-TO</c>.</summary>
    /// <exception cref="SoraException">The text is not two times with a hyphen between them.</exception>
    public static ClipRange Parse(string text)
    {
        var parts = text.Split('-');
        return parts.Length == 2
            ? new ClipRange(ClipTime.Parse(parts[0]), ClipTime.Parse(parts[1]))
            : throw SoraException.Usage($"'{text}' is not a time range", "write 1s-2s, 0-9f or 2s-end");
    }

    /// <summary>First frame, and the frame after the last one, in a clip of <paramref name="frames"/> frames.</summary>
    /// <exception cref="SoraException">The part is empty or lies outside the clip.</exception>
    public (int First, int End) Frames(double fps, int frames)
    {
        var first = From.FrameIndex(fps, frames);
        var end = To.IsEnd ? frames : Math.Min(To.FrameCount(fps), frames);
        return first < end
            ? (first, end)
            : throw SoraException.Usage(
                $"'{this}' is an empty time range",
                "it starts at the first time and ends before the second: 1s-2s, or 2s-end"
            );
    }

    /// <inheritdoc/>
    public override string ToString() => $"{From}-{To}";
}
