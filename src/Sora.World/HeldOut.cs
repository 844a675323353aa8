namespace Sora.World;

/// <summary>
/// Which scenes training must never show. The rule looks at combinations of labels only, so that every single
/// attribute and nearly every pair is common in training. It treats left and right alike: a mirrored training
/// scene is a training scene.
/// </summary>
public static class HeldOut
{
    /// <summary>
    /// True when an object has a held-out pair of colour and shape or triple of shape, motion and ground, or the scene
    /// a held-out triple of ground, sky and camera move.
    /// </summary>
    public static bool Contains(Scene scene)
    {
        if (Contains(scene.Ground, scene.Sky, scene.Camera.Move))
            return true;
        foreach (var o in scene.Objects)
            if (Contains(o.Colour, o.Shape) || Contains(o.Shape, o.Motion, scene.Ground))
                return true;
        return false;
    }

    /// <summary>
    /// One colour of ten for each shape: green balls, purple cubes, black cylinders, yellow cones, blue rings, white pyramids.
    /// </summary>
    internal static bool Contains(Colour colour, Shape shape) => (int)colour == (3 * (int)shape + 3) % 10;

    /// <summary>One combination of ten, spread evenly over each label.</summary>
    internal static bool Contains(Shape shape, Motion motion, Ground ground) =>
        ((int)shape + 3 * Undirected(motion) + 7 * (int)ground) % 10 == 6;

    /// <summary>One combination of ten, spread evenly over each label.</summary>
    internal static bool Contains(Ground ground, Sky sky, CameraMove move) => ((int)ground + 3 * (int)sky + 7 * Undirected(move)) % 10 == 6;

    private static int Undirected(Motion motion) => Math.Min((int)motion, (int)motion.Mirror());

    private static int Undirected(CameraMove move) => Math.Min((int)move, (int)move.Mirror());
}
