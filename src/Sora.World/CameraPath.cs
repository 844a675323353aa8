namespace Sora.World;

/// <summary>The camera at one moment: a pinhole at <see cref="Eye"/> with an orthonormal basis.</summary>
/// <param name="Eye">Where it is, in metres.</param>
/// <param name="Right">Unit vector to the right of the picture.</param>
/// <param name="Up">Unit vector to the top of the picture.</param>
/// <param name="Forward">Unit vector along the optical axis; depth is measured along it.</param>
/// <param name="HalfHeight">Tangent of half the vertical field of view.</param>
public readonly record struct CameraPose(Point Eye, Point Right, Point Up, Point Forward, double HalfHeight)
{
    /// <summary>
    /// Where a point is in the picture: x and y in [-1, 1] inside the frame (y up) and its depth in metres.
    /// </summary>
    public (double X, double Y, double Depth) Project(Point point, double aspect)
    {
        var offset = point - Eye;
        var depth = Point.Dot(offset, Forward);
        return (Point.Dot(offset, Right) / (depth * HalfHeight * aspect), Point.Dot(offset, Up) / (depth * HalfHeight), depth);
    }
}

/// <summary>The camera's place, field of view and move.</summary>
public sealed record CameraPath
{
    /// <summary>What it does.</summary>
    public required CameraMove Move { get; init; }

    /// <summary>
    /// How far it goes over the clip: pan, tilt and orbit in radians, zoom as the ratio of the two fields of view (above 1).
    /// </summary>
    public required double Amount { get; init; }

    /// <summary>Seconds that the move takes: the clip's duration.</summary>
    public required double Duration { get; init; }

    /// <summary>Horizontal distance to the point that it looks at, in metres.</summary>
    public required double Distance { get; init; }

    /// <summary>Its height above the ground, in metres.</summary>
    public required double Height { get; init; }

    /// <summary>Height of the point that it looks at in the middle of the move, in metres.</summary>
    public required double TargetHeight { get; init; }

    /// <summary>Tangent of half the vertical field of view in the middle of the move.</summary>
    public required double HalfHeight { get; init; }

    /// <summary>
    /// How far it stands to the right of its path, in metres, without turning: the camera of the right eye, if the path is that
    /// of the left one.
    /// </summary>
    public double Aside { get; init; }

    /// <summary>
    /// The camera at a time in seconds. Every move is symmetric about the middle of the clip, where the camera looks
    /// straight at the scene, so that what the scene shows stays in view.
    /// </summary>
    public CameraPose At(double seconds)
    {
        var u = Duration > 0 ? seconds / Duration - 0.5 : 0;
        double yaw = 0,
            pitch = 0,
            orbit = 0,
            half = HalfHeight;
        switch (Move)
        {
            case CameraMove.PanLeft:
                yaw = Amount * u;
                break;
            case CameraMove.PanRight:
                yaw = -Amount * u;
                break;
            case CameraMove.TiltUp:
                pitch = Amount * u;
                break;
            case CameraMove.TiltDown:
                pitch = -Amount * u;
                break;
            case CameraMove.ZoomIn:
                half *= Math.Pow(Amount, -u);
                break;
            case CameraMove.ZoomOut:
                half *= Math.Pow(Amount, u);
                break;
            case CameraMove.OrbitLeft:
                orbit = -Amount * u;
                break;
            case CameraMove.OrbitRight:
                orbit = Amount * u;
                break;
            case CameraMove.Static:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(seconds), Move, "unknown camera move");
        }
        var eye = new Point(Distance * Math.Sin(orbit), Height, Distance * Math.Cos(orbit));
        pitch += Math.Atan2(TargetHeight - Height, Distance);
        yaw += orbit; // turning left by yaw; standing to the right of the scene (orbit > 0) means looking to the left
        var forward = new Point(-Math.Sin(yaw) * Math.Cos(pitch), Math.Sin(pitch), -Math.Cos(yaw) * Math.Cos(pitch));
        var right = new Point(Math.Cos(yaw), 0, -Math.Sin(yaw));
        return new CameraPose(eye + right * Aside, right, Point.Cross(right, forward), forward, half);
    }

    internal CameraPath Mirror() => this with { Move = Move.Mirror(), Aside = -Aside };
}
