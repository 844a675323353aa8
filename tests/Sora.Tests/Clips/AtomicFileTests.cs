using System.Runtime.Versioning;
using Xunit;

namespace Sora.Tests.Clips;

[UnsupportedOSPlatform("windows")]
public class AtomicFileTests
{
    [Fact]
    public void AFailureLeavesWhatWasThere()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a"], "old");
        Assert.Throws<OperationCanceledException>(() =>
            AtomicFile.Write(
                folder["a"],
                stream =>
                {
                    stream.Write("half"u8);
                    throw new OperationCanceledException();
                }
            )
        );
        Assert.Equal("old", File.ReadAllText(folder["a"]));
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void AFullDiskIsSaidOfTheFileThatWasNamed()
    {
        var error = Assert.Throws<SoraException>(() => AtomicFile.Write("/dev/full", stream => stream.Write(new byte[1 << 20])));
        Assert.Equal("/dev/full: cannot be written: No space left on device", error.Message);
    }

    [Fact]
    public void UntilItIsDoneNothingIsThere()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.Write(
            folder["a"],
            stream =>
            {
                stream.Write("new"u8);
                Assert.False(File.Exists(folder["a"]));
            }
        );
        Assert.Equal("new", File.ReadAllText(folder["a"]));
    }

    [Fact]
    public void PermissionsAndLinksAreKept()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a"], "old");
        const UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        File.SetUnixFileMode(folder["a"], mode);
        File.CreateSymbolicLink(folder["link"], "a");
        AtomicFile.Write(folder["link"], stream => stream.Write("new"u8));
        Assert.Equal("new", File.ReadAllText(folder["a"]));
        Assert.Equal(mode, File.GetUnixFileMode(folder["a"]));
        Assert.Equal("a", new FileInfo(folder["link"]).LinkTarget);
    }

    [Fact]
    public void ANewFileHasThePermissionsOfAnyOther()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["ordinary"], "");
        AtomicFile.Write(folder["a"], stream => stream.Write("new"u8));
        Assert.Equal(File.GetUnixFileMode(folder["ordinary"]), File.GetUnixFileMode(folder["a"]));
    }

    [Fact]
    public void AProgramThatOpensByNameKeepsTheExtension()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.WriteVia(
            folder["a.mp4"],
            name =>
            {
                Assert.EndsWith(".mp4", name);
                File.WriteAllText(name, "film");
            }
        );
        Assert.Equal("film", File.ReadAllText(folder["a.mp4"]));
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void DevicesAreWrittenDirectly() => AtomicFile.Write("/dev/null", stream => stream.Write("gone"u8));

    [Fact]
    public void AMissingFolderAndAFolderAreNamed()
    {
        using var folder = new TemporaryFolder();
        var missing = Assert.Throws<SoraException>(() => AtomicFile.Write(folder["no/a"], _ => { }));
        Assert.Contains("no such folder", missing.Message);
        Assert.Contains("a folder, not a file", Assert.Throws<SoraException>(() => AtomicFile.Write(folder.Path, _ => { })).Message);
    }
}
