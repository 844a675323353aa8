using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Sora.Models;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Formats;

public class GgufTests
{
    private static readonly JsonElement Listing = Json("gguf.json").GetProperty("files");

    public static TheoryData<string> Files => [.. Listing.EnumerateObject().Select(file => file.Name)];

    public static TheoryData<string> Hostile =>
        [
            .. Json("gguf-files.json")
                .GetProperty("files")
                .EnumerateArray()
                .Where(file => file.GetProperty("expect").GetString() == "reject")
                .Select(file => file.GetProperty("file").GetString()!),
        ];

    [Theory]
    [MemberData(nameof(Files))]
    public void EveryTensorIsBitExact(string file)
    {
        using var gguf = GgufFile.Open(Golden.Path(["models", .. file.Split('/')]));
        var expected = Listing.GetProperty(file).GetProperty("tensors").EnumerateArray().ToList();
        Assert.Equal(expected.Select(tensor => tensor.GetProperty("name").GetString()), gguf.Tensors.Keys);
        foreach (var tensor in expected)
        {
            var info = gguf.Info(tensor.GetProperty("name").GetString()!);
            Assert.Equal(tensor.GetProperty("type").GetString(), info.DType.Name());
            var hash = SHA256.HashData(MemoryMarshal.AsBytes(gguf.Floats(info.Name).AsSpan()));
            // Integers have no listed hash; DequantisedValuesAndShapesAreTheReferences has their values.
            if (!info.DType.IsFloat())
                continue;
            Assert.True(
                tensor.GetProperty("sha256_of_f32").GetString() == Convert.ToHexStringLower(hash),
                $"{info.Name} ({info.DType.Name()})"
            );
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void EveryValueIsRead(string file)
    {
        using var gguf = GgufFile.Open(Golden.Path(["models", .. file.Split('/')]));
        var expected = Listing.GetProperty(file).GetProperty("metadata").EnumerateObject().ToList();
        Assert.Equal(expected.Select(entry => entry.Name).Order(), gguf.Values.Keys.Order());
        foreach (var entry in expected)
        {
            var value = entry.Value.GetProperty("value");
            var actual = gguf.Values[entry.Name];
            if (actual is not Array list)
            {
                Assert.Equal(Text(value), Text(actual));
                continue;
            }
            Assert.Equal(entry.Value.GetProperty("count").GetInt32(), list.Length);
            // The listing shows the beginning of long lists, then an ellipsis.
            var shown = value.EnumerateArray().TakeWhile(item => item.ToString() != "\u2026").ToList();
            Assert.NotEmpty(shown);
            Assert.Equal(shown.Select(Text), list.Cast<object>().Take(shown.Count).Select(Text));
        }
    }

    [Fact]
    public void DequantisedValuesAndShapesAreTheReferences()
    {
        using var golden = GoldenCase.Open("formats/gguf-types");
        using var types = GgufFile.Open(Golden.Path("models", "fmt-gguf", "types.gguf"));
        using var aligned = GgufFile.Open(Golden.Path("models", "fmt-gguf", "align64.gguf"));
        foreach (var name in golden.Outputs)
        {
            TensorSource source = types.Tensors.ContainsKey(name) ? types : aligned;
            Assert.Equal(golden.OutShape(name), source.Info(name).Shape);
            Assert.Equal(golden.Out(name), source.Floats(name));
        }
    }

    [Fact]
    public void PartOfAQuantisedTensorReadsAlone()
    {
        using var gguf = GgufFile.Open(Golden.Path("models", "fmt-gguf", "types.gguf"));
        var part = new float[512];
        gguf.ReadFloats("q6_k.matrix", 768, part);
        Assert.Equal(gguf.Floats("q6_k.matrix").AsSpan(768, 512).ToArray(), part);
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public void HostileFileIsRefusedInOneLine(string file)
    {
        var path = Golden.Path(["cases", "formats", .. file.Split('/')]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var fault = Assert.Throws<SoraException>(() => GgufFile.Open(path).Dispose());
        Assert.StartsWith(path + ": ", fault.Message);
        Assert.DoesNotContain('\n', fault.Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void AFileOfMetadataOnlyIsRead()
    {
        using var gguf = GgufFile.Open(Golden.Path("cases", "formats", "bad-gguf", "no-tensors.gguf"));
        Assert.Empty(gguf.Tensors);
        Assert.NotEmpty(gguf.Values);
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.Number ? $"{value.GetDouble()}" : value.ToString();

    private static string Text(object value) => value is string or bool ? $"{value}" : $"{Convert.ToDouble(value)}";

    private static JsonElement Json(string name) =>
        JsonDocument.Parse(File.ReadAllBytes(Golden.Path("cases", "formats", name))).RootElement;
}
