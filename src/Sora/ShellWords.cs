namespace Sora;

/// <summary>Words as a shell reads them.</summary>
public static class ShellWords
{
    private const string Plain = "-_./:=,@%+";

    /// <summary>The word as it must be typed, quoted where a shell would take it apart.</summary>
    public static string Quote(string word)
    {
        if (word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || Plain.Contains(c)))
            return word;
        return word.AsSpan().ContainsAny("\"$`\\!") ? $"'{word.Replace("'", "'\\''")}'" : $"\"{word}\"";
    }
}
