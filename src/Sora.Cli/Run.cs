namespace Sora.Cli;

/// <summary>What a verb is given besides its arguments: where to read, write and report, and when to stop.</summary>
internal sealed class Run(string verb, IReadOnlyList<string> words, Log log, CancellationTokenSource stop)
{
    private int readerGone;

    public string Verb => verb;

    /// <summary>The verb's words on the command line, as the shell split them.</summary>
    public IReadOnlyList<string> Words => words;

    public Reporter Reporter => log;

    /// <summary>Cancelled on Ctrl-C, on SIGTERM, and when the reader of standard output goes away.</summary>
    public CancellationToken Cancel => stop.Token;

    /// <summary>Whether the run ends because nobody reads its output any more.</summary>
    public bool ReaderGone => Volatile.Read(ref readerGone) != 0;

    /// <summary>For text that is the verb's result (<c>info</c>, help); never for messages.</summary>
    public TextWriter Out { get; } = new StreamWriter(StandardStream.OpenOutput());

    /// <summary>Opens what a CLIP argument names; <c>-</c> is standard input.</summary>
    public Stream OpenInput(string name)
    {
        if (name != "-")
            return OpenFile(name);
        if (Console.IsInputRedirected)
            return StandardStream.OpenInput(Cancel);
        throw SoraException.Usage(
            "nothing to read: standard input is a terminal",
            $"pass a file (sora {verb} clip.latent) or pipe a clip in (sora generate \"a red ball\" | sora {verb})"
        );
    }

    /// <summary>
    /// Standard output for tensors or media. From here on the run ends when its reader goes away.
    /// </summary>
    /// <exception cref="SoraException">Standard output is a terminal.</exception>
    public Stream OpenOutput(string fileName = "clip.latent")
    {
        if (!Console.IsOutputRedirected)
        {
            var line = string.Join(' ', new[] { "sora", verb }.Concat(words.Select(ShellWords.Quote)));
            throw SoraException.Usage(
                "refusing to write binary data to a terminal",
                fileName.EndsWith(".latent", StringComparison.Ordinal)
                    ? $"{line} -o {fileName}, or {line} | sora decode -o video.mp4"
                    : $"{line} -o {fileName}"
            );
        }
        StandardStream.WatchReader(StopForReader, Cancel);
        return StandardStream.OpenOutput();
    }

    private void StopForReader()
    {
        Volatile.Write(ref readerGone, 1);
        stop.Cancel();
    }

    private static FileStream OpenFile(string name)
    {
        if (Directory.Exists(name))
            throw SoraException.Failed($"{name} is a folder, not a file");
        try
        {
            return new FileStream(name, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw SoraException.Failed($"{name}: no such file", inner: error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw SoraException.Failed($"{name}: no permission to read it", inner: error);
        }
    }
}
