using Sora.Models.Checkpoints;

namespace Sora.Models;

/// <summary>
/// Where models lie: beside the program, under <c>$SORA_MODELS</c>, and in the cache of Hugging Face's tools
/// (<c>$HF_HUB_CACHE</c>, <c>$HF_HOME/hub</c> or <c>~/.cache/huggingface/hub</c>, one folder <c>models--ORG--NAME</c> for each).
/// </summary>
public static class ModelLocator
{
    /// <summary>The environment variable that names the folder of a user's models.</summary>
    public const string FolderVariable = "SORA_MODELS";

    /// <summary>The name of the model that comes with the program.</summary>
    internal const string Builtin = "mini";

    private const string CachePrefix = "models--";

    /// <summary>The names by which installed models can be opened, the built-in one first.</summary>
    public static IReadOnlyList<string> Installed()
    {
        var names = new List<string>();
        if (BuiltinFolder() is not null)
            names.Add(Builtin);
        if (Root() is { } root)
        {
            var folders = Directory.GetDirectories(root).Where(folder => IsModel(Snapshot(folder)));
            var files = Directory.GetFiles(root).Where(IsTransformer);
            names.AddRange(folders.Concat(files).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        }
        if (Directory.Exists(Cache()))
            names.AddRange(
                Directory
                    .GetDirectories(Cache(), $"{CachePrefix}*")
                    .Where(folder => IsModel(Snapshot(folder)))
                    .Select(folder => Path.GetFileName(folder)[CachePrefix.Length..].Replace("--", "/"))
                    .Order(StringComparer.Ordinal)
            );
        return names;
    }

    /// <summary>The file or folder of a model: a path, or a name as <see cref="Installed"/> lists them; null is the built-in one.</summary>
    /// <exception cref="SoraException">There is no such model.</exception>
    public static string Find(string? model)
    {
        if (model is null)
            return FindBuiltin();
        if (Directory.Exists(model) || File.Exists(model))
            return Snapshot(model);
        var root = Root();
        if (root is not null && Path.Combine(root, model) is var under && (Directory.Exists(under) || File.Exists(under)))
            return Snapshot(under);
        if (InCache(model) is { } cached)
            return Snapshot(cached);
        if (model == Builtin)
            return FindBuiltin();
        throw SoraException.Failed(
            $"no model '{model}': "
                + (
                    root is null
                        ? $"neither a file nor a folder, and {FolderVariable} isn't set"
                        : $"neither a file, nor a folder, nor in {root}"
                ),
            "--model takes the path of a folder with a model_index.json, a file of weights, "
                + "or a name under $SORA_MODELS or in the Hugging Face cache (sora info --models)"
        );
    }

    /// <summary>Whether a folder holds a whole model: in diffusers' layout, or in that of the authors of a family.</summary>
    public static bool IsModel(string folder) =>
        File.Exists(Path.Combine(folder, "model_index.json")) || LooseParts.OriginalTransformer(folder) is not null;

    private static bool IsTransformer(string file)
    {
        if (!CheckpointFile.IsNamedSo(file))
            return false;
        try
        {
            using var weights = CheckpointFile.Open(file);
            return PartKinds.Of(weights) == "transformer";
        }
        catch (SoraException)
        {
            // What can't be read isn't listed; opening it says why.
            return false;
        }
    }

    private static string? Root() =>
        Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } root && Directory.Exists(root) ? root : null;

    private static string Cache()
    {
        if (Environment.GetEnvironmentVariable("HF_HUB_CACHE") is { Length: > 0 } hub)
            return hub;
        if (Environment.GetEnvironmentVariable("HF_HOME") is { Length: > 0 } home)
            return Path.Combine(home, "hub");
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } named
            ? named
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(cache, "huggingface", "hub");
    }

    /// <summary>The cache's folder of <c>ORG/NAME</c>, or of a name alone where one organisation has it.</summary>
    private static string? InCache(string model)
    {
        if (!Directory.Exists(Cache()) || model.Split('/') is not { Length: 1 or 2 } parts || parts.Contains(""))
            return null;
        if (parts.Length == 2)
            return Path.Combine(Cache(), $"{CachePrefix}{parts[0]}--{parts[1]}") is var named && Directory.Exists(named) ? named : null;
        var found = Directory
            .GetDirectories(Cache(), $"{CachePrefix}*")
            .Where(folder => folder.EndsWith($"--{model}", StringComparison.Ordinal))
            .ToList();
        return found.Count == 1 ? found[0] : null;
    }

    private static string FindBuiltin() =>
        BuiltinFolder()
        ?? throw SoraException.Failed(
            $"the built-in model '{Builtin}' isn't installed next to the program",
            "run install.sh again, or choose another with --model"
        );

    private static string? BuiltinFolder()
    {
        var beside = Path.Combine(AppContext.BaseDirectory, Builtin);
        if (Directory.Exists(beside))
            return beside;
        // A program run from its build folder finds the source tree above it.
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, ModelRegistry.BuiltinSource, Builtin);
            if (Directory.Exists(candidate))
                return candidate;
        }
        return null;
    }

    /// <summary>In a folder of the Hugging Face cache, the snapshot that <c>main</c> names, or the only one; else the path.</summary>
    private static string Snapshot(string path)
    {
        var snapshots = Path.Combine(path, "snapshots");
        if (!Directory.Exists(snapshots))
            return path;
        var main = Path.Combine(path, "refs", "main");
        if (File.Exists(main) && Path.Combine(snapshots, File.ReadAllText(main).Trim()) is var named && Directory.Exists(named))
            return named;
        return Directory.GetDirectories(snapshots) is [var only] ? only : path;
    }
}
