using System.Numerics;

namespace Sora.Stereo;

/// <summary>What the numbers of a depth map mean.</summary>
public enum DepthKind
{
    /// <summary>Inverse depth of no known scale: 1 is the nearest, 0 the farthest.</summary>
    Relative,

    /// <summary>Metres along the optical axis; infinity is the sky.</summary>
    Metric,
}

/// <summary>
/// Turns the depth of the frames of a clip, one after another, into signed disparity in pixels:
/// <c>d = gain (i - screen)</c> with the inverse depth i. A point at column x of the left eye's picture is at x - d in the right
/// one's, so positive disparity is crossed and lies before the screen. For metric depth the gain is the baseline times the focal
/// length in pixels, which is what two parallel pinhole cameras see, shifted so that the screen's depth has no disparity.
/// </summary>
public sealed class Disparity
{
    /// <summary>
    /// Part of the range that lies before the screen by automatic convergence: BSkyB's guidelines allow 1 % of the width before
    /// it and 2 % behind.
    /// </summary>
    private const double Before = 1.0 / 3;

    private readonly int width;
    private readonly int height;
    private readonly DepthKind kind;
    private readonly StereoOptions options;

    /// <summary>Pixels of disparity that 1 / metre makes.</summary>
    private readonly double perBaseline;
    private readonly MapRange range;
    private double near,
        far;
    private bool started;

    /// <summary>Begins a clip.</summary>
    /// <param name="width">Columns of every depth map, which are those of the frames.</param>
    /// <param name="height">Rows of every depth map.</param>
    /// <param name="kind">What the numbers mean.</param>
    /// <param name="options">Baseline, convergence, limits.</param>
    /// <exception cref="SoraException">An option is out of range.</exception>
    public Disparity(int width, int height, DepthKind kind, StereoOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        options.Validate();
        if (kind == DepthKind.Relative && options.Convergence > 1)
            throw SoraException.Usage($"a convergence of {options.Convergence}: relative depth is from 0 (far) to 1 (near)");
        if (kind == DepthKind.Metric && options.Convergence == 0)
            throw SoraException.Usage("a convergence of 0 m lies in the camera");
        (this.width, this.height, this.kind, this.options) = (width, height, kind, options);
        perBaseline = width / 2.0 / Math.Tan(options.FieldOfView * Math.PI / 360) * options.Baseline;
        range = new MapRange(width, height);
    }

    /// <summary>Pixels of disparity for each unit of inverse depth, of the last frame.</summary>
    public double Gain { get; private set; }

    /// <summary>The inverse depth that lies in the screen, of the last frame.</summary>
    public double Screen { get; private set; }

    /// <summary>The next frame's disparities, none of which leaves the depth budget on either side of the screen.</summary>
    /// <param name="depth">Its depth <c>[H, W]</c>. What is no depth (NaN, metres that aren't positive) counts as far away.</param>
    /// <param name="disparity">Receives pixels <c>[H, W]</c>, positive before the screen.</param>
    /// <param name="cut">Whether a shot begins: nothing is eased over from the frame before.</param>
    /// <exception cref="ArgumentException">One of them has another size.</exception>
    public void Next(ReadOnlySpan<float> depth, Span<float> disparity, bool cut = false)
    {
        if (depth.Length != width * height || disparity.Length != depth.Length)
            throw new ArgumentException($"{depth.Length} depths, {disparity.Length} disparities for {width}x{height}", nameof(depth));
        if (kind == DepthKind.Metric || options.Convergence == null)
            Ease(depth, cut);
        Screen = options.Convergence switch
        {
            null => near - Before * (near - far),
            { } metres when kind == DepthKind.Metric => 1 / metres,
            { } relative => relative,
        };
        var budget = options.MaxDisparity / 100 * width;
        Gain = kind == DepthKind.Relative ? budget : Math.Min(perBaseline, budget / Reach());
        Map(depth, disparity, (float)budget);
    }

    /// <summary>From the nearest to the farthest, the screen among them; never 0.</summary>
    private double Reach() => Math.Max(Math.Max(near, Screen) - Math.Min(far, Screen), double.Epsilon);

    private void Ease(ReadOnlySpan<float> depth, bool cut)
    {
        var (farNow, nearNow) = range.Of(depth, Inverse);
        var rate = started && !cut && options.EaseFrames > 0 ? 1 - Math.Exp(-1 / options.EaseFrames) : 1;
        (near, far) = (near + rate * (nearNow - near), far + rate * (farNow - far));
        started = true;
    }

    private float Inverse(float depth)
    {
        var inverse = kind == DepthKind.Metric ? 1 / depth : Math.Min(depth, 1);
        return inverse > 0 && float.IsFinite(inverse) ? inverse : 0;
    }

    private void Map(ReadOnlySpan<float> depth, Span<float> disparity, float budget)
    {
        var lanes = Vector<float>.Count;
        var (gain, offset) = ((float)Gain, (float)(Gain * Screen));
        Vector<float> gains = new(gain),
            offsets = new(offset),
            most = new(budget),
            // Of metres, all that is finite: the inverse of 0 m isn't.
            limit = new(kind == DepthKind.Metric ? float.MaxValue : 1);
        var x = 0;
        for (; x <= depth.Length - lanes; x += lanes)
        {
            var value = new Vector<float>(depth[x..]);
            var inverse = kind == DepthKind.Metric ? Vector<float>.One / value : Vector.Min(value, limit);
            // Comparisons with NaN are false.
            var valid = Vector.GreaterThan(inverse, Vector<float>.Zero) & Vector.LessThanOrEqual(inverse, limit);
            inverse = Vector.ConditionalSelect(valid, inverse, Vector<float>.Zero);
            Vector.Min(Vector.Max(inverse * gains - offsets, -most), most).CopyTo(disparity[x..]);
        }
        for (; x < depth.Length; x++)
            disparity[x] = Math.Clamp(Inverse(depth[x]) * gain - offset, -budget, budget);
    }
}
