using System;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Build.Framework;

/// <summary>
/// Makes TorchSharp's native library load where the system's libstdc++ is older than GCC 13's, as on Debian 12, Ubuntu 22.04
/// and RHEL 9. It wants one function of a newer one, std::ios_base_library_init(), which sets up std::cout and its like. The
/// constructor std::ios_base::Init::Init() does the same and is in every libstdc++, so a copy of the library imports that one
/// instead, and its need for the version GLIBCXX_3.4.32 becomes weak. MSBuild compiles this file (see
/// Sora.Kernels.csproj). It can go when Debian 12 is no longer supported, or when TorchSharp is built with an older GCC.
/// </summary>
public sealed class OldLibstdcxx : Microsoft.Build.Utilities.Task
{
    private const string NewFunction = "_ZSt21ios_base_library_initv";
    private const string OldFunction = "_ZNSt8ios_base4InitC1Ev";
    private const string NewVersion = "GLIBCXX_3.4.32";
    private const string OldVersion = "GLIBCXX_3.4";

    /// <summary>The package's library.</summary>
    [Required]
    public string Source { get; set; }

    /// <summary>Where the copy goes, which has the package's bytes where the system can load them.</summary>
    [Required]
    public string Target { get; set; }

    public override bool Execute()
    {
        var bytes = File.ReadAllBytes(Source);
        if (!SystemHas(NewFunction))
            Rewrite(bytes);
        Directory.CreateDirectory(Path.GetDirectoryName(Target));
        File.WriteAllBytes(Target, bytes);
        return true;
    }

    /// <summary>Whether the libstdc++ that .NET itself uses exports a function.</summary>
    private static bool SystemHas(string function)
    {
        var library = dlopen("libstdc++.so.6", 2);
        return library == IntPtr.Zero || dlsym(library, function) != IntPtr.Zero;
    }

    /// <summary>Rewrites a 64-bit little-endian ELF library, if it imports the new function.</summary>
    private static void Rewrite(byte[] elf)
    {
        int symbols = Section(elf, ".dynsym", out var symbolBytes),
            names = Section(elf, ".dynstr", out _);
        int versions = Section(elf, ".gnu.version", out _),
            needs = Section(elf, ".gnu.version_r", out _);
        for (var i = 0; i < symbolBytes / 24; i++)
        {
            var name = names + Int32(elf, symbols + 24 * i);
            if (Text(elf, name) != NewFunction)
                continue;
            var old = Need(elf, needs, names, OldVersion);
            var latest = Need(elf, needs, names, NewVersion);
            // An entry is: hash, flags, index, name, distance to the next. Flag 2 is VER_FLG_WEAK.
            elf[latest + 4] |= 2;
            elf[versions + 2 * i] = elf[old + 6];
            elf[versions + 2 * i + 1] = elf[old + 7];
            // The shorter name fits in place, and only defined symbols are found by their hashes.
            Array.Clear(elf, name, NewFunction.Length);
            Encoding.ASCII.GetBytes(OldFunction, 0, OldFunction.Length, elf, name);
            return;
        }
    }

    /// <summary>The offset of a section, found by name.</summary>
    private static int Section(byte[] elf, string wanted, out int size)
    {
        int headers = (int)BitConverter.ToInt64(elf, 40),
            entry = BitConverter.ToUInt16(elf, 58),
            count = BitConverter.ToUInt16(elf, 60);
        var names = (int)BitConverter.ToInt64(elf, headers + entry * BitConverter.ToUInt16(elf, 62) + 24);
        for (var i = 0; i < count; i++)
        {
            var header = headers + entry * i;
            if (Text(elf, names + Int32(elf, header)) != wanted)
                continue;
            size = (int)BitConverter.ToInt64(elf, header + 32);
            return (int)BitConverter.ToInt64(elf, header + 24);
        }
        throw new InvalidDataException("the library has no section " + wanted);
    }

    /// <summary>The offset of the entry for a version among those that are needed of other libraries.</summary>
    private static int Need(byte[] elf, int needs, int names, string version)
    {
        for (int library = needs, next = -1; next != 0; library += next)
        {
            next = Int32(elf, library + 12);
            int count = BitConverter.ToUInt16(elf, library + 2),
                entry = library + Int32(elf, library + 8);
            for (var i = 0; i < count; i++, entry += Int32(elf, entry + 12))
                if (Text(elf, names + Int32(elf, entry + 8)) == version)
                    return entry;
        }
        throw new InvalidDataException("the library needs no version " + version);
    }

    private static int Int32(byte[] elf, int at) => BitConverter.ToInt32(elf, at);

    private static string Text(byte[] elf, int at) => Encoding.ASCII.GetString(elf, at, Array.IndexOf<byte>(elf, 0, at) - at);

    [DllImport("libc")]
    private static extern IntPtr dlopen(string file, int mode);

    [DllImport("libc")]
    private static extern IntPtr dlsym(IntPtr library, string name);
}
