namespace Sora.World;

/// <summary>
/// Whether a placed scene is a good picture of its labels: objects in view and apart at the start, motion in view,
/// nothing touching that should not, and relations that hold.
/// </summary>
internal static class Composition
{
    /// <summary>Least and greatest height of an object at the start, as a part of the frame's.</summary>
    private const double Smallest = 1.0 / 6.2,
        Largest = 0.52;

    /// <summary>Judges a scene by its simulation.</summary>
    public static bool Accepts(Scene scene, SceneOptions options)
    {
        if (!StartsWell(scene, options.Aspect))
            return false;
        var simulation = Simulation.Run(scene, options.Frames, options.Fps);
        if (!StaysInView(scene, simulation, options))
            return false;
        if (scene.Interaction == Interaction.Collide)
            return MeetsInTime(scene, simulation);
        if (!StayApart(scene, simulation))
            return false;
        return scene.Interaction != Interaction.PassBehind || IsHidden(scene, simulation, options);
    }

    /// <summary>The relations of the first object to the second, and of the third to one of them, where they are clear.</summary>
    public static IReadOnlyList<Relationship> Relations(Scene scene)
    {
        var found = new List<Relationship>();
        for (var i = 1; i < scene.Objects.Count; i++)
        {
            var (subject, reference) = i == 1 ? (0, 1) : (2, 0);
            if (Relate(scene, subject, reference) is { } relation)
                found.Add(new Relationship(subject, relation, reference));
        }
        return found;
    }

    /// <summary>How the first is placed with respect to the second at the start, or null when it is in between.</summary>
    internal static Relation? Relate(Scene scene, int subject, int reference)
    {
        var camera = scene.Camera.At(0);
        var (a, b) = (scene.Objects[subject], scene.Objects[reference]);
        var offset = a.Start - b.Start;
        var sideways = Point.Dot(offset, camera.Right);
        var depth = Point.Dot(offset with { Y = 0 }, (camera.Forward with { Y = 0 }).Normalised);
        var reach = a.Solid.Reach + b.Solid.Reach;
        if (Math.Abs(sideways) > 0.9 * reach && Math.Abs(sideways) > 1.2 * Math.Abs(depth))
            return sideways < 0 ? Relation.LeftOf : Relation.RightOf;
        if (Math.Abs(depth) > 0.4 && Math.Abs(sideways) < 0.9 * reach)
            return depth < 0 ? Relation.InFrontOf : Relation.Behind;
        return null;
    }

    /// <summary>An object's circle in the picture: centre and radius in half frame heights.</summary>
    private static (double X, double Y, double Radius) Circle(CameraPose camera, SceneObject o, Point centre)
    {
        var (x, y, depth) = camera.Project(centre, 1);
        return (x, y, (o.Lying ? o.Solid.Radius : o.Solid.HalfHeight) / (depth * camera.HalfHeight));
    }

    private static bool StartsWell(Scene scene, double aspect)
    {
        var camera = scene.Camera.At(0);
        var circles = scene.Objects.Select(o => Circle(camera, o, o.Start)).ToArray();
        for (var i = 0; i < circles.Length; i++)
        {
            var (x, y, radius) = circles[i];
            if (radius < Smallest * Math.Min(1, aspect / 0.8) || radius > Largest)
                return false;
            if (Math.Abs(x) + 0.55 * radius > aspect || Math.Abs(y) + 0.55 * radius > 1)
                return false;
            for (var j = 0; j < i; j++)
            {
                var (a, b) = (scene.Objects[i], scene.Objects[j]);
                var apart = ((a.Start - b.Start) with { Y = 0 }).Length;
                if (scene.Interaction != Interaction.Collide && apart < a.Solid.MaxReach + b.Solid.MaxReach)
                    return false;
                var (dx, dy) = (x - circles[j].X, y - circles[j].Y);
                var limit = scene.Interaction == Interaction.Circle ? 0.3 : 0.85;
                if (Math.Sqrt(dx * dx + dy * dy) < limit * (radius + circles[j].Radius))
                    return false;
            }
        }
        return true;
    }

    /// <summary>Short clips keep every object's centre in the frame; long ones for two thirds of the time.</summary>
    private static bool StaysInView(Scene scene, Simulation simulation, SceneOptions options)
    {
        var needed = options.Duration <= 0.75 ? 1.0 : 0.67;
        for (var i = 0; i < scene.Objects.Count; i++)
        {
            var seen = 0;
            for (var frame = 0; frame < simulation.Frames; frame++)
            {
                var camera = scene.Camera.At(frame / options.Fps);
                var (x, y, depth) = camera.Project(simulation.At(frame, i).Position, options.Aspect);
                if (depth < 1)
                    return false;
                if (Math.Abs(x) < 0.97 && Math.Abs(y) < 1)
                    seen++;
            }
            if (seen < needed * simulation.Frames)
                return false;
        }
        return true;
    }

    private static bool MeetsInTime(Scene scene, Simulation simulation) =>
        simulation.Contacts.Count > 0
        && simulation.Contacts[0] is { First: 0, Second: 1 } contact
        && contact.Seconds > 0.25 * scene.Duration
        && contact.Seconds < 0.7 * scene.Duration;

    private static bool StayApart(Scene scene, Simulation simulation)
    {
        if (simulation.Contacts.Count > 0)
            return false;
        for (var frame = 0; frame < simulation.Frames; frame++)
        for (var i = 1; i < scene.Objects.Count; i++)
        for (var j = 0; j < i; j++)
        {
            var between = (simulation.At(frame, i).Position - simulation.At(frame, j).Position) with { Y = 0 };
            if (between.Length < scene.Objects[i].Solid.MaxReach + scene.Objects[j].Solid.MaxReach)
                return false;
        }
        return true;
    }

    /// <summary>Where an object's middle is in the picture and half its width, in half frame heights.</summary>
    private static (double X, double Half) Width(CameraPose camera, SceneObject o, Pose pose)
    {
        var (x, _, depth) = camera.Project(pose.Position, 1);
        return (x, o.Across / (depth * camera.HalfHeight));
    }

    /// <summary>The first object is behind the second in some frame, and beside it, in view, in the first and the last.</summary>
    private static bool IsHidden(Scene scene, Simulation simulation, SceneOptions options)
    {
        var (hidden, last) = (false, simulation.Frames - 1);
        for (var frame = 0; frame <= last; frame++)
        {
            var camera = scene.Camera.At(frame / options.Fps);
            var (a, b) = (
                Width(camera, scene.Objects[0], simulation.At(frame, 0)),
                Width(camera, scene.Objects[1], simulation.At(frame, 1))
            );
            var apart = Math.Abs(a.X - b.X);
            if ((frame == 0 || frame == last) && (apart < a.Half + b.Half || Math.Abs(a.X) + (0.8 * a.Half) > options.Aspect))
                return false;
            hidden |= apart < 0.5 * b.Half;
        }
        return hidden;
    }
}
