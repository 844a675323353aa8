namespace Sora.World;

/// <summary>What kind of scene to draw.</summary>
public sealed record SceneOptions
{
    /// <summary>Frames a second of the world, unless a caller renders at another rate.</summary>
    public const double DefaultFps = 16;

    /// <summary>Which part of the space of scenes to draw from.</summary>
    public Split Split { get; init; } = Split.Train;

    /// <summary>At most this many objects, 1 to 3.</summary>
    public int MaxObjects { get; init; } = 3;

    /// <summary>Frames of the clip; motions are paced so that this many frames show them. 1 is a still.</summary>
    public int Frames { get; init; } = 9;

    /// <summary>Frames a second.</summary>
    public double Fps { get; init; } = DefaultFps;

    /// <summary>Width over height of the picture, between 0.5 and 2: objects are placed to fit it, so render at the same.</summary>
    public double Aspect { get; init; } = 1;

    /// <summary>This many objects exactly; null draws one (55 %), two (35 %) or three (10 %).</summary>
    public int? Count { get; init; }

    /// <summary>The first object's shape; null, here and below, leaves it to chance.</summary>
    public Shape? Shape { get; init; }

    /// <summary>The first object's colour.</summary>
    public Colour? Colour { get; init; }

    /// <summary>The first object's size.</summary>
    public ObjectSize? Size { get; init; }

    /// <summary>The first object's motion.</summary>
    public Motion? Motion { get; init; }

    /// <summary>What the first object does afterwards.</summary>
    public FollowUp? Then { get; init; }

    /// <summary>The ground.</summary>
    public Ground? Ground { get; init; }

    /// <summary>The sky.</summary>
    public Sky? Sky { get; init; }

    /// <summary>The camera's move.</summary>
    public CameraMove? Camera { get; init; }

    /// <summary>What two objects have to do with each other.</summary>
    public Interaction? Interaction { get; init; }

    internal double Duration => (Frames - 1) / Fps;
}

/// <summary>Draws scenes: labels first, then places and speeds with which the labels are true and the picture is good.</summary>
public static class SceneSampler
{
    private const int PlotTries = 40;
    private const int LabelTries = 80;
    private const int PlacementTries = 40;

    private static readonly double[] Counts = [0.55, 0.35, 0.10];
    private static readonly Motion[] InPlace = [Motion.Still, Motion.Bounce, Motion.Jump, Motion.Spin, Motion.Fall];

    /// <summary>
    /// Draws a scene. The same generator and options give the same scene.
    /// </summary>
    /// <exception cref="SoraException">The wishes in <paramref name="options"/> contradict each other.</exception>
    public static Scene Draw(Rng rng, SceneOptions options)
    {
        for (var i = 0; i < PlotTries; i++)
        {
            // The number of objects stays while labels are tried, else crowded scenes would be rarer than meant.
            var interaction = options.Interaction;
            var count = options.Count ?? 1 + rng.Weighted(Counts.AsSpan(0, Math.Clamp(options.MaxObjects, 1, 3)));
            interaction ??= DrawInteraction(ref rng, count, options);
            if (interaction != Interaction.None)
                count = Math.Max(count, 2);
            for (var j = 0; j < LabelTries; j++)
            {
                var draft = Draft.Draw(ref rng, options, count, interaction.Value);
                if (draft != null && InSplit(draft, options.Split) && Place(ref rng, draft, options) is { } scene)
                    return scene;
            }
        }
        throw SoraException.Failed(
            $"no scene of the synthetic world fits these options: {options}",
            "ask for fewer attributes, or another split"
        );
    }

    private static Scene? Place(ref Rng rng, Draft draft, SceneOptions options)
    {
        for (var i = 0; i < PlacementTries; i++)
        {
            var scene = Choreography.Place(ref rng, draft, options);
            if (Composition.Accepts(scene, options))
                return scene with { Relations = Composition.Relations(scene) };
        }
        return null;
    }

    private static Interaction DrawInteraction(ref Rng rng, int count, SceneOptions options)
    {
        if (count != 2 || options.Frames < 9 || !rng.Chance(0.4))
            return Interaction.None;
        return (Interaction)(1 + rng.Weighted([0.3, 0.55, 0.15]));
    }

    /// <summary>Motions that a shape can do.</summary>
    internal static bool Can(Shape shape, Motion motion) =>
        motion switch
        {
            Motion.RollLeft or Motion.RollRight => shape is Shape.Ball or Shape.Ring or Shape.Cylinder,
            Motion.RollToward or Motion.RollAway => shape is Shape.Ball or Shape.Cylinder, // a ring would be seen edge-on
            Motion.SlideLeft or Motion.SlideRight or Motion.SlideToward or Motion.SlideAway => shape is not (Shape.Ball or Shape.Ring),
            _ => true,
        };

    private static bool InSplit(Draft draft, Split split) =>
        split switch
        {
            Split.Train => !draft.HeldOut,
            Split.HeldOut => draft.HeldOut,
            _ => true,
        };

    /// <summary>A scene's labels, before places and speeds.</summary>
    internal sealed record Draft(IReadOnlyList<DraftObject> Objects, Ground Ground, Sky Sky, CameraMove Camera, Interaction Interaction)
    {
        public bool HeldOut =>
            World.HeldOut.Contains(Ground, Sky, Camera)
            || Objects.Any(o => World.HeldOut.Contains(o.Colour, o.Shape) || World.HeldOut.Contains(o.Shape, o.Motion, Ground));

        /// <summary>Draws labels, or null when they don't go together.</summary>
        public static Draft? Draw(ref Rng rng, SceneOptions options, int count, Interaction interaction)
        {
            var objects = new DraftObject[count];
            for (var i = 0; i < count; i++)
            {
                var drawn =
                    i == 0 ? DrawFirst(ref rng, options, interaction) : DrawOther(ref rng, objects.AsSpan(0, i), options, interaction);
                if (drawn == null)
                    return null;
                objects[i] = drawn;
            }
            if (interaction == Interaction.PassBehind && objects[0].Size >= objects[1].Size)
                return null;

            var camera = options.Frames == 1 ? CameraMove.Static : options.Camera ?? DrawCamera(ref rng, interaction);
            return new Draft(objects, options.Ground ?? (Ground)rng.Below(7), options.Sky ?? (Sky)rng.Below(5), camera, interaction);
        }

        private static DraftObject? DrawFirst(ref Rng rng, SceneOptions options, Interaction interaction)
        {
            var shape = options.Shape ?? (Shape)rng.Below(6);
            var still = options.Frames == 1;
            var motion = options.Motion ?? (still ? Motion.Still : DrawMotion(ref rng, shape, interaction));
            if (!Can(shape, motion))
                return null;
            if (interaction is Interaction.Collide or Interaction.PassBehind && !motion.Sideways())
                return null;
            if (interaction == Interaction.Circle && motion != Motion.Orbit)
                return null;
            if (interaction == Interaction.Collide && shape is not (Shape.Ball or Shape.Cube or Shape.Cylinder))
                return null;

            var then = options.Then ?? DrawFollowUp(ref rng, motion, interaction, options.Duration);
            return new DraftObject(shape, options.Colour ?? (Colour)rng.Below(10), options.Size ?? (ObjectSize)rng.Below(3), motion, then);
        }

        private static DraftObject? DrawOther(ref Rng rng, ReadOnlySpan<DraftObject> others, SceneOptions options, Interaction interaction)
        {
            var shape = (Shape)rng.Below(6);
            var colour = (Colour)rng.Below(10);
            foreach (var other in others)
                if (other.Colour == colour)
                    return null; // captions tell objects apart by colour
            var size = (ObjectSize)rng.Below(3);
            if (interaction == Interaction.Collide && shape is not (Shape.Ball or Shape.Cube or Shape.Cylinder))
                return null;
            if (interaction == Interaction.PassBehind && shape is Shape.Ring or Shape.Cone or Shape.Pyramid)
                return null;
            var motion = interaction != Interaction.None || options.Frames == 1 || rng.Chance(0.55) ? Motion.Still : rng.Pick(InPlace);
            return new DraftObject(shape, colour, size, motion, FollowUp.None);
        }

        private static Motion DrawMotion(ref Rng rng, Shape shape, Interaction interaction)
        {
            if (interaction == Interaction.Circle)
                return Motion.Orbit;
            var rolls = Can(shape, Motion.RollLeft) && (!Can(shape, Motion.SlideLeft) || rng.Chance(0.4));
            var left = rolls ? Motion.RollLeft : Motion.SlideLeft;
            var toward = rolls ? Motion.RollToward : Motion.SlideToward;
            var side = rng.Below(2);
            if (interaction != Interaction.None)
                return left + side;
            return rng.Weighted([0.09, 0.28, 0.20, 0.11, 0.08, 0.08, 0.09, 0.07]) switch
            {
                0 => Motion.Still,
                1 => left + side,
                2 => Can(shape, toward) ? toward + side : left + side,
                3 => Motion.Bounce,
                4 => Motion.Fall,
                5 => Motion.Jump,
                6 => Motion.Spin,
                _ => Motion.Orbit,
            };
        }

        private static FollowUp DrawFollowUp(ref Rng rng, Motion motion, Interaction interaction, double duration)
        {
            if (!motion.Travels() || interaction != Interaction.None || duration < 0.75 || !rng.Chance(0.3))
                return FollowUp.None;
            return duration < 1.5 ? FollowUp.Stop : (FollowUp)(1 + rng.Weighted([0.5, 0.3, 0.2]));
        }

        private static CameraMove DrawCamera(ref Rng rng, Interaction interaction)
        {
            if (interaction == Interaction.PassBehind && rng.Chance(0.6))
                return CameraMove.Static;
            return (CameraMove)rng.Weighted([0.2, 0.1, 0.1, 0.09, 0.09, 0.12, 0.12, 0.09, 0.09]);
        }
    }

    /// <summary>One object's labels.</summary>
    internal sealed record DraftObject(Shape Shape, Colour Colour, ObjectSize Size, Motion Motion, FollowUp Then);
}
