namespace Sora.World;

/// <summary>
/// Gives a scene's labels places, speeds and a camera. Motions are paced by the clip: what takes half a second is
/// fast enough to be seen in nine frames, and what takes four seconds stays in view.
/// </summary>
internal static class Choreography
{
    private const double Radian = Math.PI / 180;
    private const double Distance = 3.1;
    private static readonly double[] Heights = [0.46, 0.62, 0.82];

    /// <summary>Highest point, in metres, that an object may have while it is in the air: the frame's upper edge.</summary>
    private const double Ceiling = 1.34;

    public static Scene Place(ref Rng rng, SceneSampler.Draft draft, SceneOptions options)
    {
        var camera = PlaceCamera(ref rng, draft, options);
        var stage = new Stage(2 * camera.HalfHeight * Distance * options.Aspect, options.Duration, draft.Interaction, draft.Objects.Count);
        var spots = Spots(ref rng, stage, draft);
        var objects = new SceneObject[draft.Objects.Count];
        for (var i = 0; i < objects.Length; i++)
            objects[i] = PlaceObject(ref rng, stage, draft.Objects[i], spots[i]);
        if (draft.Interaction != Interaction.None)
            Interact(ref rng, stage, objects);
        return new Scene
        {
            Objects = objects,
            Ground = draft.Ground,
            Sky = draft.Sky,
            Camera = camera,
            Interaction = draft.Interaction,
            Duration = options.Duration,
            Light = PlaceLight(ref rng, draft.Sky),
            TextureSeed = (uint)rng.NextBits(),
        };
    }

    /// <summary>What all objects share: the width in metres that the camera sees, and the time there is.</summary>
    private readonly record struct Stage(double Width, double Duration, Interaction Interaction, int Count)
    {
        /// <summary>0 for clips of up to half a second, 1 for clips of three seconds and more.</summary>
        public double Length => Math.Clamp((Duration - 0.5) / 2.5, 0, 1);
    }

    private static double Lerp(double a, double b, double u) => a + (b - a) * u;

    private static CameraPath PlaceCamera(ref Rng rng, SceneSampler.Draft draft, SceneOptions options)
    {
        var move = draft.Camera;
        var half = Math.Tan(15 * Radian) * Math.Max(1, 0.8 / options.Aspect); // wider where the picture is narrow
        var length = Math.Clamp((options.Duration - 0.5) / 2.5, 0, 1);
        var view = 2 * Math.Atan(half);
        var amount = move switch
        {
            CameraMove.PanLeft or CameraMove.PanRight => 2 * Math.Atan(half * options.Aspect) * rng.Uniform(0.34, Lerp(0.44, 0.6, length)),
            CameraMove.TiltUp or CameraMove.TiltDown => view * rng.Uniform(0.34, 0.46),
            CameraMove.ZoomIn or CameraMove.ZoomOut => rng.Uniform(1.4, Lerp(1.6, 1.8, length)),
            CameraMove.OrbitLeft or CameraMove.OrbitRight => rng.Uniform(0.36, Lerp(0.46, 0.66, length)),
            _ => 0,
        };
        amount *= Share(move, draft.Objects);
        return new CameraPath
        {
            Move = move,
            Amount = amount,
            Duration = options.Duration,
            Distance = Distance,
            Height = rng.Uniform(0.72, 1.0),
            TargetHeight = rng.Uniform(0.44, 0.52),
            HalfHeight = half,
        };
    }

    /// <summary>How much of a camera move is left beside travelling objects: one that goes along would hide that they move.</summary>
    private static double Share(CameraMove move, IReadOnlyList<SceneSampler.DraftObject> objects)
    {
        var left = objects.Any(o => o.Motion is Motion.RollLeft or Motion.SlideLeft);
        var right = objects.Any(o => o.Motion is Motion.RollRight or Motion.SlideRight);
        var deep = objects.Any(o => o.Motion.Travels() && !o.Motion.Sideways());
        return move switch
        {
            CameraMove.PanLeft => left ? 0.4
            : right ? 0.7
            : 1,
            CameraMove.PanRight => right ? 0.4
            : left ? 0.7
            : 1,
            CameraMove.OrbitLeft or CameraMove.OrbitRight => left || right ? 0.75 : 1,
            CameraMove.ZoomIn or CameraMove.ZoomOut => deep ? 0.85 : 1, // of a ratio: 1.5 becomes 1.28
            _ => 1,
        };
    }

    private static Point PlaceLight(ref Rng rng, Sky sky)
    {
        // Azimuth from the camera's side of the scene, so that the sides that are seen are lit.
        var (azimuth, elevation) = sky switch
        {
            Sky.Clear => (rng.Uniform(30, 60), rng.Uniform(42, 55)),
            Sky.Sunset => (rng.Uniform(55, 78), rng.Uniform(15, 21)),
            Sky.Night => (rng.Uniform(25, 55), rng.Uniform(38, 50)),
            Sky.Overcast => (rng.Uniform(20, 60), rng.Uniform(60, 72)),
            _ => (rng.Uniform(45, 70), rng.Uniform(22, 30)),
        };
        var (sinA, cosA) = Math.SinCos(azimuth * Radian * rng.Sign());
        var (sinE, cosE) = Math.SinCos(elevation * Radian);
        return new Point(sinA * cosE, sinE, cosA * cosE);
    }

    /// <summary>A place on the ground for each object, before what its motion asks for.</summary>
    private static (double X, double Z)[] Spots(ref Rng rng, Stage stage, SceneSampler.Draft draft)
    {
        var spots = new (double X, double Z)[stage.Count];
        var side = rng.Sign();
        var deep = draft.Objects[0].Motion.Travels() ? rng.Chance(0.8) : rng.Chance(0.4);
        var order = rng.Below(3);
        for (var i = 0; i < stage.Count; i++)
        {
            side = -side;
            spots[i] = stage.Count switch
            {
                1 => (rng.Uniform(-0.14, 0.14) * stage.Width, rng.Uniform(-0.15, 0.2)),
                2 when deep => (rng.Uniform(-0.22, 0.22) * stage.Width, rng.Uniform(0.27, 0.5) * side),
                2 => (side * rng.Uniform(0.17, 0.27) * stage.Width, rng.Uniform(-0.15, 0.15)),
                _ => (((i + order) % 3 - 1 + rng.Uniform(-0.15, 0.15)) * 0.32 * stage.Width, rng.Uniform(-0.5, 0.35)),
            };
        }
        return spots;
    }

    private static SceneObject PlaceObject(ref Rng rng, Stage stage, SceneSampler.DraftObject labels, (double X, double Z) at)
    {
        var lying = labels.Shape == Shape.Cylinder && labels.Motion.Rolls(); // as large to the eye as a standing one
        var placed = new SceneObject
        {
            Shape = labels.Shape,
            Colour = labels.Colour,
            Size = labels.Size,
            Motion = labels.Motion,
            Then = labels.Then,
            Scale = Heights[(int)labels.Size] * rng.Uniform(0.97, 1.03) * (lying ? 1.15 : 1),
            Start = default,
            Yaw = RestingYaw(ref rng, labels.Shape),
            Drag = labels.Shape == Shape.Ball ? 0.3 : 1.5, // when something hits it
        };
        placed = placed with { Start = new Point(at.X, placed.RestHeight, at.Z) };
        return labels.Motion switch
        {
            Motion.Still => placed,
            Motion.Bounce => Drop(ref rng, stage, placed, rng.Uniform(0.38, 0.6), 0.62) with { Restitution = rng.Uniform(0.78, 0.9) },
            Motion.Fall => Drop(ref rng, stage, placed, rng.Uniform(0.55, 0.8), 0.8) with { Restitution = rng.Uniform(0.05, 0.2) },
            Motion.Jump => Jump(ref rng, stage, placed),
            Motion.Spin => placed with { SpinRate = SpinRate(ref rng, stage) },
            Motion.Orbit => Circle(ref rng, stage, placed),
            _ => Travel(ref rng, stage, placed),
        };
    }

    /// <summary>Turned so that edges and faces are seen, and both tones of what has two halves.</summary>
    private static double RestingYaw(ref Rng rng, Shape shape) =>
        shape switch
        {
            Shape.Cube or Shape.Pyramid => rng.Sign() * rng.Uniform(0.3, 0.62),
            _ => rng.Uniform(-0.6, 0.6) + (shape != Shape.Ring && rng.Chance(0.5) ? Math.PI : 0),
        };

    private static double SpinRate(ref Rng rng, Stage stage) =>
        rng.Sign() * rng.Uniform(Lerp(4.8, 1.8, stage.Length), Lerp(7.2, 2.8, stage.Length));

    /// <summary>Lifts an object; it lands within <paramref name="share"/> of the clip.</summary>
    private static SceneObject Drop(ref Rng rng, Stage stage, SceneObject placed, double height, double share)
    {
        var seconds = share * stage.Duration * rng.Uniform(0.85, 1);
        height = Math.Min(height, 0.5 * Simulation.Gravity * seconds * seconds);
        height = Math.Max(0.1, Math.Min(height, Ceiling - placed.RestHeight - placed.Solid.HalfHeight));
        return placed with { Start = placed.Start + new Point(0, height, 0) };
    }

    private static SceneObject Jump(ref Rng rng, Stage stage, SceneObject placed)
    {
        var height = Math.Min(rng.Uniform(0.3, 0.5), Ceiling - placed.RestHeight - placed.Solid.HalfHeight);
        return placed with
        {
            JumpSpeed = Math.Sqrt(2 * Simulation.Gravity * height),
            JumpPause = rng.Uniform(0.02, Lerp(0.06, 0.5, stage.Length)),
        };
    }

    private static SceneObject Circle(ref Rng rng, Stage stage, SceneObject placed)
    {
        var radius = Math.Min(rng.Uniform(0.3, 0.48), Math.Max(0.22, 0.48 * stage.Width - placed.Solid.Reach));
        var (sin, cos) = Math.SinCos(rng.Uniform(-Math.PI, Math.PI));
        return placed with
        {
            OrbitCentre = placed.Start,
            Start = placed.Start + new Point(radius * sin, 0, radius * cos),
            OrbitRate = rng.Sign() * rng.Uniform(Lerp(4.2, 1.8, stage.Length), Lerp(6, 2.8, stage.Length)),
        };
    }

    /// <summary>How far an object goes in the clip, as a part of the width that the camera sees.</summary>
    private static double Reach(ref Rng rng, Stage stage)
    {
        var reach = Lerp(0.36, 0.66, stage.Length) * rng.Uniform(0.88, 1.15);
        return stage.Duration < 0.5 ? reach * Math.Sqrt(stage.Duration / 0.5) : reach;
    }

    private static SceneObject Travel(ref Rng rng, Stage stage, SceneObject placed)
    {
        var wobble = placed.Shape switch
        {
            Shape.Ring => rng.Sign() * rng.Uniform(0.1, 0.4), // not quite edge-on nor flat to the eye
            Shape.Cylinder when placed.Lying => rng.Sign() * rng.Uniform(0.4, 0.6), // its side is seen, not the disc alone
            _ => rng.Uniform(-0.12, 0.12),
        };
        var depth = !placed.Motion.Sideways();
        var heading =
            wobble
            + placed.Motion switch
            {
                Motion.RollRight or Motion.SlideRight => 0,
                Motion.RollLeft or Motion.SlideLeft => Math.PI,
                Motion.RollToward or Motion.SlideToward => -Math.PI / 2,
                _ => Math.PI / 2,
            };
        var way = new Point(Math.Cos(heading), 0, -Math.Sin(heading));
        var distance = Reach(ref rng, stage) * (depth ? Math.Max(2.7, 1.4 * stage.Width) : stage.Width);
        var seconds = placed.Then == FollowUp.None ? stage.Duration : rng.Uniform(0.32, 0.5) * stage.Duration;
        if (placed.Then != FollowUp.None)
            distance *= 0.8;
        var speed = distance / Math.Max(seconds + (placed.Then == FollowUp.None ? 0 : 0.15), 0.01);
        var middle = depth ? placed.Start with { Z = -0.4 } : placed.Start;
        return placed with
        {
            Start = middle - way * (0.5 * distance),
            Velocity = way * speed,
            Yaw = placed.Round && placed.Shape != Shape.Ball ? heading : placed.Yaw,
            Drag = rng.Uniform(0, 0.2) * speed / Math.Max(0.5, stage.Duration),
            ThenAt = seconds,
            SpinRate = placed.Then == FollowUp.StopAndSpin ? SpinRate(ref rng, stage) : 0,
            JumpSpeed = placed.Then == FollowUp.StopAndJump ? Math.Sqrt(2 * Simulation.Gravity * rng.Uniform(0.25, 0.4)) : 0,
            JumpPause = 0.25,
        };
    }

    /// <summary>Moves the first two objects to where they meet, pass or circle.</summary>
    private static void Interact(ref Rng rng, Stage stage, SceneObject[] objects)
    {
        var (a, b) = (objects[0], objects[1]);
        var direction = Math.Sign(a.Velocity.X);
        switch (stage.Interaction)
        {
            case Interaction.Collide:
                a = Straight(a, rng.Uniform(-0.06, 0.06));
                a = a with { Velocity = a.Velocity * rng.Uniform(1.1, 1.4) };
                b = b with { Yaw = rng.Uniform(-0.06, 0.06) };
                b = b with { Start = new Point(direction * rng.Uniform(0, 0.13) * stage.Width, b.RestHeight, a.Start.Z) };
                var gap = a.Velocity.Length * stage.Duration * rng.Uniform(0.35, 0.55);
                var touch = Simulation.ContactDistance(a, b);
                a = a with { Start = a.Start with { X = b.Start.X - direction * (touch + gap) }, Drag = 0 };
                break;
            case Interaction.PassBehind:
                // Face on, a cube looks like a cylinder and a pyramid like a cone.
                a = Straight(a, rng.Sign() * rng.Uniform(0.28, 0.4));
                // What rolls straight by shows its disc alone.
                var slope = a.Lying ? rng.Sign() * rng.Uniform(0.22, 0.34) : 0;
                b = b with { Start = new Point(rng.Uniform(-0.03, 0.03) * stage.Width, b.RestHeight, rng.Uniform(0.2, 0.3)) };
                var depth = rng.Uniform(0.35, 0.5);
                var room = (stage.Width * (Distance + depth) / Distance) - (2 * a.Solid.Reach);
                var way = Math.Min(room, Math.Max(Math.Abs(a.Velocity.X) * stage.Duration, 2.6 * (a.Solid.Reach + b.Solid.MaxReach)));
                var step = new Point(direction * way, 0, slope * way);
                a = a with
                {
                    Start = new Point(b.Start.X, a.RestHeight, -depth) - step * 0.5,
                    Velocity = step * (1 / Math.Max(stage.Duration, 0.25)),
                    Yaw = a.Lying ? Math.Atan2(-step.Z, step.X) : a.Yaw,
                    Drag = 0,
                };
                break;
            default:
                b = b with { Start = new Point(rng.Uniform(-0.1, 0.1) * stage.Width, b.RestHeight, rng.Uniform(-0.1, 0.1)) };
                var arm = (a.Start - a.OrbitCentre).Normalised;
                var radius = a.Solid.MaxReach + b.Solid.MaxReach + rng.Uniform(0.06, 0.16);
                a = a with { OrbitCentre = b.Start, Start = (b.Start + arm * radius) with { Y = a.RestHeight } };
                break;
        }
        (objects[0], objects[1]) = (a, b);
    }

    /// <summary>The same object, moving exactly sideways.</summary>
    private static SceneObject Straight(SceneObject o, double yaw)
    {
        var velocity = new Point(Math.Sign(o.Velocity.X) * o.Velocity.Length, 0, 0);
        return o with { Velocity = velocity, Yaw = o.Lying || o.Shape == Shape.Ring ? 0 : yaw };
    }
}
