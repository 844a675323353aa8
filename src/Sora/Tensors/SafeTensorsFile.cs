using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Sora.Tensors;

/// <summary>A safetensors file, memory-mapped: opening reads the header only, and tensors come from the page cache.</summary>
public sealed unsafe class SafeTensorsFile : TensorSource
{
    private readonly MappedFile file;
    private readonly long dataStart;
    private readonly OrderedDictionary<string, TensorInfo> tensors = [];

    private SafeTensorsFile(MappedFile file, SafeTensorsHeader header, long dataStart)
    {
        (this.file, this.dataStart) = (file, dataStart);
        Metadata = header.Metadata;
        foreach (var tensor in header.Tensors)
            tensors.Add(tensor.Name, tensor);
    }

    /// <inheritdoc/>
    public override string Origin => file.Path;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Maps a file that holds exactly one safetensors document.</summary>
    /// <exception cref="SoraException">It cannot be read, or is not a valid safetensors file.</exception>
    public static SafeTensorsFile Open(string path) =>
        MappedFile.Open(
            path,
            file =>
            {
                var length = SafeTensorsHeader.Length(file.Span(0, (int)Math.Min(SafeTensorsHeader.LengthBytes, file.Length)), path);
                var dataStart = SafeTensorsHeader.LengthBytes + (long)length;
                if (dataStart > file.Length)
                    throw SafeTensorsHeader.Truncated(path, length, file.Length - SafeTensorsHeader.LengthBytes, "header");
                var header = SafeTensorsHeader.Parse(file.Span(SafeTensorsHeader.LengthBytes, length), path);
                var present = file.Length - dataStart;
                if (present < header.DataBytes)
                    throw SafeTensorsHeader.Truncated(path, header.DataBytes, present, "data");
                if (present > header.DataBytes)
                    throw SoraException.Failed(
                        $"{path}: {present - header.DataBytes} unexpected bytes after the last tensor",
                        "a file holds one clip; only a pipe can carry several"
                    );
                return new SafeTensorsFile(file, header, dataStart);
            }
        );

    /// <summary>A tensor's bytes, in place; valid until this file is disposed. Up to 2 GB: see <see cref="Address"/>.</summary>
    public ReadOnlySpan<byte> Data(string name) => new(Address(name), checked((int)Info(name).Bytes));

    /// <summary>Where a tensor's bytes lie in memory; valid until this file is disposed. Not necessarily aligned.</summary>
    public byte* Address(string name) => file.Address + dataStart + Info(name).Offset;

    /// <inheritdoc/>
    public override void Read(string name, long offset, Span<byte> destination)
    {
        var info = Info(name);
        if (offset < 0 || offset + destination.Length > info.Bytes)
            throw new ArgumentOutOfRangeException(nameof(offset));
        file.Copy(dataStart + info.Offset + offset, destination);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            file.Dispose();
    }
}

/// <summary>A file mapped for reading.</summary>
internal sealed unsafe partial class MappedFile : IDisposable
{
    // Linux maps this much around what is touched, if it is in the page cache.
    private const nuint FaultAround = 64 << 10;
    private const int Large = 32 << 10;

    private readonly MemoryMappedFile? map;
    private readonly MemoryMappedViewAccessor? view;

    private MappedFile(string path, FileStream stream)
    {
        (Path, Length) = (path, stream.Length);
        // An empty file cannot be mapped.
        if (Length == 0)
        {
            stream.Dispose();
            return;
        }
        map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        Address = pointer + view.PointerOffset;
    }

    public string Path { get; }

    public long Length { get; }

    public byte* Address { get; }

    public static MappedFile Open(string path)
    {
        try
        {
            return new MappedFile(path, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Files.CannotRead(path, fault);
        }
    }

    /// <summary>Maps a file for an object that keeps it; where building that fails, nothing stays mapped.</summary>
    public static T Open<T>(string path, Func<MappedFile, T> make)
    {
        var file = Open(path);
        try
        {
            return make(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        if (offset < 0 || length < 0 || offset + length > Length)
            throw new ArgumentOutOfRangeException(nameof(offset));
        return new(Address + offset, length);
    }

    /// <summary>
    /// Copies a part. The pages of a large one do not count as this program's memory afterwards: they stay in the page
    /// cache, where the next read finds them, as long as nobody needs the room.
    /// </summary>
    public void Copy(long offset, Span<byte> destination)
    {
        Span(offset, destination.Length).CopyTo(destination);
        if (destination.Length < Large || !OperatingSystem.IsLinux())
            return;
        var page = (nuint)Environment.SystemPageSize;
        var around = Math.Max(page, FaultAround);
        var (begin, end) = ((nuint)(Address + offset) / around * around, (nuint)(Address + offset + destination.Length) / page * page);
        begin = Math.Max(begin, (nuint)Address / page * page);
        if (begin < end)
            _ = Advise(begin, end - begin, DoNotNeed);
    }

    public void Dispose()
    {
        if (view == null)
            return;
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        map!.Dispose();
    }

    // Linux's number (mman.h).
    private const int DoNotNeed = 4;

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nuint address, nuint length, int advice);
}
