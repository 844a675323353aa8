namespace Sora.World;

/// <summary>What an object is.</summary>
public enum Shape
{
    /// <summary>A sphere.</summary>
    Ball,

    /// <summary>A cube that stands on a face.</summary>
    Cube,

    /// <summary>A cylinder: upright, or lying when it rolls.</summary>
    Cylinder,

    /// <summary>A cone that stands on its base.</summary>
    Cone,

    /// <summary>A torus that stands upright.</summary>
    Ring,

    /// <summary>A four-sided pyramid that stands on its base.</summary>
    Pyramid,
}

/// <summary>An object's colour.</summary>
public enum Colour
{
    /// <summary>Red.</summary>
    Red,

    /// <summary>Orange.</summary>
    Orange,

    /// <summary>Yellow.</summary>
    Yellow,

    /// <summary>Green.</summary>
    Green,

    /// <summary>Cyan, between green and blue.</summary>
    Cyan,

    /// <summary>Blue.</summary>
    Blue,

    /// <summary>Purple.</summary>
    Purple,

    /// <summary>Pink.</summary>
    Pink,

    /// <summary>White.</summary>
    White,

    /// <summary>Black.</summary>
    Black,
}

/// <summary>An object's size; its height is about two sevenths, three eighths or half of the frame's.</summary>
public enum ObjectSize
{
    /// <summary>About 0.34 m.</summary>
    Small,

    /// <summary>About 0.5 m.</summary>
    Medium,

    /// <summary>About 0.74 m.</summary>
    Large,
}

/// <summary>What the objects stand on.</summary>
public enum Ground
{
    /// <summary>Rippled sand.</summary>
    Sand,

    /// <summary>Grass.</summary>
    Grass,

    /// <summary>Snow.</summary>
    Snow,

    /// <summary>Shallow water with moving ripples.</summary>
    Water,

    /// <summary>Wooden planks.</summary>
    Wood,

    /// <summary>Grey stone tiles.</summary>
    Stone,

    /// <summary>A checkered floor.</summary>
    Checker,
}

/// <summary>Sky and light.</summary>
public enum Sky
{
    /// <summary>A clear blue day.</summary>
    Clear,

    /// <summary>Sunset: orange light, long shadows.</summary>
    Sunset,

    /// <summary>A night with stars and moonlight.</summary>
    Night,

    /// <summary>Grey clouds, soft light.</summary>
    Overcast,

    /// <summary>Dawn: a pink and lavender sky.</summary>
    Dawn,
}

/// <summary>What an object does; left, right, toward and away are the camera's, at the start of the clip.</summary>
public enum Motion
{
    /// <summary>Stays where it is.</summary>
    Still,

    /// <summary>Rolls to the left.</summary>
    RollLeft,

    /// <summary>Rolls to the right.</summary>
    RollRight,

    /// <summary>Rolls toward the camera.</summary>
    RollToward,

    /// <summary>Rolls away from the camera.</summary>
    RollAway,

    /// <summary>Slides to the left.</summary>
    SlideLeft,

    /// <summary>Slides to the right.</summary>
    SlideRight,

    /// <summary>Slides toward the camera.</summary>
    SlideToward,

    /// <summary>Slides away from the camera.</summary>
    SlideAway,

    /// <summary>Drops and bounces up and down.</summary>
    Bounce,

    /// <summary>Falls from above, lands and stays.</summary>
    Fall,

    /// <summary>Jumps up from the ground, and lands again.</summary>
    Jump,

    /// <summary>Turns around its vertical axis.</summary>
    Spin,

    /// <summary>Goes around in a circle, or around another object.</summary>
    Orbit,
}

/// <summary>What an object that rolls or slides does after a while.</summary>
public enum FollowUp
{
    /// <summary>It goes on.</summary>
    None,

    /// <summary>It stops.</summary>
    Stop,

    /// <summary>It stops and spins.</summary>
    StopAndSpin,

    /// <summary>It stops and jumps.</summary>
    StopAndJump,
}

/// <summary>What the camera does.</summary>
public enum CameraMove
{
    /// <summary>Nothing.</summary>
    Static,

    /// <summary>Turns to the left: things move right in the picture.</summary>
    PanLeft,

    /// <summary>Turns to the right.</summary>
    PanRight,

    /// <summary>Turns upward.</summary>
    TiltUp,

    /// <summary>Turns downward.</summary>
    TiltDown,

    /// <summary>Narrows its field of view.</summary>
    ZoomIn,

    /// <summary>Widens its field of view.</summary>
    ZoomOut,

    /// <summary>Moves to its left around the scene, which stays in the middle.</summary>
    OrbitLeft,

    /// <summary>Moves to its right around the scene, which stays in the middle.</summary>
    OrbitRight,
}

/// <summary>Where one object is with respect to another, seen from the camera at the start of the clip.</summary>
public enum Relation
{
    /// <summary>To the left of it.</summary>
    LeftOf,

    /// <summary>To the right of it.</summary>
    RightOf,

    /// <summary>Nearer to the camera.</summary>
    InFrontOf,

    /// <summary>Farther from the camera.</summary>
    Behind,
}

/// <summary>What the first two objects have to do with each other.</summary>
public enum Interaction
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The first runs into the second.</summary>
    Collide,

    /// <summary>The first passes behind the second, is hidden for a while and comes out again.</summary>
    PassBehind,

    /// <summary>The first circles around the second.</summary>
    Circle,
}

/// <summary>Which part of the space of scenes to draw from.</summary>
public enum Split
{
    /// <summary>Scenes for training: never one that <see cref="HeldOut.Contains(Scene)"/> names.</summary>
    Train,

    /// <summary>Scenes with a combination of attributes that training never shows.</summary>
    HeldOut,

    /// <summary>Any scene.</summary>
    Any,
}
