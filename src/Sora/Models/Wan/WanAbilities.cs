using Sora.Conditions;

namespace Sora.Models.Wan;

/// <summary>What each kind of Wan's models can do: one table, which decides what runs do and is what <c>sora info</c> prints.</summary>
internal static class WanAbilities
{
    private const Support N = Support.Native,
        A = Support.Approximate,
        R = Support.Refused;

    /// <summary>A kind of model by what it was trained to take.</summary>
    private enum ModelKind
    {
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
        [ModelKind.FirstTokens] = [N, N, A, A, A, A, A, N, A, R],
        [ModelKind.TextAlone] = [N, A, A, A, A, A, A, N, A, R],
        [ModelKind.FirstPicture] = [R, N, A, A, A, A, A, R, A, R],
        [ModelKind.BothPictures] = [R, R, N, A, R, A, A, R, R, R],
        [ModelKind.ControlVideo] = [N, N, N, N, N, N, N, N, N, N],
    };

    /// <summary>How well a model can do something.</summary>
    public static Support Of(WanModel model, Ability ability) => Table[KindOf(model)][(int)ability];

    /// <summary>How a model approximates what it wasn't trained for.</summary>
    public static string Approximation(WanModel model, Ability ability) =>
        KindOf(model) switch
        {
            ModelKind.TextAlone => "known parts are noised again at every step, because the model was trained on text alone",
            ModelKind.FirstTokens => "known parts are kept as clean tokens, but the model was trained with those only in the first frame",
            ModelKind.FirstPicture => "known parts go into mask channels, but the model was trained with those only for the first frame",
            ModelKind.BothPictures when ability == Ability.Keyframes =>
                "two or more pictures go into mask channels, but the model was trained with those only for the first and the last frame",
            _ => "known parts go into mask channels, but the model was trained with those only for the first and the last frame",
        };

    private static ModelKind KindOf(WanModel model) =>
        model.Mode switch
        {
            ConditioningMode.Control => ModelKind.ControlVideo,
            ConditioningMode.TokenTimesteps => ModelKind.FirstTokens,
            ConditioningMode.Renoise => ModelKind.TextAlone,
            _ => model.PicturesSeen == 1 ? ModelKind.FirstPicture : ModelKind.BothPictures,
        };
}
