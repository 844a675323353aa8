using System.Text.Json;

namespace FFMpegCore;

public static class GlobalFFOptions
{
    private const string ConfigFile = "ffmpeg.config.json";
    private static FFOptions? _current;

    public static FFOptions Current => _current ??= File.Exists(ConfigFile)
        ? JsonSerializer.Deserialize<FFOptions>(File.ReadAllText(ConfigFile))!
        : new FFOptions();

    public static string GetFFMpegBinaryPath(FFOptions? ffOptions = null) => BinaryPath("ffmpeg", ffOptions ?? Current);

    public static string GetFFProbeBinaryPath(FFOptions? ffOptions = null) => BinaryPath("ffprobe", ffOptions ?? Current);

    private static string BinaryPath(string name, FFOptions options)
    {
        if (OperatingSystem.IsWindows()) name += ".exe";
        var architecture = Environment.Is64BitProcess ? "x64" : "x86";
        string[] candidates = [Path.Combine(options.BinaryFolder, architecture, name), Path.Combine(options.BinaryFolder, name)];
        return Array.Find(candidates, File.Exists) ?? name;
    }
}
