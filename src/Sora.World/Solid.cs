namespace Sora.World;

/// <summary>
/// The dimensions of a shape in metres. Its local origin is half-way up, the y axis is the axis of cylinder, cone
/// and pyramid, and the z axis that of the ring.
/// </summary>
/// <param name="Shape">The shape.</param>
/// <param name="Radius">Ball, cylinder, cone: radius. Cube, pyramid: half the edge of the base. Ring: the circle's.</param>
/// <param name="HalfHeight">Half of the height when it stands.</param>
/// <param name="Tube">The radius of the ring's tube, else 0.</param>
/// <param name="Bound">Radius of a sphere around the origin that contains the solid.</param>
internal readonly record struct Solid(Shape Shape, double Radius, double HalfHeight, double Tube, double Bound)
{
    public static Solid Of(Shape shape, double scale) =>
        shape switch
        {
            Shape.Ball => new(shape, 0.5 * scale, 0.5 * scale, 0, 0.5 * scale),
            Shape.Cube => Boxed(shape, 0.42 * scale, 0.42 * scale, Math.Sqrt(2)),
            Shape.Cylinder => Boxed(shape, 0.37 * scale, 0.5 * scale, 1),
            Shape.Cone => Boxed(shape, 0.45 * scale, 0.54 * scale, 1),
            Shape.Ring => new(shape, 0.38 * scale, 0.5 * scale, 0.12 * scale, 0.5 * scale),
            Shape.Pyramid => Boxed(shape, 0.5 * scale, 0.42 * scale, Math.Sqrt(2)),
            _ => throw new ArgumentOutOfRangeException(nameof(shape)),
        };

    private static Solid Boxed(Shape shape, double radius, double halfHeight, double corner) =>
        new(shape, radius, halfHeight, 0, Math.Sqrt(radius * corner * radius * corner + halfHeight * halfHeight));

    /// <summary>Volume in cubic metres; with a density of one it is the mass.</summary>
    public double Volume =>
        Shape switch
        {
            Shape.Ball => 4.0 / 3 * Math.PI * Radius * Radius * Radius,
            Shape.Cube => 8 * Radius * Radius * Radius,
            Shape.Cylinder => Math.PI * Radius * Radius * 2 * HalfHeight,
            Shape.Cone => Math.PI / 3 * Radius * Radius * 2 * HalfHeight,
            Shape.Ring => 2 * Math.PI * Math.PI * Radius * Tube * Tube,
            _ => 8.0 / 3 * Radius * Radius * HalfHeight,
        };

    /// <summary>How far it reaches sideways from its vertical axis when it stands and is not turned, in metres.</summary>
    public double Reach => Shape == Shape.Ring ? Radius + Tube : Radius;

    /// <summary>How far it can reach sideways at most, however it is turned around the vertical.</summary>
    public double MaxReach => Shape is Shape.Cube or Shape.Pyramid ? Radius * Math.Sqrt(2) : Reach;
}
