namespace Sora;

/// <summary>What goes wrong with files, in one line.</summary>
internal static class Files
{
    public static SoraException CannotRead(string path, Exception fault) =>
        fault switch
        {
            FileNotFoundException or DirectoryNotFoundException => SoraException.Failed($"{path}: no such file", inner: fault),
            UnauthorizedAccessException when Directory.Exists(path) => SoraException.Failed($"{path}: a folder, not a file", inner: fault),
            UnauthorizedAccessException => SoraException.Failed($"{path}: no permission to read it", inner: fault),
            _ => SoraException.Failed($"{path}: cannot be read: {fault.Message}", inner: fault),
        };
}
