using System.Text.Json;
using Sora.Models.Text;
using Xunit;

namespace Sora.Tests.Text;

public class PromptCleanerTests
{
    private static readonly JsonElement File = JsonDocument
        .Parse(System.IO.File.ReadAllBytes(Golden.Path("cases", "text", "prompt-clean.json")))
        .RootElement;

    public static TheoryData<string> Fixes =>
        [.. File.GetProperty("params").GetProperty("fixes").EnumerateArray().Select(fix => fix.GetString()!)];

    [Theory]
    [MemberData(nameof(Fixes))]
    public void CleansAsTheOriginalPipelines(string fix)
    {
        var cases = File.GetProperty("cases").EnumerateArray().Where(each => each.GetProperty("fix").GetString() == fix).ToArray();
        Assert.NotEmpty(cases);
        Assert.All(
            cases,
            each =>
            {
                var text = Text(each);
                Assert.Equal(each.GetProperty("after_ftfy").GetString(), PromptCleaner.Fix(text));
                Assert.Equal(each.GetProperty("out").GetString(), PromptCleaner.Clean(text));
            }
        );
    }

    [Fact]
    public void EveryCaseBelongsToOneOfTheFixes()
    {
        var fixes = File.GetProperty("params").GetProperty("fixes").EnumerateArray().Select(fix => fix.GetString()).ToHashSet();
        var cases = File.GetProperty("cases").EnumerateArray().Select(each => each.GetProperty("fix").GetString()).ToArray();
        Assert.Equal(106, cases.Length);
        Assert.Subset(fixes, cases.ToHashSet());
    }

    private static string Text(JsonElement each) =>
        each.TryGetProperty("utf16", out var units)
            ? string.Concat(units.EnumerateArray().Select(unit => (char)unit.GetInt32()))
            : each.GetProperty("text").GetString()!;
}
