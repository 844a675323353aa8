namespace Sora.Media.Spatial;

/// <summary>The eye whose picture stands for both where only one is shown, or that was recorded better.</summary>
public enum HeroEye
{
    /// <summary>Neither.</summary>
    None = 0,

    /// <summary>The left eye.</summary>
    Left = 1,

    /// <summary>The right eye.</summary>
    Right = 2,
}

/// <summary>What a <see cref="SpatialVideoWriter"/> writes.</summary>
public sealed record SpatialVideoOptions
{
    /// <summary>Columns of each eye's frames, at least 16.</summary>
    public required int Width { get; init; }

    /// <summary>Rows of each eye's frames, at least 16.</summary>
    public required int Height { get; init; }

    /// <summary>Frames a second.</summary>
    public double Fps { get; init; } = 24;

    /// <summary>Constant rate factor of libx265: smaller is better and larger; 0 to 51, 20 by default.</summary>
    public int? Crf { get; init; }

    /// <summary>Distance between the cameras, in metres. By default the mean distance of people's eyes (Dodgson, 2004).</summary>
    public double Baseline { get; init; } = 0.063;

    /// <summary>How wide the camera sees, in degrees: more than 0, less than 180.</summary>
    public double HorizontalFieldOfView { get; init; } = 60;

    /// <summary>
    /// How far players shift the two pictures against each other, which moves the depth that lies on the screen: -10000 to
    /// 10000, where 10000 is the width of a picture.
    /// </summary>
    public int DisparityAdjustment { get; init; }

    /// <summary>The eye that players prefer where they show one; what knows only one view shows the left.</summary>
    public HeroEye Hero { get; init; } = HeroEye.Left;

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="SoraException">A number is outside its range.</exception>
    internal void Validate()
    {
        Require(Math.Min(Width, Height) >= 16, $"the frames are {Width}x{Height}", "frames from 16x16 on");
        Require(Baseline is > 0 and <= 100, $"the distance between the cameras is {Baseline} m", "more than 0 m, at most 100 m");
        Require(
            HorizontalFieldOfView is > 0 and < 180,
            $"the field of view is {HorizontalFieldOfView} degrees",
            "more than 0 degrees, less than 180"
        );
        Require(Math.Abs(DisparityAdjustment) <= 10000, $"the disparity adjustment is {DisparityAdjustment}", "one from -10000 to 10000");
        Require(Enum.IsDefined(Hero), $"the hero eye is {Hero}", "none, left or right");

        static void Require(bool holds, FormattableString what, string range)
        {
            if (!holds)
                throw SoraException.Usage(FormattableString.Invariant(what), $"a spatial video can have {range}");
        }
    }
}
