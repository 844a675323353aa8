namespace Sora.World;

/// <summary>A point or direction in metres: x to the right, y up, z toward the camera's starting place.</summary>
public readonly record struct Point(double X, double Y, double Z)
{
    /// <summary>The sum.</summary>
    public static Point operator +(Point a, Point b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z);

    /// <summary>The difference.</summary>
    public static Point operator -(Point a, Point b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z);

    /// <summary>The multiple.</summary>
    public static Point operator *(Point a, double k) => new(a.X * k, a.Y * k, a.Z * k);

    /// <summary>The scalar product.</summary>
    public static double Dot(Point a, Point b) => a.X * b.X + a.Y * b.Y + a.Z * b.Z;

    /// <summary>The vector product.</summary>
    public static Point Cross(Point a, Point b) => new(a.Y * b.Z - a.Z * b.Y, a.Z * b.X - a.X * b.Z, a.X * b.Y - a.Y * b.X);

    /// <summary>The length.</summary>
    public double Length => Math.Sqrt(Dot(this, this));

    internal Point Mirrored => this with { X = -X };

    internal Point Normalised => this * (1 / Length);
}

/// <summary>One object: its labels and the numbers from which its motion is simulated.</summary>
public sealed record SceneObject
{
    /// <summary>What it is.</summary>
    public required Shape Shape { get; init; }

    /// <summary>Its colour.</summary>
    public required Colour Colour { get; init; }

    /// <summary>Its size.</summary>
    public required ObjectSize Size { get; init; }

    /// <summary>What it does.</summary>
    public required Motion Motion { get; init; }

    /// <summary>What it does after that.</summary>
    public FollowUp Then { get; init; }

    /// <summary>Its scale in metres; <see cref="Solid"/> derives every dimension from it.</summary>
    public required double Scale { get; init; }

    /// <summary>Where its centre is at the start, in metres.</summary>
    public required Point Start { get; init; }

    /// <summary>Its velocity at the start, in metres a second.</summary>
    public Point Velocity { get; init; }

    /// <summary>How far it is turned around the vertical at the start, in radians.</summary>
    public double Yaw { get; init; }

    /// <summary>The part of its speed that a bounce on the ground keeps.</summary>
    public double Restitution { get; init; }

    /// <summary>Deceleration on the ground, in metres a second squared.</summary>
    public double Drag { get; init; }

    /// <summary>Rate of turning around the vertical while it spins, in radians a second.</summary>
    public double SpinRate { get; init; }

    /// <summary>Upward speed with which it jumps, in metres a second.</summary>
    public double JumpSpeed { get; init; }

    /// <summary>Seconds on the ground before each jump.</summary>
    public double JumpPause { get; init; }

    /// <summary>The centre of the circle on which it goes around.</summary>
    public Point OrbitCentre { get; init; }

    /// <summary>Angular rate on that circle, in radians a second; positive is counter-clockwise from above.</summary>
    public double OrbitRate { get; init; }

    /// <summary>When <see cref="Then"/> begins, in seconds.</summary>
    public double ThenAt { get; init; }

    /// <summary>Its solid: dimensions in metres.</summary>
    internal Solid Solid => Solid.Of(Shape, Scale);

    /// <summary>True for a cylinder that lies on its side.</summary>
    internal bool Lying => Shape == Shape.Cylinder && Motion.Rolls();

    /// <summary>How far it reaches to the left and right of its middle while it is turned by <see cref="Yaw"/>, in metres.</summary>
    internal double Across
    {
        get
        {
            var (along, away) = (Math.Abs(Math.Cos(Yaw)), Math.Abs(Math.Sin(Yaw)));
            if (Lying)
                return (Solid.Radius * along) + (Solid.HalfHeight * away);
            return SpinRate == 0 && Shape is Shape.Cube or Shape.Pyramid ? Solid.Radius * (along + away) : Solid.MaxReach;
        }
    }

    /// <summary>True when it rolls rather than slides as it moves over the ground.</summary>
    internal bool Round => Shape is Shape.Ball || (Shape is Shape.Ring or Shape.Cylinder && Motion.Rolls());

    /// <summary>Height of its centre when it rests on the ground, in metres.</summary>
    internal double RestHeight => Lying ? Solid.Radius : Solid.HalfHeight;

    internal SceneObject Mirror() =>
        this with
        {
            Motion = Motion.Mirror(),
            Start = Start.Mirrored,
            Velocity = Velocity.Mirrored,
            Yaw = -Yaw,
            SpinRate = -SpinRate,
            OrbitCentre = OrbitCentre.Mirrored,
            OrbitRate = -OrbitRate,
        };
}

/// <summary>Object <paramref name="Subject"/> is in this relation to object <paramref name="Reference"/> (indices).</summary>
public readonly record struct Relationship(int Subject, Relation Relation, int Reference);

/// <summary>
/// A scene of the synthetic world: its labels (enumerations, for captions and judges) and every number that its
/// simulation and its picture depend on. The same scene gives the same bytes.
/// </summary>
public sealed record Scene
{
    /// <summary>One to three objects; the first is what a caption talks about first.</summary>
    public required IReadOnlyList<SceneObject> Objects { get; init; }

    /// <summary>The ground.</summary>
    public required Ground Ground { get; init; }

    /// <summary>The sky.</summary>
    public required Sky Sky { get; init; }

    /// <summary>The camera's place and move.</summary>
    public required CameraPath Camera { get; init; }

    /// <summary>Relations between objects at the start, each true.</summary>
    public IReadOnlyList<Relationship> Relations { get; init; } = [];

    /// <summary>What the first two objects have to do with each other.</summary>
    public Interaction Interaction { get; init; }

    /// <summary>Seconds from the first frame to the last; 0 is a still.</summary>
    public required double Duration { get; init; }

    /// <summary>Direction to the sun or the moon, a unit vector.</summary>
    public required Point Light { get; init; }

    /// <summary>Picks the fine details of the ground.</summary>
    public uint TextureSeed { get; init; }

    /// <summary>True when ground, sky and patterns are drawn with left and right swapped.</summary>
    public bool Mirrored { get; init; }

    /// <summary>The same scene with left and right swapped, labels included; its picture is the mirror image.</summary>
    public Scene Mirror() =>
        this with
        {
            Objects = [.. Objects.Select(o => o.Mirror())],
            Camera = Camera.Mirror(),
            Relations = [.. Relations.Select(r => r with { Relation = r.Relation.Mirror() })],
            Light = Light.Mirrored,
            Mirrored = !Mirrored,
        };
}

/// <summary>What labels say about directions.</summary>
internal static class LabelExtensions
{
    public static bool Rolls(this Motion motion) => motion is Motion.RollLeft or Motion.RollRight or Motion.RollToward or Motion.RollAway;

    public static bool Slides(this Motion motion) =>
        motion is Motion.SlideLeft or Motion.SlideRight or Motion.SlideToward or Motion.SlideAway;

    public static bool Travels(this Motion motion) => motion.Rolls() || motion.Slides();

    public static bool Sideways(this Motion motion) =>
        motion is Motion.RollLeft or Motion.RollRight or Motion.SlideLeft or Motion.SlideRight;

    public static Motion Mirror(this Motion motion) =>
        motion switch
        {
            Motion.RollLeft => Motion.RollRight,
            Motion.RollRight => Motion.RollLeft,
            Motion.SlideLeft => Motion.SlideRight,
            Motion.SlideRight => Motion.SlideLeft,
            _ => motion,
        };

    public static CameraMove Mirror(this CameraMove move) =>
        move switch
        {
            CameraMove.PanLeft => CameraMove.PanRight,
            CameraMove.PanRight => CameraMove.PanLeft,
            CameraMove.OrbitLeft => CameraMove.OrbitRight,
            CameraMove.OrbitRight => CameraMove.OrbitLeft,
            _ => move,
        };

    public static Relation Mirror(this Relation relation) =>
        relation switch
        {
            Relation.LeftOf => Relation.RightOf,
            Relation.RightOf => Relation.LeftOf,
            _ => relation,
        };
}
