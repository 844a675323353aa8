namespace Sora.Media;

/// <summary>
/// Numbered files that appear in their folder once all are complete: written into a folder of their own inside it,
/// then flushed and renamed one after another.
/// </summary>
internal sealed class PendingSequence : IDisposable
{
    private readonly string path;
    private readonly string folder;
    private readonly string temporaryFolder;

    /// <summary>Begins; the folder is made if it isn't there.</summary>
    /// <exception cref="SoraException">The folder can't be written.</exception>
    public PendingSequence(string path)
    {
        this.path = path;
        folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        temporaryFolder = Path.Combine(folder, $".{Guid.NewGuid():N}");
        Attempt(() => Directory.CreateDirectory(temporaryFolder));
    }

    /// <summary>What ffmpeg is to write; in its patterns, a percent sign that is only a character is doubled.</summary>
    public string TemporaryPath => Path.Combine(temporaryFolder.Replace("%", "%%"), Path.GetFileName(path));

    /// <summary>Gives everything its name.</summary>
    /// <exception cref="SoraException">The disk refuses.</exception>
    public void Commit() =>
        Attempt(() =>
        {
            foreach (var file in Directory.GetFiles(temporaryFolder))
                AtomicFile.MoveWhole(file, Path.Combine(folder, Path.GetFileName(file)));
        });

    public void Dispose() => Directory.Delete(temporaryFolder, recursive: true);

    private void Attempt(Action action)
    {
        try
        {
            action();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, fault);
        }
    }
}
