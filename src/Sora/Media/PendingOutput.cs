namespace Sora.Media;

/// <summary>
/// A file, or numbered files, that appear under their names whole or not at all: written under a temporary name in the
/// same folder, flushed to the disk, then renamed.
/// </summary>
internal sealed class PendingOutput : IDisposable
{
    private readonly string _path;
    private readonly string _folder;
    private readonly string? _temporaryFolder;

    /// <summary>Begins; for numbered files the folder is made if it isn't there.</summary>
    /// <exception cref="SoraException">There is no such folder, or it can't be written.</exception>
    public PendingOutput(string path, bool numbered)
    {
        _path = path;
        _folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var unique = $".sora-{Guid.NewGuid():N}";
        if (Directory.Exists(path)) throw SoraException.Failed($"{path} is a folder", "name a file in it");
        if (!numbered)
        {
            if (!Directory.Exists(_folder)) throw SoraException.Failed($"{path} can't be written: there is no folder {_folder}");
            TemporaryPath = Path.Combine(_folder, unique + Path.GetExtension(path));
            return;
        }
        _temporaryFolder = Path.Combine(_folder, unique);
        Attempt(() => Directory.CreateDirectory(_temporaryFolder));
        // In ffmpeg's patterns a percent sign that is only a character is doubled.
        TemporaryPath = Path.Combine(_temporaryFolder.Replace("%", "%%"), Path.GetFileName(path));
    }

    /// <summary>What ffmpeg is to write.</summary>
    public string TemporaryPath { get; }

    /// <summary>Gives everything its name.</summary>
    /// <exception cref="SoraException">The disk refuses.</exception>
    public void Commit() => Attempt(() =>
    {
        if (_temporaryFolder == null)
        {
            Move(TemporaryPath, Path.GetFullPath(_path));
            return;
        }
        foreach (var file in Directory.GetFiles(_temporaryFolder).Order(StringComparer.Ordinal))
            Move(file, Path.Combine(_folder, Path.GetFileName(file)));
    });

    public void Dispose()
    {
        if (_temporaryFolder == null) File.Delete(TemporaryPath);
        else if (Directory.Exists(_temporaryFolder)) Directory.Delete(_temporaryFolder, recursive: true);
    }

    private static void Move(string from, string to)
    {
        using (var file = new FileStream(from, FileMode.Open, FileAccess.ReadWrite)) file.Flush(flushToDisk: true);
        File.Move(from, to, overwrite: true);
    }

    private void Attempt(Action action)
    {
        try
        {
            action();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw SoraException.Failed($"{_path} can't be written: {error.Message}", inner: error);
        }
    }
}
