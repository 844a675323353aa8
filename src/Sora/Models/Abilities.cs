using Sora.Conditions;

namespace Sora.Models;

/// <summary>What a video can be made from.</summary>
public enum Ability
{
    /// <summary>A prompt alone.</summary>
    Text,

    /// <summary>A picture that the first frame shows.</summary>
    Still,

    /// <summary>Pictures that the first and the last frame show.</summary>
    FirstAndLast,

    /// <summary>Pictures that other frames show.</summary>
    Keyframes,

    /// <summary>A clip that is extended at its end or start; also a video longer than a window.</summary>
    Extend,

    /// <summary>A clip that leads back to its start.</summary>
    Loop,

    /// <summary>The end of one clip and the start of another.</summary>
    Interpolate,

    /// <summary>A whole clip up to a noise level.</summary>
    Strength,

    /// <summary>What lies outside a region of a clip.</summary>
    Region,

    /// <summary>A control video, or references of what is to appear.</summary>
    Control,
}

/// <summary>How well a model can do something.</summary>
public enum Support
{
    /// <summary>In the way it was trained.</summary>
    Native,

    /// <summary>In a way it wasn't trained for; the result may not follow what is known.</summary>
    Approximate,

    /// <summary>Not at all.</summary>
    Refused,
}

/// <summary>What abilities are called, and the check of a model before a run.</summary>
public static class Abilities
{
    private static readonly (string Key, string Name)[] Names =
    [
        ("text", "generate from text"),
        ("still", "animate a still"),
        ("first_last", "first and last frame"),
        ("keyframes", "keyframes"),
        ("extend", "extend"),
        ("loop", "loop"),
        ("interpolate", "interpolate"),
        ("edit_strength", "edit by strength"),
        ("edit_mask", "edit by mask"),
        ("control", "control video"),
    ];

    /// <summary>What an ability is called, as in <c>edit by mask</c>.</summary>
    public static string Name(this Ability ability) => Names[(int)ability].Name;

    /// <summary>The name of an ability in JSON, as in <c>edit_mask</c>.</summary>
    public static string Key(this Ability ability) => Names[(int)ability].Key;

    /// <summary>The ability that a run needs.</summary>
    internal static Ability Needed(GenerationRequest request)
    {
        if (request.Conditioning.Control is not null)
            return Ability.Control;
        if (request.KnowsLatents)
            return Ability.Region;
        if (request.Edited is not null || request.Conditioning.Known is not null)
            return Ability.Strength;
        var frames = request.Conditioning.Stills.Select(still => still.Frame).Order().ToList();
        return frames switch
        {
            [] => Ability.Text,
            [0] => Ability.Still,
            [0, var last] when last == request.Settings.Frames - 1 => Ability.FirstAndLast,
            _ => Ability.Keyframes,
        };
    }

    /// <summary>Checks that a model can do something.</summary>
    /// <exception cref="SoraException">It can't; the hint names one that can.</exception>
    internal static void Require(VideoModel model, Ability ability)
    {
        if (model.Supports(ability) == Support.Refused)
            throw SoraException.Usage($"{model.Name} can't do this: {ability.Name()}", model.Note(ability));
    }

    /// <summary>Says once if a model only approximates what it can do.</summary>
    internal static void Tell(VideoModel model, Ability ability, Reporter reporter)
    {
        if (model.Supports(ability) == Support.Approximate)
            reporter.NoteOnce($"{ability.Name()} with {model.Name} is approximate: {model.Note(ability)}");
    }
}
