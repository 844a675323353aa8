using System.Text.Json;
using Sora.Models.Text;
using Xunit;

namespace Sora.Tests.Text;

public class TokenizerTests
{
    private static readonly string Scratch = Directory.CreateTempSubdirectory("sora-tokenizer-").FullName;

    public static TheoryData<string, string, int> Files =>
        new() { { "tokenizer-umt5.json", "umt5-tiny", 207 }, { "tokenizer-nfkc.json", "t5-tiny", 207 } };

    [Theory]
    [MemberData(nameof(Files))]
    public void TokenizerJsonGivesTheReferenceIds(string file, string model, int count)
    {
        var tokenizer = Tokenizer.Load(Golden.Path("models", model, "tokenizer"));
        var cases = Cases(file);
        Assert.Equal(count, cases.Length);
        Assert.All(
            cases,
            each =>
            {
                var text = each.GetProperty("text").GetString()!;
                Assert.Equal(Ints(each, "ids"), tokenizer.Encode(text));
                if (each.TryGetProperty("tokens", out var tokens))
                    Assert.Equal(tokens.EnumerateArray().Select(token => token.GetString()), tokenizer.Tokens(tokenizer.Encode(text)));
                if (!each.TryGetProperty("max_length", out var length))
                    return;
                var (ids, mask) = tokenizer.EncodePadded(text, length.GetInt32());
                Assert.Equal(Ints(each, "input_ids"), ids);
                Assert.Equal(Ints(each, "attention_mask"), mask);
            }
        );
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void AFolderWithOnlySpieceModelFollowsSentencePiece(string file, string model, int count)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Scratch, model)).FullName;
        File.Copy(Golden.Path("models", model, "tokenizer", "spiece.model"), Path.Combine(folder, "spiece.model"), true);
        var tokenizer = Tokenizer.Load(folder);
        var cases = Cases(file);
        Assert.Equal(count, cases.Length);
        Assert.Contains(cases, each => each.TryGetProperty("sentencepiece_ids", out _));
        Assert.All(
            cases,
            each =>
                Assert.Equal(
                    Ints(each, each.TryGetProperty("sentencepiece_ids", out _) ? "sentencepiece_ids" : "ids"),
                    tokenizer.Encode(each.GetProperty("text").GetString()!)
                )
        );
    }

    [Fact]
    public void EqualScoresAreBrokenAsInTheReference()
    {
        var file = JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "text", "tokenizer-ties.json"))).RootElement;
        var json = file.GetProperty("params").GetProperty("tokenizer_json").GetRawText();
        var tokenizer = new Tokenizer(TokenizerJson.Parse(System.Text.Encoding.UTF8.GetBytes(json)));
        var cases = Cases("tokenizer-ties.json");
        Assert.Equal(25, cases.Length);
        Assert.All(cases, each => Assert.Equal(Ints(each, "ids"), tokenizer.Encode(each.GetProperty("text").GetString()!)));
    }

    [Fact]
    public void UnknownWordsAreNamedOnceWithoutPunctuation()
    {
        var tokenizer = Tokenizer.Load(Words("names", "red", "ball", ","));
        Assert.Equal(["zebra", "purple-ish"], tokenizer.UnknownWords("Red zebra, \"purple-ish\" ball, zebra"));
        // A comma that the vocabulary lacks doesn't make its word unknown.
        Assert.Empty(tokenizer.UnknownWords("red, \"ball\""));
    }

    [Fact]
    public void AFolderWithoutTokenizerSaysSo()
    {
        var error = Assert.Throws<SoraException>(() => Tokenizer.Load(Directory.CreateDirectory(Path.Combine(Scratch, "none")).FullName));
        Assert.Contains("no tokenizer.json", error.Message);
    }

    [Theory]
    [InlineData("""{"model":{"type":"BPE","vocab":{}}}""", "BPE")]
    [InlineData("""{"normalizer":{"type":"BertNormalizer"},"model":{"type":"Unigram","unk_id":0,"vocab":[["u",0]]}}""", "BertNormalizer")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"Unigram","unk_id":0,"vocab":[["u",0]]}}""", "ByteLevel")]
    [InlineData("""{"model":{"type":"Unigram","unk_id":0,"vocab":[["u"]]}}""", "tokenizer.json")]
    [InlineData("{", "tokenizer.json")]
    public void AnUnsupportedOrDamagedFileIsRefusedByName(string json, string named)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Scratch, Guid.NewGuid().ToString("n"))).FullName;
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), json);
        Assert.Contains(named, Assert.Throws<SoraException>(() => Tokenizer.Load(folder)).Message);
    }

    [Fact]
    public void WordTokenizerKnowsWholeWords()
    {
        var folder = Words("words", "red", "Ball", "balls", ",", "-", "rolls", "red");
        var tokenizer = Tokenizer.Load(folder);
        Assert.Equal(10, tokenizer.Count);
        Assert.Equal([4, 5, 7, 4, 8, 6, 1], tokenizer.Encode("RED ball,(red-balls").Where(id => id != 3));
        Assert.Equal([4, 3, 5, 1], tokenizer.Encode(" red  zzz\tball "));
        Assert.Equal(3, tokenizer.UnknownId);
        Assert.Equal(0, tokenizer.PadId);
    }

    [Fact]
    public void MarksStandInFrontOfEveryText()
    {
        var folder = Path.Combine(Scratch, "marks");
        Assert.Equal(8, WordTokenizer.Write(folder, ["red", "ball"], ["<object1>", "<object2>"]));
        var tokenizer = Tokenizer.Load(folder);
        Assert.Equal([6, 7, 4, 5, 1], tokenizer.Encode("red ball"));
        Assert.Equal(["<object1>", "<object2>", "</s>"], tokenizer.Tokens(tokenizer.Encode("")));
        Assert.Equal([6, 7, 4, 1], tokenizer.EncodePadded("red ball", 4).Ids);
        Assert.Empty(tokenizer.UnknownWords("red ball"));
    }

    private static string Words(string name, params string[] words)
    {
        var folder = Path.Combine(Scratch, name);
        WordTokenizer.Write(folder, words);
        return folder;
    }

    private static JsonElement[] Cases(string file) =>
        [.. JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "text", file))).RootElement.GetProperty("cases").EnumerateArray()];

    private static int[] Ints(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
