using System.Runtime.InteropServices;

namespace Sora;

/// <summary>What a path leads to.</summary>
public static partial class FileType
{
    private const ushort TypeMask = 0xF000;
    private const ushort Regular = 0x8000;
    private const ushort Fifo = 0x1000;
    private const ushort Socket = 0xC000;

    /// <summary>Whether it is a pipe or a socket, which can't be mapped or read twice.</summary>
    public static bool IsPipe(string path) => TypeOf(path) is Fifo or Socket;

    /// <summary>Whether it exists and is neither a file nor a folder: a pipe, a terminal, <c>/dev/null</c>.</summary>
    public static bool IsDevice(string path) => TypeOf(path) is { } type && type != Regular && !Directory.Exists(path);

    private static unsafe ushort? TypeOf(string path)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        var status = stackalloc byte[StatusBytes];
        if (Status(CurrentFolder, path, 0, TypeField, status) != 0)
            return null;
        return (ushort)(*(ushort*)(status + ModeOffset) & TypeMask);
    }

    // Linux's numbers (fcntl.h, linux/stat.h); unlike stat's, this structure is the same on every architecture.
    private const int CurrentFolder = -100;
    private const uint TypeField = 0x001;
    private const int StatusBytes = 256;
    private const int ModeOffset = 28;

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Status(int folder, string path, int flags, uint fields, byte* status);
}
