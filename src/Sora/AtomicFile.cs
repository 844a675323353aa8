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
        using var pending = Begin(path);
        pending.Write(write);
        pending.Commit();
    }

    /// <summary>Lets a program or library write a file that it opens by name.</summary>
    /// <param name="path">Replaced where it exists; a link is followed.</param>
    /// <param name="write">Writes the content to the name it gets, which has the extension of <paramref name="path"/>.</param>
    /// <exception cref="SoraException">The file cannot be written.</exception>
    public static void WriteVia(string path, Action<string> write)
    {
        using var pending = Begin(path);
        try
        {
            write(pending.TemporaryPath);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(path, fault);
        }
        pending.Commit();
    }

    /// <summary>Begins a file that is written gradually, under a temporary name until it is complete.</summary>
    /// <exception cref="SoraException">There is no such folder, or the path is one.</exception>
    public static PendingFile Begin(string path) => new(path, FileType.IsDevice(path) ? path : Target(path));

    /// <summary>Flushes a file to disk and gives it a name, replacing any other file of that name.</summary>
    internal static void MoveWhole(string from, string to)
    {
        if (!OperatingSystem.IsWindows() && File.Exists(to))
            File.SetUnixFileMode(from, File.GetUnixFileMode(to));
        ToDisk(from);
        File.Move(from, to, overwrite: true);
    }

    /// <summary>A file that takes its name only once it is complete.</summary>
    public sealed class PendingFile : IDisposable
    {
        private readonly string path;
        private readonly string target;

        internal PendingFile(string path, string target)
        {
            (this.path, this.target) = (path, target);
            TemporaryPath = FileType.IsDevice(path)
                ? target
                : Path.Combine(Path.GetDirectoryName(target)!, $".{Guid.NewGuid():N}{Path.GetExtension(target)}");
        }

        /// <summary>Where to write: in the same folder, with the same extension; a device itself.</summary>
        public string TemporaryPath { get; }

        /// <summary>Writes the whole content as a stream.</summary>
        /// <exception cref="SoraException">The disk refuses.</exception>
        public void Write(Action<Stream> write)
        {
            try
            {
                using var stream = Open(TemporaryPath, path, TemporaryPath == path ? FileMode.Open : FileMode.CreateNew);
                write(stream);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                throw CannotWrite(path, fault);
            }
        }

        /// <summary>Gives the file its name.</summary>
        /// <exception cref="SoraException">The disk refuses.</exception>
        public void Commit()
        {
            if (TemporaryPath == target)
                return;
            try
            {
                MoveWhole(TemporaryPath, target);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                throw CannotWrite(path, fault);
            }
        }

        /// <summary>Removes what wasn't committed.</summary>
        public void Dispose()
        {
            if (TemporaryPath != target)
                File.Delete(TemporaryPath);
        }
    }

    private static string Target(string path)
    {
        if (Directory.Exists(path))
            throw SoraException.Failed($"{path}: a folder, not a file", "give the name of a file in it");
        var isLink = new FileInfo(path).LinkTarget != null;
        var target = isLink ? File.ResolveLinkTarget(path, returnFinalTarget: true)!.FullName : Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(target)!;
        return Directory.Exists(folder)
            ? target
            : throw SoraException.Failed($"{path}: no such folder: {folder}", $"mkdir -p {ShellWords.Quote(folder)}");
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

    internal static SoraException CannotWrite(string path, Exception fault) =>
        fault is UnauthorizedAccessException
            ? SoraException.Failed($"{path}: no permission to write it", inner: fault)
            // .NET adds the name of the temporary file.
            : SoraException.Failed($"{path}: cannot be written: {fault.Message.Split(" : '")[0]}", inner: fault);
}
