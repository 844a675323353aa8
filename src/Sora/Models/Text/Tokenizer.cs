using System.Buffers;

namespace Sora.Models.Text;

/// <summary>
/// Text to the ids of a T5 text encoder and back to readable tokens. Runs a folder's <c>tokenizer.json</c>
/// (Hugging Face's format, Unigram model); where there is only <c>spiece.model</c>, SentencePiece's own rules.
/// </summary>
public sealed class Tokenizer
{
    private static readonly SearchValues<char> WordEdges = SearchValues.Create(".,;:!?()[]{}<>\"'`*_~/\\|-\u2013\u2014\u2026\u3001\u3002");

    private readonly TokenizerParts parts;

    internal Tokenizer(TokenizerParts parts) => this.parts = parts;

    /// <summary>Reads the tokenizer of a model.</summary>
    /// <param name="folder">The folder with <c>tokenizer.json</c> or <c>spiece.model</c>, or one of these files.</param>
    /// <exception cref="SoraException">There is none, or it uses something unsupported.</exception>
    public static Tokenizer Load(string folder)
    {
        if (File.Exists(folder))
            return Path.GetExtension(folder) == ".json"
                ? new Tokenizer(TokenizerJson.Read(folder))
                : FromSentencePiece(ReadAll(folder), folder);
        if (FileIn(folder) is { } file)
            return Load(file);
        throw SoraException.Failed(
            $"no tokenizer.json and no spiece.model in {folder}",
            "a model folder has them in its tokenizer subfolder"
        );
    }

    /// <summary>The file in a folder that <see cref="Load"/> reads, or null.</summary>
    internal static string? FileIn(string folder) =>
        ((string[])["tokenizer.json", "spiece.model"]).Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Reads the bytes of a <c>spiece.model</c>.</summary>
    /// <param name="bytes">The file's, or a copy inside another file.</param>
    /// <param name="origin">Where they come from, for messages.</param>
    /// <exception cref="SoraException">They are something else.</exception>
    public static Tokenizer FromSentencePiece(byte[] bytes, string origin) => new(SentencePieceModel.Read(bytes, origin));

    /// <summary>How many ids there are, from 0 on.</summary>
    public int Count => parts.Tokens.Length;

    /// <summary>The id that fills a text up to its padded length.</summary>
    public int PadId => parts.PadId;

    /// <summary>The id of what the vocabulary lacks.</summary>
    public int UnknownId => parts.UnknownId;

    /// <summary>The ids of a text with the closing <c>&lt;/s&gt;</c>, neither truncated nor padded.</summary>
    public int[] Encode(string text) => [.. parts.Before, .. parts.Segment(WellFormed(text)), .. parts.After];

    /// <summary>
    /// The ids of a text at a fixed length: a longer one keeps its beginning and the closing <c>&lt;/s&gt;</c>, a shorter
    /// one is filled up with <see cref="PadId"/>. The mask is 1 for ids of the text and 0 for padding.
    /// </summary>
    public (int[] Ids, int[] Mask) EncodePadded(string text, int maxLength)
    {
        var room = maxLength - parts.Before.Length - parts.After.Length;
        ArgumentOutOfRangeException.ThrowIfNegative(room, nameof(maxLength));
        int[] real = [.. parts.Before, .. parts.Segment(WellFormed(text)).Take(room), .. parts.After];
        var ids = new int[maxLength];
        var mask = new int[maxLength];
        Array.Fill(ids, PadId);
        real.CopyTo(ids, 0);
        Array.Fill(mask, 1, 0, real.Length);
        return (ids, mask);
    }

    /// <summary>The readable form of ids; U+2581 stands for a blank.</summary>
    public string[] Tokens(IEnumerable<int> ids) => [.. ids.Select(id => parts.Tokens[id])];

    /// <summary>
    /// The words of a cleaned prompt that the vocabulary cannot spell, without the punctuation around them, each once,
    /// in the order of the prompt.
    /// </summary>
    public IReadOnlyList<string> UnknownWords(string text) =>
        [
            .. text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
                .Select(Trim)
                .Where(word => parts.Segment(WellFormed(word)).Contains(UnknownId))
                .Distinct(StringComparer.Ordinal),
        ];

    private static byte[] ReadAll(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Files.CannotRead(path, fault);
        }
    }

    /// <summary>A word without punctuation at its ends; punctuation alone stays as it is.</summary>
    private static string Trim(string word)
    {
        var start = word.AsSpan().IndexOfAnyExcept(WordEdges);
        return start < 0 ? word : word[start..(word.AsSpan().LastIndexOfAnyExcept(WordEdges) + 1)];
    }

    /// <summary>Lone surrogates cannot be written in UTF-8; they become U+FFFD before anything else.</summary>
    private static string WellFormed(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.ToString()));
}

/// <summary>What both kinds of tokenizer file come down to.</summary>
/// <param name="Segment">A text to its ids, without what goes around it.</param>
/// <param name="Before">The ids put before every text.</param>
/// <param name="After">The ids put after every text.</param>
/// <param name="Tokens">The readable form of each id.</param>
/// <param name="PadId">The id that fills up.</param>
/// <param name="UnknownId">The id of what the vocabulary lacks.</param>
internal sealed record TokenizerParts(
    Func<string, IReadOnlyList<int>> Segment,
    int[] Before,
    int[] After,
    string[] Tokens,
    int PadId,
    int UnknownId
);
