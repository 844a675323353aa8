namespace Sora.Models.Checkpoints;

/// <summary>
/// Names of one part of a model in another program's spelling, and in the one used here, that of diffusers.
/// </summary>
internal sealed class KeyMap
{
    private const string Index = "{i}";

    private readonly Dictionary<string, string> ours = [];

    /// <param name="names">Modules or single tensors, theirs and ours; <c>{i}</c> stands for a block's number.</param>
    public KeyMap(IEnumerable<(string Theirs, string Ours)> names)
    {
        foreach (var (theirs, own) in names)
            ours.Add(theirs, own);
    }

    /// <summary>Every pair, with <c>{i}</c> for a block's number.</summary>
    public IReadOnlyDictionary<string, string> Names => ours;

    /// <summary>Our name of their tensor or module; null where there is none.</summary>
    public string? Find(string name)
    {
        var (pattern, number) = Generalise(name);
        if (ours.TryGetValue(pattern, out var whole))
            return whole.Replace(Index, number);
        var dot = pattern.LastIndexOf('.');
        return dot > 0 && ours.TryGetValue(pattern[..dot], out var module) ? module.Replace(Index, number) + pattern[dot..] : null;
    }

    /// <summary>Replaces the number after the first name of a list of blocks with <c>{i}</c>.</summary>
    private static (string Pattern, string Number) Generalise(string name)
    {
        var parts = name.Split('.');
        for (var i = 1; i < parts.Length; i++)
        {
            if (parts[i - 1] is not ("blocks" or "vace_blocks" or "blk" or "transformer") || !parts[i].All(char.IsAsciiDigit))
                continue;
            var number = parts[i];
            parts[i] = Index;
            return (string.Join('.', parts), number);
        }
        return (name, "");
    }
}
