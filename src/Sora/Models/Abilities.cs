using Sora.Conditions;
using Sora.Diffusion;

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

    /// <summary>A clip that goes on, or begins earlier; also a video longer than a window.</summary>
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
    /// <summary>In the way in which it was trained.</summary>
    Native,

    /// <summary>In a way that it wasn't trained for; the result may not follow what is known.</summary>
    Approximate,

    /// <summary>Not at all.</summary>
    Refused,
}

/// <summary>
/// What each kind of model can do: one table, which decides what runs do and which <c>sora info</c> prints.
/// </summary>
public static class Abilities
{
    private const Support N = Support.Native, A = Support.Approximate, R = Support.Refused;

    /// <summary>A kind of model by what it was trained to be told.</summary>
    private enum ModelKind
    {
        /// <summary>Clean tokens anywhere (models trained by this program).</summary>
        AnyTokens,

        /// <summary>Clean tokens of the first frame (Wan 2.2 TI2V).</summary>
        FirstTokens,

        /// <summary>Text alone (Wan 2.1 and A14B T2V).</summary>
        TextAlone,

        /// <summary>The first frame, in mask channels (Wan 2.1 and A14B I2V).</summary>
        FirstPicture,

        /// <summary>The first and the last frame, in mask channels (Wan 2.1 FLF2V).</summary>
        BothPictures,

        /// <summary>A control video with a mask (VACE).</summary>
        ControlVideo,
    }

    // In the order of Ability: text, still, first and last, keyframes, extend, loop, interpolate, strength, region, control.
    private static readonly Dictionary<ModelKind, Support[]> Table = new()
    {
        [ModelKind.AnyTokens] = [N, N, N, N, N, N, N, N, N, R],
        [ModelKind.FirstTokens] = [N, N, A, A, A, A, A, N, A, R],
        [ModelKind.TextAlone] = [N, A, A, A, A, A, A, N, A, R],
        [ModelKind.FirstPicture] = [R, N, A, A, A, A, A, R, A, R],
        [ModelKind.BothPictures] = [R, R, N, A, R, A, A, R, R, R],
        [ModelKind.ControlVideo] = [N, N, N, N, N, N, N, N, N, N],
    };

    private static readonly (string Key, string Name, string Able)[] Names =
    [
        ("text", "generate from text", "Wan2.1-T2V-1.3B-Diffusers and Wan2.2-TI2V-5B-Diffusers make videos from text"),
        ("still", "animate a still", "Wan2.1-I2V-14B-480P-Diffusers and Wan2.2-TI2V-5B-Diffusers animate a still"),
        ("first_last", "first and last frame", "Wan2.1-FLF2V-14B-720P-diffusers takes a first and a last frame"),
        ("keyframes", "keyframes", "Wan2.1-VACE-1.3B-diffusers takes keyframes"),
        ("extend", "extend", "Wan2.1-VACE-1.3B-diffusers extends clips"),
        ("loop", "loop", "Wan2.1-VACE-1.3B-diffusers closes loops"),
        ("interpolate", "interpolate", "Wan2.1-VACE-1.3B-diffusers joins clips"),
        ("edit_strength", "edit by strength", "Wan2.1-T2V-1.3B-Diffusers and Wan2.2-TI2V-5B-Diffusers edit by strength"),
        ("edit_mask", "edit by mask", "Wan2.1-VACE-1.3B-diffusers edits regions"),
        ("control", "control video", "Wan2.1-VACE-1.3B-diffusers takes control videos and references"),
    ];

    /// <summary>What an ability is called, as in <c>edit by mask</c>.</summary>
    public static string Name(this Ability ability) => Names[(int)ability].Name;

    /// <summary>The name of an ability in JSON, as in <c>edit_mask</c>.</summary>
    public static string Key(this Ability ability) => Names[(int)ability].Key;

    /// <summary>How well a model can do something.</summary>
    public static Support Of(ModelFolder model, Ability ability) => Table[ModelKindOf(model)][(int)ability];

    /// <summary>What a user should know of it: how an approximation is made, or which model can what this one can't.</summary>
    public static string? Note(ModelFolder model, Ability ability) => Of(model, ability) switch
    {
        Support.Native => null,
        Support.Refused => Names[(int)ability].Able,
        _ => ModelKindOf(model) switch
        {
            ModelKind.TextAlone => "known parts are noised again at every step, because the model was trained on text alone",
            ModelKind.FirstTokens => "known parts are kept as clean tokens, but the model was trained with those only in the first frame",
            ModelKind.FirstPicture => "known parts go into mask channels, but the model was trained with those only for the first frame",
            ModelKind.BothPictures when ability == Ability.Keyframes =>
                "two or more pictures go into mask channels, but the model was trained with those only for the first and the last frame",
            _ => "known parts go into mask channels, but the model was trained with those only for the first and the last frame",
        },
    };

    /// <summary>The ability that a run from this conditioning takes.</summary>
    internal static Ability Needed(Conditioning conditioning, SamplingSettings settings)
    {
        if (conditioning.Control is not null) return Ability.Control;
        if (conditioning.Mask is not null) return Ability.Region;
        if (conditioning.Known is not null) return Ability.Strength;
        var frames = conditioning.Stills.Select(still => still.Frame).Order().ToList();
        return frames switch
        {
            [] => Ability.Text,
            [0] => Ability.Still,
            [0, var last] when last == settings.Frames - 1 => Ability.FirstAndLast,
            _ => Ability.Keyframes,
        };
    }

    /// <summary>Asks that a model can do something.</summary>
    /// <exception cref="SoraException">It can't; the hint names one that can.</exception>
    internal static void Require(ModelFolder model, Ability ability)
    {
        if (Of(model, ability) == Support.Refused) throw SoraException.Usage($"{model.Name} can't do this: {ability.Name()}", Note(model, ability));
    }

    /// <summary>Says once if a model only approximates what it can do.</summary>
    internal static void Tell(ModelFolder model, Ability ability, Reporter reporter)
    {
        if (Of(model, ability) == Support.Approximate) reporter.NoteOnce($"{ability.Name()} with {model.Name} is approximate: {Note(model, ability)}");
    }

    private static ModelKind ModelKindOf(ModelFolder model) => ConditioningEncoder.ModeOf(model) switch
    {
        ConditioningMode.Control => ModelKind.ControlVideo,
        ConditioningMode.TokenTimesteps => model.IsTrainedHere ? ModelKind.AnyTokens : ModelKind.FirstTokens,
        ConditioningMode.Renoise => ModelKind.TextAlone,
        _ => model.Transformer.PosEmbedSeqLen is null ? ModelKind.FirstPicture : ModelKind.BothPictures,
    };
}
