using Sora.Models.Mini;
using Sora.Models.Wan;

namespace Sora.Models;

/// <summary>A family of models: which ones belong to it, and how they are opened.</summary>
/// <param name="Claims">Whether the files are a model of this family.</param>
/// <param name="Open">Reads its configs.</param>
public sealed record ModelFamily(Func<ModelFolder, bool> Claims, Func<ModelFolder, VideoModel> Open);

/// <summary>All families of models. No other file of the library, training aside, knows all of them.</summary>
public static class ModelRegistry
{
    /// <summary>Where the built-in model lies in the source tree.</summary>
    internal const string BuiltinSource = "src/Sora/Models/Mini/Builtin";

    /// <summary>The first that claims a model opens it; the last one takes all others, and says what it doesn't know.</summary>
    private static IReadOnlyList<ModelFamily> families =
    [
        new(MiniModel.Claims, files => new MiniModel(files)),
        new(_ => true, files => new WanModel(files)),
    ];

    /// <summary>Adds a family, which is asked before the others.</summary>
    public static void Add(ModelFamily family) => families = [family, .. families];

    /// <summary>The model that the files are.</summary>
    /// <exception cref="SoraException">A part is missing, or its architecture is unknown.</exception>
    internal static VideoModel Open(ModelFolder files) => families.First(family => family.Claims(files)).Open(files);

    /// <summary>The sizes in the <c>config.json</c> of a VAE.</summary>
    /// <exception cref="SoraException">It can't be read, its class is unknown, or its fields contradict each other.</exception>
    public static CausalVaeConfig VaeConfig(string path) => VaeConfig(ConfigFile.Read(path));

    /// <summary>The sizes in the config of a VAE.</summary>
    /// <exception cref="SoraException">Its class is unknown, or its fields contradict each other.</exception>
    internal static CausalVaeConfig VaeConfig(ConfigFile file)
    {
        CausalVaeConfig[] kinds = [new(), new BlockVaeConfig()];
        var kind = file.ClassName is not { } name ? kinds[0] : kinds.FirstOrDefault(kind => kind.ClassName == name);
        return kind?.With(file)
            ?? throw SoraException.Failed(
                $"{file.Path}: unknown VAE class {file.ClassName}",
                $"{string.Join(" and ", kinds.Select(known => known.ClassName))} are supported"
            );
    }

    /// <summary>A published model that can do what another one can't.</summary>
    internal static string Able(Ability ability) =>
        ability switch
        {
            Ability.Text => "Wan2.1-T2V-1.3B-Diffusers and Wan2.2-TI2V-5B-Diffusers make videos from text",
            Ability.Still => "Wan2.1-I2V-14B-480P-Diffusers and Wan2.2-TI2V-5B-Diffusers animate a still",
            Ability.FirstAndLast => "Wan2.1-FLF2V-14B-720P-diffusers takes a first and a last frame",
            Ability.Keyframes => "Wan2.1-VACE-1.3B-diffusers takes keyframes",
            Ability.Extend => "Wan2.1-VACE-1.3B-diffusers extends clips",
            Ability.Loop => "Wan2.1-VACE-1.3B-diffusers closes loops",
            Ability.Interpolate => "Wan2.1-VACE-1.3B-diffusers joins clips",
            Ability.Strength => "Wan2.1-T2V-1.3B-Diffusers and Wan2.2-TI2V-5B-Diffusers edit by strength",
            Ability.Region => "Wan2.1-VACE-1.3B-diffusers edits regions",
            _ => "Wan2.1-VACE-1.3B-diffusers takes control videos and references",
        };
}
