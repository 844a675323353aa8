namespace Sora.World;

/// <summary>
/// What captions call things. The first entry of each list is the plain one, which canonical captions use.
/// </summary>
internal static class Words
{
    public static readonly string[][] Shapes =
    [
        ["ball", "sphere", "orb", "globe", "round ball"],
        ["cube", "box", "block", "crate"],
        ["cylinder", "drum", "can", "barrel", "tin"],
        ["cone"],
        ["ring", "torus", "donut", "hoop", "doughnut", "wheel"],
        ["pyramid"],
    ];

    public static readonly string[][] Colours =
    [
        ["red", "crimson", "scarlet", "ruby", "cherry red", "bright red"],
        ["orange", "tangerine", "amber", "bright orange"],
        ["yellow", "lemon yellow", "golden", "gold", "bright yellow"],
        ["green", "emerald", "lime", "bright green"],
        ["cyan", "turquoise", "teal", "aqua"],
        ["blue", "cobalt", "royal blue", "navy", "sapphire", "bright blue"],
        ["purple", "violet", "lilac", "indigo"],
        ["pink", "rose", "magenta", "bright pink"],
        ["white", "snow white", "ivory"],
        ["black", "jet black", "ebony"],
    ];

    public static readonly string[][] Sizes =
    [
        ["small", "little", "tiny", "mini", "very small"],
        ["medium", "medium sized", "mid sized", "average sized"],
        ["large", "big", "huge", "giant", "very large"],
    ];

    public static readonly string[][] Grounds =
    [
        ["on sand", "on the sand", "on a sandy beach", "on a beach", "over sand", "in the desert", "on sandy ground", "across the sand"],
        [
            "on grass",
            "on the grass",
            "on a lawn",
            "on a meadow",
            "over grass",
            "on a green field",
            "on grassy ground",
            "across the grass",
            "in the grass",
        ],
        ["on snow", "in the snow", "on the snow", "over snow", "on snowy ground", "on a snowy field", "across the snow"],
        ["on water", "on the water", "over water", "on a lake", "on the sea", "on rippling water"],
        ["on wood", "on a wooden floor", "on wooden planks", "on planks", "on wooden boards", "on a wood floor"],
        ["on stone", "on stone tiles", "on grey tiles", "on a stone floor", "on a tiled floor", "on paving stones"],
        ["on a checkered floor", "on a checkerboard", "on a chessboard floor", "on a checkered board", "on checkered tiles"],
    ];

    public static readonly string[][] Skies =
    [
        ["under a clear blue sky", "on a sunny day", "by day", "in daylight", "under a blue sky", "in bright sunshine", "at noon"],
        ["at sunset", "at dusk", "in the evening", "under a sunset sky", "in the evening light", "under an orange sky"],
        ["at night", "under the stars", "under a starry sky", "in the moonlight", "by night", "on a starry night", "in the dark"],
        [
            "under a cloudy sky",
            "under an overcast sky",
            "on a cloudy day",
            "under a grey sky",
            "on an overcast day",
            "under clouds",
            "under a gray sky",
        ],
        ["at dawn", "at sunrise", "in the early morning", "under a pink sky", "at daybreak", "in the pink light of dawn"],
    ];

    public static readonly string[][] Cameras =
    [
        ["the camera stays still", "static camera", "the camera does not move", "fixed camera", "the camera is still", "locked off shot"],
        ["the camera pans left", "pan left", "the camera turns left", "the camera pans to the left", "panning left"],
        ["the camera pans right", "pan right", "the camera turns right", "the camera pans to the right", "panning right"],
        ["the camera tilts up", "tilt up", "the camera looks up", "the camera tilts upward", "tilting up"],
        ["the camera tilts down", "tilt down", "the camera looks down", "the camera tilts downward", "tilting down"],
        [
            "the camera zooms in",
            "zoom in",
            "the camera pushes in",
            "the camera moves closer",
            "zooming in",
            "the camera closes in",
            "the camera dollies in",
            "push in",
            "close up",
        ],
        [
            "the camera zooms out",
            "zoom out",
            "the camera pulls back",
            "the camera pulls out",
            "zooming out",
            "the camera moves back",
            "the camera dollies out",
            "pull back",
        ],
        ["the camera orbits left", "orbit left", "the camera circles to the left", "the camera moves around to the left", "orbiting left"],
        [
            "the camera orbits right",
            "orbit right",
            "the camera circles to the right",
            "the camera moves around to the right",
            "orbiting right",
        ],
    ];

    public static readonly string[][] Motions =
    [
        ["stays still", "stands still", "rests", "does not move", "is at rest", "stands"],
        ["rolls left", "rolls to the left", "is rolling left", "rolls leftward", "goes rolling to the left"],
        ["rolls right", "rolls to the right", "is rolling right", "rolls rightward", "goes rolling to the right"],
        ["rolls toward the camera", "rolls toward us", "rolls closer", "is rolling toward the camera", "rolls toward the viewer"],
        ["rolls away", "rolls away from the camera", "rolls into the distance", "is rolling away", "rolls away from us"],
        [
            "slides left",
            "slides to the left",
            "is sliding left",
            "glides left",
            "glides to the left",
            "slides leftward",
            "moves left",
            "moves to the left",
            "travels left",
        ],
        [
            "slides right",
            "slides to the right",
            "is sliding right",
            "glides right",
            "glides to the right",
            "slides rightward",
            "moves right",
            "moves to the right",
            "travels right",
        ],
        [
            "slides toward the camera",
            "slides toward us",
            "slides closer",
            "glides toward the camera",
            "is sliding toward the viewer",
            "moves toward the camera",
            "comes closer",
        ],
        ["slides away", "slides away from the camera", "slides into the distance", "glides away", "is sliding away", "moves away"],
        ["bounces", "is bouncing", "bounces up and down", "drops and bounces", "keeps bouncing"],
        ["falls", "falls down", "drops to the ground", "is falling", "falls and lands", "drops down"],
        ["jumps", "jumps up", "hops", "is jumping", "leaps up", "hops up and down"],
        ["spins", "is spinning", "turns around", "rotates", "is rotating", "spins in place"],
        ["moves in a circle", "orbits", "circles around", "goes around in a circle", "goes in circles"],
    ];

    public static readonly string[][] FollowUps =
    [
        [],
        ["stops", "comes to a stop", "comes to rest", "halts"],
        ["stops and spins", "stops and rotates", "comes to a stop and spins"],
        ["stops and jumps", "stops and hops", "comes to a stop and jumps"],
    ];

    public static readonly string[][] Relations =
    [
        ["to the left of", "left of", "on the left of"],
        ["to the right of", "right of", "on the right of"],
        ["in front of", "before"],
        ["behind"],
    ];

    /// <summary>True of things side by side, whichever is left.</summary>
    public static readonly string[] Beside = ["next to", "beside"];

    public static readonly string[] Collides = ["and hits", "and bumps into", "into", "and collides with", "and knocks into"];

    public static readonly string[] Passes = ["behind", "and passes behind"];

    public static readonly string[] Circles = ["circles around", "orbits", "goes around", "moves around"];

    /// <summary>What a caption may begin with.</summary>
    public static readonly string[] Openings = ["a video of", "a clip of", "a shot of", "footage of", "a scene with"];

    /// <summary>What holds captions together.</summary>
    public static readonly string[] Joints = ["a", "an", "the", "it", "and", "then", "while", "with", "the same"];

    /// <summary>Marks that stand between clauses and at the end.</summary>
    public static readonly string[] Marks = [",", "."];
}
