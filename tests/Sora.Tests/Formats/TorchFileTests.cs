using System.IO.Compression;
using System.Text;
using Sora.Models.Checkpoints;
using Sora.Tensors;
using Xunit;

namespace Sora.Tests.Formats;

/// <summary>Checkpoints of PyTorch: one that torch.save wrote, and archives with other pickles in them.</summary>
public sealed class TorchFileTests : IDisposable
{
    private static readonly string Written = Golden.Path("models", "fmt-torch", "weights.pth");

    private readonly string folder = Directory.CreateTempSubdirectory("sora-torch-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    /// <summary>By PyTorch 1.13: several types, two tensors of one storage, a single number, and what modules say of themselves.</summary>
    [Fact]
    public void WhatPyTorchWroteIsRead()
    {
        using var file = CheckpointFile.Open(Written);
        Assert.Equal(["a.weight", "a.half", "b.bf16", "c.view", "c.whole", "n"], file.Tensors.Keys);
        Assert.Equal([2, 3], file.Info("a.weight").Shape);
        Assert.Equal(
            [DType.F32, DType.F16, DType.BF16, DType.I64],
            ((string[])["a.weight", "a.half", "b.bf16", "n"]).Select(name => file.Info(name).DType)
        );
        Assert.Equal([-1, -0.5f, 0, 0.5f, 1, 1.5f], file.Floats("a.weight"));
        Assert.Equal([-2, -1, 0, 1, 2], file.Floats("a.half"));
        Assert.Equal([1, -2.5f, 3.25f], file.Floats("b.bf16"));
        Assert.Equal([4, 5, 6, 7], file.Floats("c.view"));
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], file.Floats("c.whole"));
        Assert.Equal([], file.Info("n").Shape);
    }

    [Fact]
    public void WhateverIsCutOffIsAnError()
    {
        var whole = File.ReadAllBytes(Written);
        var path = Path.Combine(folder, "cut.pth");
        for (var length = 4; length < whole.Length; length += 61)
        {
            File.WriteAllBytes(path, whole[..length]);
            var error = Assert.Throws<SoraException>(() => CheckpointFile.Open(path));
            Assert.Contains("cut off", error.Message);
        }
    }

    [Theory]
    [InlineData("cposix\nsystem\nX\u0002\0\0\0ls\u0085R.", "it calls posix.system, which weights don't need")]
    [InlineData("cbuiltins\neval\n)R.", "it calls builtins.eval, which weights don't need")]
    [InlineData("ccollections\nOrderedDict\nK\u0001\u0085R.", "it calls collections.OrderedDict, which weights don't need")]
    [InlineData("cposix\nsystem\n)\u0081.", "it contains instruction 0x81, which weights don't need")]
    [InlineData("(X\u0002\0\0\0lsiposix\nsystem\n.", "it contains instruction 0x69, which weights don't need")]
    [InlineData("}X\u0001\0\0\0aK\u0001s.", "'a' in it is not a tensor")]
    [InlineData("K\u0001.", "it doesn't contain a list of named tensors")]
    [InlineData("}", "it ends early")]
    [InlineData("}X\u0099\0\0\0a", "it ends early")]
    [InlineData("R.", "it pops from an empty stack")]
    [InlineData("q\u0001.", "it saves from an empty stack")]
    [InlineData("h\u0001.", "it loads something that it hasn't saved")]
    [InlineData("X\u0001\0\0\0aQ.", "it refers to data that isn't a storage")]
    public void OtherProgramsAreRefused(string pickle, string what) =>
        Assert.Contains(what, Assert.Throws<SoraException>(() => TorchFile.Open(Archive(pickle))).Message);

    [Theory]
    [InlineData("FloatStorage", 4, 0, 4, 1, null)]
    [InlineData("FloatStorage", 4, 1, 4, 1, "doesn't fit")]
    [InlineData("FloatStorage", 5, 0, 4, 1, "doesn't fit")]
    [InlineData("FloatStorage", 4, 0, 2, 2, "isn't stored row by row")]
    [InlineData("QInt8Storage", 4, 0, 4, 1, "is stored as torch.QInt8Storage, which is unknown")]
    public void TensorsFitTheirNumbers(string type, int elements, int offset, int size, int stride, string? what)
    {
        var pickle =
            $"}}X\u0001\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\u0007\0\0\0storagectorch\n{type}\n"
            + $"X\u0001\0\0\00X\u0003\0\0\0cpuK{(char)elements}tQK{(char)offset}K{(char)size}\u0085K{(char)stride}\u0085\u0089NtRs.";
        var path = Archive(pickle, new byte[16]);
        if (what is not null)
            Assert.Contains($"'a' {what}", Assert.Throws<SoraException>(() => TorchFile.Open(path)).Message);
        else
        {
            using var file = TorchFile.Open(path);
            Assert.Equal([0, 0, 0, 0], file.Floats("a"));
        }
    }

    [Fact]
    public void OtherArchivesAreRefused()
    {
        Assert.Contains(
            "is compressed",
            Assert.Throws<SoraException>(() => TorchFile.Open(Archive(new string('N', 500), level: CompressionLevel.Optimal))).Message
        );
        var path = Path.Combine(folder, "other.zip");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
            zip.CreateEntry("readme", CompressionLevel.NoCompression);
        Assert.Contains("PyTorch didn't write", Assert.Throws<SoraException>(() => CheckpointFile.Open(path)).Message);
    }

    /// <summary>An archive with a pickle of protocol 2, each letter a byte, and the numbers of a storage.</summary>
    private string Archive(string pickle, byte[]? numbers = null, CompressionLevel level = CompressionLevel.NoCompression)
    {
        var path = Path.Combine(folder, "made.pth");
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        void Add(string name, byte[] bytes)
        {
            using var entry = zip.CreateEntry($"archive/{name}", level).Open();
            entry.Write(bytes);
        }
        Add("data.pkl", [0x80, 2, .. Encoding.Latin1.GetBytes(pickle)]);
        if (numbers is not null)
            Add("data/0", numbers);
        return path;
    }
}
