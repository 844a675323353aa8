using System.Security.Cryptography;
using System.Text.Json;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Clips;

public class SafeTensorsTests
{
    private static readonly JsonElement[] Files =
    [
        .. JsonDocument
            .Parse(File.ReadAllBytes(Golden.Path("cases", "formats", "safetensors-files.json")))
            .RootElement.GetProperty("files")
            .EnumerateArray(),
    ];

    public static TheoryData<string> Hostile => Expecting("reject");

    public static TheoryData<string> Valid => Expecting("accept");

    [Theory]
    [MemberData(nameof(Hostile))]
    public void HostileFileIsRefusedInOneLine(string file)
    {
        var path = PathOf(file);
        AssertOneLine(Assert.Throws<SoraException>(() => SafeTensorsFile.Open(path).Dispose()), path);
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public void HostileStreamIsRefusedInOneLine(string file)
    {
        // At the end of a stream there is no document; trailing bytes are the next one.
        if (file is "bad/empty-file.safetensors" or "bad/trailing-bytes.safetensors" or "bad/no-tensors-but-data.safetensors")
            return;
        using var stream = new OneByteStream(File.ReadAllBytes(PathOf(file)));
        AssertOneLine(Assert.Throws<SoraException>(() => SafeTensors.Read(stream, "standard input")), "standard input");
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void ValidFileReadsAsTheReferenceDoes(string file)
    {
        using var mapped = SafeTensorsFile.Open(PathOf(file));
        AssertAsReferenced(mapped, file);
        using var stream = new OneByteStream(File.ReadAllBytes(PathOf(file)));
        AssertAsReferenced(SafeTensors.Read(stream, "standard input")!, file);
        Assert.Null(SafeTensors.Read(stream, "standard input"));
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void WhatIsWrittenReadsBackTheSame(string file)
    {
        using var mapped = SafeTensorsFile.Open(PathOf(file));
        using var stream = new MemoryStream();
        SafeTensors.Write(stream, mapped.Metadata, mapped.Tensors.Keys.Select(name => KeyValuePair.Create(name, mapped.Copy(name))));
        stream.Position = 0;
        var again = SafeTensors.Read(stream, "memory")!;
        AssertAsReferenced(again, file);
        Assert.All(
            again.Tensors.Values.Where(tensor => tensor.Bytes > 0),
            tensor => Assert.Equal(0, tensor.Offset % tensor.DType.BlockBytes())
        );
    }

    [Theory]
    [InlineData("git-lfs-pointer", "Git LFS pointer", "git lfs pull")]
    [InlineData("html", "web page", "download it again")]
    [InlineData("data-truncated", "cut off", "download it again")]
    [InlineData("no-data", "cut off", "download it again")]
    [InlineData("zip-bytes", "zip archive", "safetensors")]
    [InlineData("gguf-bytes", "GGUF", ".gguf")]
    [InlineData("trailing-bytes", "after the last tensor", "pipe")]
    public void CommonMistakesHaveMessagesOfTheirOwn(string file, string message, string hint)
    {
        var fault = Assert.Throws<SoraException>(() => SafeTensorsFile.Open(PathOf($"bad/{file}.safetensors")));
        Assert.Contains(message, fault.Message);
        Assert.Contains(hint, fault.Hint);
    }

    [Fact]
    public void DocumentsFollowOneAnotherInAStream()
    {
        using var stream = new MemoryStream();
        for (var i = 0; i < 3; i++)
        {
            SafeTensors.Write(
                stream,
                new Dictionary<string, string> { ["number"] = $"{i}" },
                [KeyValuePair.Create("x", HostTensor.FromFloats([i, i + 1], [2]))]
            );
        }
        stream.Position = 0;
        for (var i = 0; i < 3; i++)
        {
            var document = SafeTensors.Read(stream, "pipe")!;
            Assert.Equal($"{i}", document.Metadata["number"]);
            Assert.Equal([i, i + 1], document.Floats("x"));
        }
        Assert.Null(SafeTensors.Read(stream, "pipe"));
    }

    [Fact]
    public void AClaimOfMuchDataAllocatesOnlyWhatArrives()
    {
        var claim = System.Text.Encoding.UTF8.GetBytes("{\"x\":{\"dtype\":\"U8\",\"shape\":[2000000000],\"data_offsets\":[0,2000000000]}}");
        byte[] bytes = [.. BitConverter.GetBytes((ulong)claim.Length), .. claim, 1, 2, 3];
        var before = GC.GetAllocatedBytesForCurrentThread();
        var fault = Assert.Throws<SoraException>(() => SafeTensors.Read(new MemoryStream(bytes), "standard input"));
        Assert.Contains("only 3 are there", fault.Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
    }

    [Fact]
    public void PartOfATensorReadsAlone()
    {
        var set = new TensorSet([
            KeyValuePair.Create(
                "x",
                HostTensor.FromFloats([.. Enumerable.Range(0, 100_000).Select(i => (float)i)], [1000, 100], DType.F64)
            ),
        ]);
        var part = new float[70_000];
        set.ReadFloats("x", 12_345, part);
        Assert.Equal(Enumerable.Range(12_345, 70_000).Select(i => (float)i), part);
    }

    private static TheoryData<string> Expecting(string expectation) =>
        [
            .. Files
                .Where(file => file.GetProperty("expect").GetString() == expectation)
                .Select(file => file.GetProperty("file").GetString()!),
        ];

    private static string PathOf(string file) => Golden.Path(["cases", "formats", .. file.Split('/')]);

    private static void AssertOneLine(SoraException fault, string origin)
    {
        Assert.StartsWith(origin + ": ", fault.Message);
        Assert.DoesNotContain('\n', fault.Message);
        Assert.InRange(fault.Message.Length - origin.Length, 10, 250);
    }

    private static void AssertAsReferenced(TensorSource actual, string file)
    {
        var entry = Files.Single(entry => entry.GetProperty("file").GetString() == file);
        var expected = entry.GetProperty("tensors").EnumerateArray().ToDictionary(tensor => tensor.GetProperty("name").GetString()!);
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), actual.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, tensor) in expected)
        {
            Assert.Equal(tensor.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()), actual.Info(name).Shape);
            Assert.Equal(tensor.GetProperty("sha256").GetString(), Convert.ToHexStringLower(SHA256.HashData(actual.Copy(name).Data)));
        }
        var metadata = entry.GetProperty("metadata");
        var pairs =
            metadata.ValueKind == JsonValueKind.Null
                ? []
                : metadata.EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetString()!);
        Assert.Equal(pairs, actual.Metadata.ToDictionary());
    }

    /// <summary>A pipe at its slowest: a read gives one byte.</summary>
    private sealed class OneByteStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 1));
    }
}
