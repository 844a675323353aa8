namespace Sora.Stereo;

/// <summary>Where the two eyes stand in relation to the camera of the clip.</summary>
public enum StereoEyes
{
    /// <summary>Half of the disparity to either side: both pictures are made, and the holes in each are half as wide.</summary>
    Symmetric,

    /// <summary>The frame is the left eye's picture, bit for bit, and only the right one is made.</summary>
    LeftKept,
}

/// <summary>What is put where an eye sees what the camera didn't.</summary>
public enum StereoFill
{
    /// <summary>Black: for those who fill it themselves from the mask.</summary>
    None,

    /// <summary>Along the row, the colour of the farther side, since what appears beside an object lies behind it.</summary>
    Background,

    /// <summary>What other frames of the shot show in that place; where none does, as <see cref="Background"/>.</summary>
    Frames,
}

/// <summary>How depth becomes two pictures.</summary>
public sealed record StereoOptions
{
    /// <summary>Where the eyes stand.</summary>
    public StereoEyes Eyes { get; init; }

    /// <summary>
    /// Metres between the eyes' cameras, for metric depth; relative depth has no scale, and only <see cref="MaxDisparity"/> counts.
    /// By default the distance between an adult's pupils, 63 mm in the mean (Dodgson 2004, "Variation and extrema of human
    /// interpupillary distance").
    /// </summary>
    public double Baseline { get; init; } = 0.063;

    /// <summary>
    /// The depth that lies in the screen: relative inverse depth in [0, 1], or metres, of which infinity means cameras that don't
    /// converge. Null chooses it from the depth of each shot.
    /// </summary>
    public double? Convergence { get; init; }

    /// <summary>
    /// The depth budget: disparities from the farthest to the nearest, in percent of the width. Relative depth from 0 to 1 takes
    /// all of it; with metric depth the baseline gets shorter where the shot would take more. By default the 3 % of BSkyB's
    /// "Technical Guidelines for Plano Stereoscopic (3D) Programme Content", written for screens of 46 to 70 inches; it's about
    /// what the cameramen's rule gives, a baseline of 1/30 of the distance to the nearest object.
    /// </summary>
    public double MaxDisparity { get; init; } = 3;

    /// <summary>
    /// Degrees that the camera sees from left to right, for metric depth. By default those of a 35 mm lens on 36 mm wide film,
    /// 2 atan(36 / 70).
    /// </summary>
    public double FieldOfView { get; init; } = 54.4;

    /// <summary>
    /// Pixels by which what is near grows over what is far, to every side, before the pictures are made. Estimated depth often
    /// ends inside of an object, whose rim would stay behind in the background; exact depth needs none.
    /// </summary>
    public int EdgeDilation { get; init; } = 2;

    /// <summary>What is put where an eye sees what the camera didn't.</summary>
    public StereoFill Fill { get; init; } = StereoFill.Frames;

    /// <summary>
    /// Frames after which the automatic convergence and the limit of the baseline have come 63 % of the way to what a changed
    /// depth asks for; 0 follows at once.
    /// </summary>
    public double EaseFrames { get; init; } = 24;

    /// <summary>Refuses values that mean nothing.</summary>
    /// <exception cref="SoraException">One of them is out of its range; the message says which.</exception>
    public void Validate()
    {
        // Written so that NaN fails, too.
        if (!(Baseline > 0 && double.IsFinite(Baseline)))
            throw SoraException.Usage($"a baseline of {Baseline} m is not a positive distance");
        if (!(MaxDisparity > 0 && MaxDisparity <= 100))
            throw SoraException.Usage($"a disparity of {MaxDisparity} % is not above 0 and up to 100 % of the width");
        if (!(FieldOfView > 0 && FieldOfView < 180))
            throw SoraException.Usage($"a field of view of {FieldOfView} degrees is not between 0 and 180");
        if (EdgeDilation is < 0 or > 100)
            throw SoraException.Usage($"an edge dilation of {EdgeDilation} pixels is not from 0 to 100");
        if (!(EaseFrames >= 0 && double.IsFinite(EaseFrames)))
            throw SoraException.Usage($"easing over {EaseFrames} frames: not a number from 0 on");
        if (Convergence is { } screen && !(screen >= 0))
            throw SoraException.Usage($"a convergence of {screen} is not a depth");
    }
}
