namespace Sora;

/// <summary>
/// Writes a file whole or not at all: under a temporary name in the same folder, to disk, then renamed. What was there
/// before stays until then, and its permissions are kept. Pipes and devices are written directly.
/// </summary>
public static class AtomicFile
{
    /// <summary>Writes a file as a stream.</summary>
    /// <param name="path">Replaced where it exists; a link is followed.</param>
    /// <param name="write">Writes the content. Where it throws, nothing is left behind.</param>
    /// <exception cref="SoraException">The file cannot be written.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        if (FileType.IsDevice(path))
        {
            using var device = Open(path, path, FileMode.Open);
            write(device);
            return;
        }
        WriteVia(path, temporary =>
        {
            using var stream = Open(temporary, path, FileMode.CreateNew);
            write(stream);
        });
    }

    /// <summary>Lets a program or library write a file that it opens by name.</summary>
    /// <param name="path">Replaced where it exists; a link is followed.</param>
    /// <param name="write">Writes the content to the name that it is given, which has the extension of <paramref name="path"/>.</param>
    /// <exception cref="SoraException">The file cannot be written.</exception>
    public static void WriteVia(string path, Action<string> write)
    {
        if (FileType.IsDevice(path))
        {
            write(path);
            return;
        }
        var target = Target(path);
        var temporary = Path.Combine(Path.GetDirectoryName(target)!, $".{Guid.NewGuid():N}{Path.GetExtension(target)}");
        try
        {
            write(temporary);
            if (!OperatingSystem.IsWindows() && File.Exists(target)) File.SetUnixFileMode(temporary, File.GetUnixFileMode(target));
            ToDisk(temporary);
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(path, fault);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static string Target(string path)
    {
        if (Directory.Exists(path)) throw SoraException.Failed($"{path}: a folder, not a file", "name a file in it");
        var isLink = new FileInfo(path).LinkTarget != null;
        var target = isLink ? File.ResolveLinkTarget(path, returnFinalTarget: true)!.FullName : Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(target)!;
        return Directory.Exists(folder)
            ? target
            : throw SoraException.Failed($"{path}: there is no folder {folder}", $"mkdir -p {ShellWords.Quote(folder)}");
    }

    private static FileStream Open(string path, string named, FileMode mode)
    {
        try
        {
            return new FileStream(path, mode, FileAccess.Write, FileShare.Read);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(named, fault);
        }
    }

    private static void ToDisk(string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    private static SoraException CannotWrite(string path, Exception fault) => fault is UnauthorizedAccessException
        ? SoraException.Failed($"{path}: no permission to write it", inner: fault)
        : SoraException.Failed($"{path}: cannot be written: {fault.Message}", inner: fault);
}
