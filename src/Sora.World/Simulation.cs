using System.Numerics;

namespace Sora.World;

/// <summary>Where an object is and how it is turned.</summary>
/// <param name="Position">Its centre in metres.</param>
/// <param name="Orientation">Rotation from the object's own axes to the world's.</param>
public readonly record struct Pose(Point Position, Quaternion Orientation);

/// <summary>Two objects (indices) that touched, and when, in seconds.</summary>
public readonly record struct Contact(double Seconds, int First, int Second);

/// <summary>
/// The motion of a scene's objects: free fall with restitution, rolling without slipping, drag on the ground, and
/// impulses between objects that run into each other. Flight is integrated exactly (constant acceleration), and the
/// moments of touching are solved for, not rounded to steps.
/// </summary>
public sealed class Simulation
{
    /// <summary>Gravity in metres a second squared.</summary>
    public const double Gravity = 9.81;

    /// <summary>The part of the closing speed that two objects part with.</summary>
    public const double ContactRestitution = 0.8;

    private const double Step = 1.0 / 128;
    private readonly Body[] bodies;
    private readonly Pose[][] poses;
    private readonly Point[][] velocities;
    private readonly List<Contact> contacts = [];

    private Simulation(Scene scene, int frames, double fps)
    {
        bodies = [.. scene.Objects.Select(o => new Body(o))];
        poses = new Pose[frames][];
        velocities = new Point[frames][];
        double now = 0;
        for (var frame = 0; frame < frames; frame++)
        {
            var until = frame / fps;
            while (until - now > 1e-9)
            {
                var step = Math.Min(Step, until - now);
                Advance(now, step);
                now += step;
            }
            poses[frame] = [.. bodies.Select(b => b.Pose)];
            velocities[frame] = [.. bodies.Select(b => b.Velocity)];
        }
    }

    /// <summary>How many frames were simulated.</summary>
    public int Frames => poses.Length;

    /// <summary>Every contact between two objects, in order of time.</summary>
    public IReadOnlyList<Contact> Contacts => contacts;

    /// <summary>Simulates a scene and keeps every frame's state; frame 0 is the start.</summary>
    public static Simulation Run(Scene scene, int frames, double fps) => new(scene, frames, fps);

    /// <summary>Where an object is in a frame.</summary>
    public Pose At(int frame, int index) => poses[frame][index];

    /// <summary>An object's velocity in a frame, in metres a second.</summary>
    public Point Velocity(int frame, int index) => velocities[frame][index];

    private void Advance(double now, double step)
    {
        foreach (var body in bodies)
            body.Advance(now, step);
        for (var i = 0; i < bodies.Length; i++)
        for (var j = i + 1; j < bodies.Length; j++)
            if (Collide(bodies[i], bodies[j], step) is { } back)
                contacts.Add(new Contact(now + step - back, i, j));
    }

    /// <summary>
    /// Lets two bodies that overlap and approach exchange an impulse along the horizontal line between their centres:
    /// momentum is kept, and they part with <see cref="ContactRestitution"/> of the speed at which they met. Returns how
    /// long ago they touched, in seconds, or null when they did not.
    /// </summary>
    private static double? Collide(Body a, Body b, double step)
    {
        if (Math.Abs(a.Position.Y - b.Position.Y) > a.Solid.HalfHeight + b.Solid.HalfHeight)
            return null;
        var between = (b.Position - a.Position) with { Y = 0 };
        var distance = between.Length;
        var overlap = ContactDistance(a, b) - distance;
        if (overlap <= 0 || distance == 0)
            return null;
        var normal = between * (1 / distance);
        var closing = Point.Dot(a.Velocity - b.Velocity, normal);
        if (closing <= 0)
            return null;

        var back = Math.Min(overlap / closing, step); // to where they touched
        a.Shift(-back);
        b.Shift(-back);
        var impulse = (1 + ContactRestitution) * closing / (1 / a.Mass + 1 / b.Mass);
        a.Push(normal * (-impulse / a.Mass));
        b.Push(normal * (impulse / b.Mass));
        a.Shift(back);
        b.Shift(back);
        return back;
    }

    /// <summary>The horizontal distance of two centres at which the solids touch.</summary>
    internal static double ContactDistance(SceneObject a, SceneObject b)
    {
        if (a.Shape == Shape.Ball && b.Shape == Shape.Ball) // spheres of two sizes on one plane
            return 2 * Math.Sqrt(a.Solid.Radius * b.Solid.Radius);
        if (a.Shape == Shape.Ball)
            return b.Solid.Reach + BallReach(a.Solid.Radius, 2 * b.Solid.HalfHeight);
        if (b.Shape == Shape.Ball)
            return a.Solid.Reach + BallReach(b.Solid.Radius, 2 * a.Solid.HalfHeight);
        return a.Solid.Reach + b.Solid.Reach;
    }

    private static double ContactDistance(Body a, Body b) => ContactDistance(a.Source, b.Source);

    /// <summary>How far a ball's centre stays from a wall of a given height: its radius, or less over a low edge.</summary>
    private static double BallReach(double radius, double wall)
    {
        var above = Math.Max(0, radius - wall);
        return Math.Sqrt(radius * radius - above * above);
    }

    private sealed class Body
    {
        private Quaternion orientation;
        private double drag;
        private double spin;
        private double nextJump;
        private bool followed;

        public Body(SceneObject source)
        {
            Source = source;
            Solid = source.Solid;
            Mass = Solid.Volume;
            Position = source.Start;
            Velocity = source.Velocity;
            drag = source.Drag;
            spin = source.SpinRate;
            nextJump = source.Motion == Motion.Jump ? source.JumpPause : double.PositiveInfinity;
            orientation = Quaternion.CreateFromAxisAngle(Vector3.UnitY, (float)source.Yaw);
            if (source.Lying) // its axis, along y when it stands, goes to z, across the way it rolls
                orientation *= Quaternion.CreateFromAxisAngle(Vector3.UnitX, MathF.PI / 2);
            if (source.Motion == Motion.Orbit)
                Circle(0);
            if (source.Then != FollowUp.None && source.Motion.Travels())
            {
                var speed = (Velocity with { Y = 0 }).Length;
                StopDrag = speed / StopSeconds;
            }
        }

        /// <summary>How long it takes to stop, once it begins to.</summary>
        private const double StopSeconds = 0.3;

        /// <summary>Below this upward speed, in metres a second, an object that lands stays down.</summary>
        private const double RestSpeed = 0.15;

        public SceneObject Source { get; }

        public Solid Solid { get; }

        public double Mass { get; }

        public Point Position { get; private set; }

        public Point Velocity { get; private set; }

        private double StopDrag { get; }

        public Pose Pose => new(Position, orientation);

        private bool Grounded => Velocity.Y == 0 && Position.Y <= Source.RestHeight + 1e-9;

        public void Shift(double seconds) => Position += (Velocity with { Y = 0 }) * seconds;

        public void Push(Point change) => Velocity += change;

        public void Advance(double now, double step)
        {
            if (Source.Motion == Motion.Orbit)
            {
                var before = Position;
                Circle(now + step);
                Turn(before, step);
                return;
            }
            Follow(now);
            if (Grounded && now >= nextJump)
                Velocity = Velocity with { Y = Source.JumpSpeed };
            var start = Position;
            Glide(step);
            if (!Grounded)
                Fly(now, step);
            Turn(start, step);
        }

        /// <summary>Moves along the ground; drag acts only where there is ground underneath.</summary>
        private void Glide(double step)
        {
            var level = Velocity with { Y = 0 };
            var speed = level.Length;
            if (speed == 0)
                return;
            var drag = Grounded ? this.drag : 0;
            var moving = drag > 0 ? Math.Min(step, speed / drag) : step;
            Position += level * ((speed - 0.5 * drag * moving) / speed * moving);
            var left = Math.Max(0, speed - drag * step);
            Velocity = level * (left / speed) + new Point(0, Velocity.Y, 0);
        }

        /// <summary>Flies on a parabola and bounces where it meets the ground.</summary>
        private void Fly(double now, double step)
        {
            var rest = Source.RestHeight;
            double y = Position.Y,
                v = Velocity.Y,
                left = step;
            while (left > 0)
            {
                // Height rest is reached after `fall` seconds: y + v t - g t²/2 = rest.
                var fall = (v + Math.Sqrt(Math.Max(0, v * v + 2 * Gravity * (y - rest)))) / Gravity;
                if (fall > left)
                {
                    y += v * left - 0.5 * Gravity * left * left;
                    v -= Gravity * left;
                    break;
                }
                left -= fall;
                y = rest;
                v = Source.Restitution * (Gravity * fall - v);
                if (v < RestSpeed)
                {
                    v = 0;
                    if (!double.IsInfinity(nextJump))
                        nextJump = now + step + Source.JumpPause;
                    break;
                }
            }
            Position = Position with { Y = y };
            Velocity = Velocity with { Y = v };
        }

        private void Follow(double now)
        {
            if (Source.Then == FollowUp.None || now < Source.ThenAt || followed)
                return;
            drag = StopDrag;
            if ((Velocity with { Y = 0 }).Length > 0)
                return;
            followed = true;
            if (Source.Then == FollowUp.StopAndSpin)
                spin = Source.SpinRate;
            if (Source.Then == FollowUp.StopAndJump)
                nextJump = now;
        }

        /// <summary>Turns by what it rolled since <paramref name="before"/>, and by its own spin.</summary>
        private void Turn(Point before, double step)
        {
            if (Source.Round)
            {
                var way = (Position - before) with { Y = 0 };
                var length = way.Length;
                if (length > 0 && Grounded)
                {
                    var axis = new Vector3((float)(way.Z / length), 0, (float)(-way.X / length));
                    var radius = Source.Shape == Shape.Ring ? Solid.Radius + Solid.Tube : Solid.Radius;
                    Apply(axis, length / radius);
                }
            }
            var spins = Source.Motion == Motion.Spin || followed;
            if (spins && spin != 0)
                Apply(Vector3.UnitY, spin * step);
        }

        private void Apply(Vector3 axis, double angle) =>
            orientation = Quaternion.Normalize(Quaternion.CreateFromAxisAngle(axis, (float)angle) * orientation);

        private void Circle(double seconds)
        {
            var arm = (Source.Start - Source.OrbitCentre) with { Y = 0 };
            var (sin, cos) = Math.SinCos(Source.OrbitRate * seconds);
            var turned = new Point(arm.X * cos + arm.Z * sin, Source.Start.Y, -arm.X * sin + arm.Z * cos);
            Position = (Source.OrbitCentre with { Y = 0 }) + turned;
            Velocity = new Point(turned.Z, 0, -turned.X) * Source.OrbitRate;
        }
    }
}
