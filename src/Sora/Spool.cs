namespace Sora;

/// <summary>
/// Bytes that wait on disk until it is known what becomes of them, so that memory doesn't grow with their number. Their file has
/// no name: nothing is left of it when the program ends, however it ends.
/// </summary>
public sealed class Spool : IDisposable
{
    private readonly string folder;
    private readonly FileStream file;

    /// <summary>Begins.</summary>
    /// <param name="folder">Where there is room.</param>
    /// <exception cref="SoraException">The folder can't be written to.</exception>
    public Spool(string folder)
    {
        this.folder = folder;
        var path = Path.Combine(folder, $".{Guid.NewGuid():N}");
        try
        {
            file = new FileStream(
                path,
                new FileStreamOptions
                {
                    Mode = FileMode.CreateNew,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.Delete,
                    // What is written comes in large pieces.
                    BufferSize = 0,
                }
            );
            File.Delete(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(fault);
        }
    }

    /// <summary>How many bytes wait.</summary>
    public long Length => file.Length;

    /// <summary>The folder for what waits until it is written to a file: beside it, where there must be room in any case.</summary>
    /// <param name="output">The file; for a device or a stream the folder is that of temporary files.</param>
    public static string FolderFor(string output) =>
        output == "-" || FileType.IsDevice(output) ? Path.GetTempPath() : Path.GetDirectoryName(Path.GetFullPath(output))!;

    /// <summary>Adds bytes at the end.</summary>
    /// <exception cref="SoraException">The disk is full.</exception>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        try
        {
            file.Position = file.Length;
            file.Write(bytes);
        }
        // The latter is what .NET makes of a file that is larger than the system allows.
        catch (Exception fault) when (fault is IOException or ArgumentOutOfRangeException)
        {
            throw CannotWrite(fault);
        }
    }

    /// <summary>Reads bytes that were added.</summary>
    /// <param name="offset">The first of them.</param>
    /// <param name="bytes">Filled completely.</param>
    public void Read(long offset, Span<byte> bytes)
    {
        file.Position = offset;
        file.ReadExactly(bytes);
    }

    /// <summary>Writes all bytes to a stream.</summary>
    public void CopyTo(Stream to)
    {
        file.Position = 0;
        file.CopyTo(to, 1 << 16);
    }

    /// <summary>Forgets all bytes.</summary>
    public void Clear() => file.SetLength(0);

    /// <summary>Frees the disk.</summary>
    public void Dispose() => file.Dispose();

    private SoraException CannotWrite(Exception fault) =>
        fault is UnauthorizedAccessException
            ? SoraException.Failed($"{folder}: no permission to write there", inner: fault)
            // .NET adds the name of the temporary file.
            : SoraException.Failed($"{folder} can't be written to: {fault.Message.Split(" : '")[0].Split(" (Parameter")[0]}", inner: fault);
}
